//! Decides what a response or an error means for its row.

use std::time::{Duration, SystemTime};

use fetch_hive_client::types::{
    InvokeAgentResponse, InvokePromptResponse, InvokeWorkflowResponse, OutputError, RunStatus, TokenUsage,
};
use fetch_hive_client::{ApiError, ApiResponse, Error as ClientError, ErrorKind, ErrorPayload};
use fetch_hive_store::batches::RowUpdate;
use serde::Deserialize as _;
use serde_json::Value;

use crate::{RowResult, RowStatus};

/// The interval at which an accepted run without a callback is looked up.
pub(super) const LOOK_UP_INTERVAL: Duration = Duration::from_secs(60);

/// An attempt to run a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttemptId {
    pub(super) number: u64,
    pub(super) attempt: u64,
    pub(super) started: SystemTime,
}

/// Converts the response to a run into a workflow response.
pub(super) trait ToRun {
    fn to_run(&self) -> InvokeWorkflowResponse;
}

impl ToRun for InvokeWorkflowResponse {
    fn to_run(&self) -> InvokeWorkflowResponse {
        self.clone()
    }
}

impl ToRun for InvokePromptResponse {
    fn to_run(&self) -> InvokeWorkflowResponse {
        let mut run = InvokeWorkflowResponse::default();
        run.request_id.clone_from(&self.request_id);
        run.run_status = Some(RunStatus::Completed);
        run.output = self.response.clone().map(Value::String);
        run
    }
}

impl ToRun for InvokeAgentResponse {
    fn to_run(&self) -> InvokeWorkflowResponse {
        let mut run = InvokeWorkflowResponse::default();
        run.request_id.clone_from(&self.request_id);
        let status = self.status.as_ref().map_or("completed", |status| status.as_str());
        run.run_status = Some(RunStatus::from(status));
        run.output = self.response.clone().map(Value::String);
        run
    }
}

impl AttemptId {
    /// Returns the change for a response or an error.
    pub(super) fn after_response<R: ToRun>(&self, response: &Result<ApiResponse<R>, ClientError>) -> RowUpdate {
        match response {
            Ok(response) => self.after_run(response.to_run(), response.body(), false),
            Err(error) => self.after_error(error),
        }
    }

    /// Returns the change for a run whose status is known. If the run has ended, its row is settled
    /// even if the status is neither `completed` nor `failed`.
    pub(super) fn after_run(&self, run: InvokeWorkflowResponse, body: &[u8], has_ended: bool) -> RowUpdate {
        let body = json(body);
        let mut result = RowResult { request_id: run.request_id.clone(), ..RowResult::default() };
        result.tokens = tokens(&body);
        result.seconds = self.seconds();
        let request_id = run.request_id.as_ref().map(ToString::to_string);
        let (state, verdict) = match run.into_output() {
            Ok(output) => {
                result.output = Some(output);
                (RowStatus::Succeeded, "completed".to_owned())
            }
            Err(OutputError::Failed(failed)) => {
                result.error = Some(failed.to_string());
                (RowStatus::Failed, "failed".to_owned())
            }
            Err(OutputError::NotCompleted { run_status: Some(status), .. }) if has_ended => {
                result.error = Some(format!("the run ended with the status `{status}`"));
                (RowStatus::Failed, format!("ended as {status}"))
            }
            Err(error @ OutputError::NotCompleted { run_status: Some(_), .. }) => {
                let mut update = self.update(RowStatus::Accepted, error.to_string(), request_id, None);
                update.look_up_in = Some(LOOK_UP_INTERVAL);
                return update;
            }
            Err(error) => {
                result.error = Some(format!("{error}; see the response in the details"));
                (RowStatus::Succeeded, "completed without a readable output".to_owned())
            }
        };
        result.details.insert("response".to_owned(), body);
        self.update(state, verdict, request_id, Some(result))
    }

    /// Returns the change for an error.
    pub(super) fn after_error(&self, error: &ClientError) -> RowUpdate {
        let request_id = error.request_id();
        let text = error.to_string();
        let mut result = RowResult { request_id: request_id.clone(), ..RowResult::default() };
        result.error = Some(text.clone());
        result.seconds = self.seconds();
        if let Some(body) = error.body().filter(|body| !body.is_empty()) {
            result.details.insert("response".to_owned(), json(body));
            result.tokens = tokens(&json(body));
        }
        let request_id = request_id.map(|id| id.to_string());
        match verdict(error) {
            Verdict::NotStarted { pause } => {
                let mut update = self.update(RowStatus::Ready, format!("not started: {text}"), request_id, None);
                update.retry_after = error.retry_after();
                update.pause = pause;
                update
            }
            // The service has accepted the run, so an event or a look-up will settle the row.
            Verdict::Settled(RowStatus::Accepted) => {
                let mut update = self.update(RowStatus::Accepted, text, request_id, None);
                update.look_up_in = Some(LOOK_UP_INTERVAL);
                update
            }
            Verdict::Settled(state) => self.update(state, text, request_id, Some(result)),
        }
    }

