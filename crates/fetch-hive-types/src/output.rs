use std::error::Error;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{EscapedLine, InvokeWorkflowResponse, RequestId, RunStatus};

/// An error that occurs when a run has failed.
///
/// The service reports a failed run with HTTP status 200. See the
/// [contract](crate::contract#workflows).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunFailed {
    /// The public id of the failed run.
    pub request_id: Option<RequestId>,
    /// The reason that the service gave for the failure.
    pub reason: Option<String>,
}

impl fmt::Display for RunFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", Run(self.request_id.as_ref()))?;
        match &self.reason {
            Some(reason) => write!(f, ": {}", EscapedLine(reason)),
            None => f.write_str(" and the service gave no reason"),
        }
    }
}

impl Error for RunFailed {}

/// An error that occurs when the output of a run cannot be returned.
///
/// Neither `Display` nor `Debug` shows the output.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutputError {
    /// The run has failed, so it has no output.
    Failed(RunFailed),
    /// The run has not completed: it is running, queued, or in an unknown state.
    NotCompleted {
        /// The public id of the run, by which it can be looked up later.
        request_id: Option<RequestId>,
        /// The status of the run, or `None` if the response has neither a status nor an output.
        run_status: Option<RunStatus>,
    },
    /// The run has completed, but its output cannot be deserialized as the expected type.
    Mismatch(Box<OutputMismatch>),
}

/// The details of an output that cannot be deserialized as the expected type.
#[non_exhaustive]
pub struct OutputMismatch {
    /// The public id of the run.
    pub request_id: Option<RequestId>,
    /// The complete output of the run.
    pub output: Value,
    /// The error that occurred during deserialization.
    ///
    /// Its message may quote the output, so it is not the `source` of the surrounding error.
    pub error: serde_json::Error,
}

impl fmt::Debug for OutputMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputMismatch").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// A wrapper that displays a run in an error message.
struct Run<'a>(Option<&'a RequestId>);

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "the run {}", EscapedLine(id)),
            None => f.write_str("the run"),
        }
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(failed) => failed.fmt(f),
            Self::NotCompleted { request_id, run_status } => {
                let status = run_status.as_ref().map_or("unknown", RunStatus::as_str);
                write!(f, "{} has no output yet: its status is `{}`", Run(request_id.as_ref()), EscapedLine(status))
            }
            Self::Mismatch(mismatch) => {
                write!(f, "the output of {} is not of the expected type", Run(mismatch.request_id.as_ref()))
            }
        }
    }
}

impl Error for OutputError {}

impl InvokeWorkflowResponse {
    /// Returns the output of a completed run.
    ///
    /// The output is [`Value::Null`] if the response has none.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError::Failed`] if the run has failed, and [`OutputError::NotCompleted`] if
    /// it has not completed.
    pub fn into_output(mut self) -> Result<Value, OutputError> {
        self.completed()?;
        Ok(self.output.take().unwrap_or_default())
    }

    /// Deserializes the output of a completed run.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError::Failed`] if the run has failed, [`OutputError::NotCompleted`] if it
    /// has not completed, and [`OutputError::Mismatch`], which keeps the output, if the output
    /// cannot be deserialized as `T`.
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.completed()?;
        T::deserialize(self.output.as_ref().unwrap_or(&Value::Null)).map_err(|error| self.mismatch(error))
    }

    /// Deserializes JSON in the text output of a completed run.
    ///
    /// Models write JSON either bare or in a Markdown code fence with text around it; both forms
    /// are accepted. An output that is not a string is deserialized directly.
    ///
    /// # Errors
    ///
    /// Returns an error in the same cases as [`output_as`](Self::output_as).
    pub fn output_json<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.completed()?;
        let Some(Value::String(text)) = &self.output else {
            return self.output_as();
        };
        serde_json::from_str(json_in(text)).map_err(|error| self.mismatch(error))
    }

    /// Returns the output if it is a string, regardless of the status of the run.
    pub fn output_text(&self) -> Option<&str> {
        self.output.as_ref()?.as_str()
    }

    fn completed(&self) -> Result<(), OutputError> {
        match &self.run_status {
            Some(RunStatus::Completed) => Ok(()),
            None if self.output.is_some() && self.error.is_none() => Ok(()),
            status if *status == Some(RunStatus::Failed) || self.error.is_some() => {
                Err(OutputError::Failed(RunFailed { request_id: self.request_id.clone(), reason: self.error.clone() }))
            }
            status => {
                Err(OutputError::NotCompleted { request_id: self.request_id.clone(), run_status: status.clone() })
            }
        }
    }

    fn mismatch(&self, error: serde_json::Error) -> OutputError {
        OutputError::Mismatch(Box::new(OutputMismatch {
            request_id: self.request_id.clone(),
            output: self.output.clone().unwrap_or_default(),
            error,
        }))
    }
}

