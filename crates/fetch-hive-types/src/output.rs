use std::error::Error;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{EscapedLine, InvokeWorkflowResponse, RequestId, RunStatus};

/// A run that ended without its output. The service reports it with a 200 (contract, section 3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunFailed {
    /// Which run.
    pub request_id: Option<RequestId>,
    /// Why, in the words of the service.
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

/// Why a run has no output of the wanted type. Neither `Display` nor `Debug` shows the output.
#[derive(Debug)]
#[non_exhaustive]
pub enum OutputError {
    /// The run failed.
    Failed(RunFailed),
    /// The run has not completed: it is under way, queued, or in a state that this version does not know.
    NotCompleted {
        /// Which run; look it up later by this id.
        request_id: Option<RequestId>,
        /// Where it stands; `None` when the reply says neither that nor an output.
        run_status: Option<RunStatus>,
    },
    /// The run completed, and its output is not of the wanted type.
    Mismatch(Box<OutputMismatch>),
}

/// An output that could not be read as the wanted type, with the output itself.
#[non_exhaustive]
pub struct OutputMismatch {
    /// Which run.
    pub request_id: Option<RequestId>,
    /// The output, whole; a text that holds no readable JSON is a [`Value::String`].
    pub output: Value,
    /// What did not fit. Its text may quote the output, so it is no `source()` that would be printed with the error.
    pub error: serde_json::Error,
}

impl fmt::Debug for OutputMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputMismatch").field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// A run in an error text.
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
                write!(f, "the output of {} is not of the wanted type", Run(mismatch.request_id.as_ref()))
            }
        }
    }
}

impl Error for OutputError {}

impl InvokeWorkflowResponse {
    /// The output, if the run completed. A completed run that sent no output has [`Value::Null`].
    ///
    /// # Errors
    ///
    /// [`OutputError::Failed`] when the run failed, [`OutputError::NotCompleted`] when it has not ended.
    pub fn into_output(mut self) -> Result<Value, OutputError> {
        self.completed()?;
        Ok(self.output.take().unwrap_or_default())
    }

    /// The output read as `T`, if the run completed.
    ///
    /// # Errors
    ///
    /// As [`into_output`](Self::into_output), and [`OutputError::Mismatch`] when the output is no `T`; the error keeps the output.
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.completed()?;
        T::deserialize(self.output.as_ref().unwrap_or(&Value::Null)).map_err(|error| self.mismatch(error))
    }

    /// The output read as `T` from JSON inside a text, as models write it: bare, or in a Markdown code fence with or without words
    /// around it. An output that is no text is read as by [`output_as`](Self::output_as).
    ///
    /// # Errors
    ///
    /// As [`output_as`](Self::output_as); the error keeps the text.
    pub fn output_json<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.completed()?;
        let Some(Value::String(text)) = &self.output else {
            return self.output_as();
        };
        serde_json::from_str(json_in(text)).map_err(|error| self.mismatch(error))
    }

    /// The output if it is a text, whatever the run's status.
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

/// The JSON part of a model's text: what stands in the first code fence, else the whole text.
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
    fn a_failed_run_cannot_pass_for_success() {
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
    fn json_inside_text_is_found_and_the_text_kept() {
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
    fn both_forms_of_an_image_output_are_read() {
        let asset = json!({"id": "a1", "file_url": "https://x/1.png", "file_size": 12, "pages": 2});
        for output in [json!([asset]), json!({"settings": {"size": "1k"}, "assets": [asset], "seed": 7})] {
            let images: ImageOutput = run(json!({"run_status": "completed", "output": output})).output_as().unwrap();
            assert_eq!(images.assets[0].file_size, Some(12));
            assert_eq!(images.assets[0].extra["pages"], 2);
            assert_eq!(images.settings.is_some(), images.extra.contains_key("seed"));
        }
    }

    #[test]
    fn a_completed_run_without_output_is_null() {
        assert_eq!(run(json!({"run_status": "completed"})).into_output().unwrap(), Value::Null);
        assert_eq!(run(json!({"run_status": "completed", "output": null})).output_as::<Option<u8>>().unwrap(), None);
    }
}