    /// Returns the change for a run whose outcome is unknown.
    pub(super) fn unknown(&self, reason: &str, request_id: Option<String>) -> RowUpdate {
        let mut result = RowResult { request_id: request_id.clone().map(Into::into), ..RowResult::default() };
        result.error = Some(reason.to_owned());
        self.update(RowStatus::Unknown, reason.to_owned(), request_id, Some(result))
    }

    fn update(
        &self,
        state: RowStatus,
        verdict: String,
        request_id: Option<String>,
        result: Option<RowResult>,
    ) -> RowUpdate {
        let mut update = RowUpdate::new(self.number, self.attempt, state, verdict);
        update.request_id = request_id;
        if let Some(mut result) = result {
            update.tokens = result.tokens.unwrap_or_default();
            result.status = state;
            // Serializing these types cannot fail.
            update.result = serde_json::to_vec(&result).ok();
        }
        update
    }

    /// Returns the seconds since the start of the attempt, rounded to milliseconds.
    fn seconds(&self) -> Option<f64> {
        let elapsed = SystemTime::now().duration_since(self.started).ok()?;
        Some((elapsed.as_secs_f64() * 1e3).round() / 1e3)
    }
}

enum Verdict {
    /// The run was certainly not started, so the row is sent again later.
    NotStarted {
        pause: Option<String>,
    },
    Settled(RowStatus),
}

fn verdict(error: &ClientError) -> Verdict {
    match error.kind() {
        // Invalid credentials affect every row.
        ErrorKind::Credentials(_) => Verdict::NotStarted { pause: Some(error.to_string()) },
        ErrorKind::Store(_) => Verdict::NotStarted { pause: None },
        // These errors affect every row.
        ErrorKind::Invalid(invalid) if invalid.field == "api_key" || invalid.field.ends_with("callback_url") => {
            Verdict::NotStarted { pause: Some(error.to_string()) }
        }
        ErrorKind::Invalid(_) => Verdict::Settled(RowStatus::Rejected),
        // A success response that cannot be parsed settles the row, and its body is kept.
        ErrorKind::Decode(_) | ErrorKind::TooLarge { .. } => Verdict::Settled(RowStatus::Succeeded),
        ErrorKind::Wait(_) if error.request_id().is_some() => Verdict::Settled(RowStatus::Accepted),
        ErrorKind::Api(api) => api_verdict(api, error),
        _ if error.may_have_run() => Verdict::Settled(RowStatus::Unknown),
        _ => Verdict::NotStarted { pause: None },
    }
}

fn api_verdict(api: &ApiError, error: &ClientError) -> Verdict {
    let is_own_body = matches!(api.payload, ErrorPayload::Documented(_));
    let code = error.code().map_or("", |code| code.as_str());
    // These errors affect every row, so the batch is paused.
    let concerns_all = matches!(
        code,
        "model_deprecated"
            | "personal_model_missing_credentials"
            | "personal_model_invalid_credentials"
            | "account_credit_cap_reached"
    );
    match api.status.as_u16() {
        _ if concerns_all && !api.status.is_server_error() => Verdict::NotStarted { pause: Some(error.to_string()) },
        401..=404 => Verdict::NotStarted { pause: Some(error.to_string()) },
        // The limiter reduces its limit, or pauses all runs until the daily cap is reset.
        429 => Verdict::NotStarted { pause: None },
        // Part of the request is too large, which affects only this row.
        413 | 414 | 431 => Verdict::Settled(RowStatus::Rejected),
        400 | 422 if is_own_body => Verdict::Settled(RowStatus::Rejected),
        500..=599 if is_own_body => Verdict::Settled(RowStatus::Failed),
        _ if error.may_have_run() => Verdict::Settled(RowStatus::Unknown),
        // A redirect or a response from a proxy affects every row.
        _ if !is_own_body => Verdict::NotStarted { pause: Some(error.to_string()) },
        _ => Verdict::Settled(RowStatus::Rejected),
    }
}

/// Returns a body as JSON without the webhook secret, or as text if it is not JSON.
fn json(body: &[u8]) -> Value {
    let Ok(mut value) = serde_json::from_slice(body) else {
        return Value::String(String::from_utf8_lossy(body).into_owned());
    };
    if let Value::Object(fields) = &mut value {
        fields.remove("webhook_secret");
    }
    value
}

/// Returns the number of tokens in the `usage` of a response or an event.
fn tokens(body: &Value) -> Option<u64> {
    let usage = body.get("usage").or_else(|| body.get("data")?.get("usage"))?;
    TokenUsage::deserialize(usage).ok()?.total()
}
