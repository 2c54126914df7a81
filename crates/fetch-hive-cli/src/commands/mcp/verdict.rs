//! The verdicts of errors in words that a model can act on.

use serde_json::{Value, json};

use crate::exit::Exit;
use crate::failure::Failure;

/// Returns the structured result of a failed call.
pub(super) fn structured(failure: &Failure) -> Value {
    let mut value = json!({ "verdict": failure.exit.name(), "advice": advice(failure.exit), "error": failure.text });
    if let Some(id) = &failure.request_id {
        value["request_id"] = json!(id);
    }
    value
}

/// Returns the text of a failed call: what happened, and what the model should do.
pub(super) fn text(failure: &Failure) -> String {
    let id = failure.request_id.as_ref().map_or_else(String::new, |id| format!(" (run {id})"));
    format!("{}{id}. {}", failure.text, advice(failure.exit))
}

fn advice(exit: Exit) -> &'static str {
    match exit {
        Exit::Usage | Exit::Refused => "Nothing was started. Correct the inputs, and then call the tool again.",
        Exit::RunFailed => {
            "The run failed and is charged. Do not repeat it with the same inputs; tell the user the reason."
        }
        Exit::Key => "Nothing was started. Do not call the tool again; ask the user to check the API key or the plan.",
        Exit::NotStarted => "Nothing was started. You may call the tool once more later.",
        Exit::MayHaveRun | Exit::Interrupted => {
            "The run may have started and may be charged. Do not call the tool again; tell the user, who can look the \
             run up."
        }
        Exit::Waiting => {
            "The run waits for a person's approval and continues afterwards. Do not call the tool again; ask the user \
             to decide the approval."
        }
        Exit::Success | Exit::Other | Exit::RowsFailed => "Do not call the tool again; tell the user.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_without_a_run_may_be_repeated() {
        for exit in Exit::ALL {
            let allows =
                advice(exit).contains("may call the tool once more") || advice(exit).contains("call the tool again.");
            let starts_nothing = matches!(exit, Exit::Usage | Exit::Refused | Exit::NotStarted);
            assert_eq!(allows && !advice(exit).contains("Do not"), starts_nothing, "{exit:?}: {}", advice(exit));
        }
    }
}