/// Returns the content of the first code fence in a text, or else the whole text.
fn json_in(text: &str) -> &str {
    let whole = text.trim();
    if whole.starts_with(['{', '[', '"']) {
        return whole;
    }
    let Some((_, fenced)) = whole.split_once("```") else {
        return whole;
    };
    let Some((body, _)) = fenced.split_once("```") else {
        return whole;
    };
    let body = body.strip_prefix("json").or_else(|| body.strip_prefix("JSON")).unwrap_or(body);
    body.trim()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::json;

    use super::*;
    use crate::ImageOutput;

    fn run(value: Value) -> InvokeWorkflowResponse {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn failed_run_has_no_output() {
        for status in ["run_status", "status"] {
            let failed =
                run(json!({"request_id": "req_1", status: "failed", "output": "partial", "error": "model refused"}));
            let error = failed.clone().into_output().unwrap_err();
            assert_eq!(error.to_string(), "the run req_1 failed: model refused");
            assert!(failed.output_as::<String>().is_err() && failed.output_json::<Value>().is_err());
            let running = run(json!({"request_id": "req_2", status: "running"}));
            assert_eq!(
                running.into_output().unwrap_err().to_string(),
                "the run req_2 has no output yet: its status is `running`"
            );
            let unknown = run(json!({status: "archived", "output": 1}));
            assert!(matches!(unknown.output_as::<u8>(), Err(OutputError::NotCompleted { .. })));
        }
    }

    #[test]
    fn json_in_text_is_found_and_the_text_is_kept() {
        for text in
            ["{\"a\":1}", " \n{\"a\":1}\n", "```json\n{\"a\":1}\n```", "Here it is:\n```\n{\"a\":1}\n```\nDone."]
        {
            let output: HashMap<String, u8> =
                run(json!({"run_status": "completed", "output": text})).output_json().unwrap();
            assert_eq!(output["a"], 1, "{text}");
        }
        let error = run(json!({"output": "no JSON here"})).output_json::<Value>().unwrap_err();
        let OutputError::Mismatch(mismatch) = &error else { panic!("{error}") };
        assert_eq!(mismatch.output, "no JSON here");
        assert!(!format!("{error} {error:?}").contains("no JSON here"));
        assert_eq!(run(json!({"output": {"a": 1}})).output_json::<HashMap<String, u8>>().unwrap()["a"], 1);
    }

    #[test]
    fn both_forms_of_image_output_are_read() {
        let asset = json!({"id": "a1", "file_url": "https://x/1.png", "file_size": 12, "pages": 2});
        for output in [json!([asset]), json!({"settings": {"size": "1k"}, "assets": [asset], "seed": 7})] {
            let images: ImageOutput = run(json!({"run_status": "completed", "output": output})).output_as().unwrap();
            assert_eq!(images.assets[0].file_size, Some(12));
            assert_eq!(images.assets[0].extra["pages"], 2);
            assert_eq!(images.settings.is_some(), images.extra.contains_key("seed"));
        }
    }

    #[test]
    fn completed_run_without_output_is_null() {
        assert_eq!(run(json!({"run_status": "completed"})).into_output().unwrap(), Value::Null);
        assert_eq!(run(json!({"run_status": "completed", "output": null})).output_as::<Option<u8>>().unwrap(), None);
    }
}
