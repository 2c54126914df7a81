use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::macros::record;
use crate::open_enum::open_enum;
use crate::{Extra, InvokeWorkflowResponse, MissingField, OutputError, RequestId, RunStatus};

open_enum! {
    /// What happened, in a callback (contract, section 4). The first three are documented; the others are named by analogy and
    /// unconfirmed.
    CallbackEventType {
        /// An agent answered.
        AgentCompleted = "agent.completed",
        /// An agent failed.
        AgentFailed = "agent.failed",
        /// Work that an agent handed off has ended; signed with the secret of the agent.
        AgentDelegationCompleted = "agent.delegation.completed",
        /// A workflow completed.
        WorkflowCompleted = "workflow.completed",
        /// A workflow failed.
        WorkflowFailed = "workflow.failed",
        /// A prompt completed.
        PromptCompleted = "prompt.completed",
        /// A prompt failed.
        PromptFailed = "prompt.failed",
        /// A hive agent completed.
        HiveAgentCompleted = "hive_agent.completed",
        /// A hive agent failed.
        HiveAgentFailed = "hive_agent.failed",
        /// A hive agent was cancelled.
        HiveAgentCancelled = "hive_agent.cancelled",
    }
}

record! {
    /// What the service posts to a callback URL (contract, section 4).
    CallbackEvent {
        /// What happened.
        event_type: Option<CallbackEventType>,
        /// The run that it happened to.
        request_id: Option<RequestId>,
        /// The outcome.
        data: Option<Extra>,
    }
}

impl CallbackEvent {
    /// Returns the public id of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the event has no `request_id`.
    pub fn request_id(&self) -> Result<&RequestId, MissingField> {
        MissingField::check(self.request_id.as_ref(), "request_id")
    }

    /// Returns the metadata that the caller attached to the run.
    ///
    /// The field is documented as `user_metadata`. Its place in the event is unconfirmed: it is read
    /// from `data` first, and from the top level of the event otherwise.
    pub fn user_metadata(&self) -> Option<&Map<String, Value>> {
        self.get("user_metadata").or_else(|| self.extra.get("user_metadata"))?.as_object()
    }

    /// A field of the outcome.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.data.as_ref()?.get(field).filter(|value| !value.is_null())
    }

    /// What a workflow made.
    pub fn output(&self) -> Option<&Value> {
        self.get("output")
    }

    /// What an agent or a prompt answered.
    pub fn response(&self) -> Option<&str> {
        self.get("response")?.as_str()
    }

    /// Why the run failed, if it says so in a text. The whole of it is in [`get`](Self::get).
    pub fn error(&self) -> Option<&str> {
        self.get("error")?.as_str()
    }

    /// Where the run stands: what the outcome says, else the end of the event's type, such as `failed` in `agent.failed`.
    pub fn run_status(&self) -> Option<RunStatus> {
        let said = self.get("run_status").or_else(|| self.get("status")).and_then(Value::as_str);
        let of_type = || self.event_type.as_ref()?.as_str().rsplit_once('.').map(|(_, end)| end);
        said.or_else(of_type).map(RunStatus::from)
    }

    /// Whether the event is the end of its run: not what became of a delegation of it, and not a run that goes on. An event of a type
    /// that this version does not know counts as an end, so that nobody waits past it.
    pub fn ends_run(&self) -> bool {
        let of_delegation = matches!(self.event_type, Some(CallbackEventType::AgentDelegationCompleted));
        let goes_on = |status: &RunStatus| {
            matches!(status.as_str(), "running" | "queued" | "pending" | "started" | "awaiting_approval")
        };
        !of_delegation && self.delegation_id().is_none() && !self.run_status().as_ref().is_some_and(goes_on)
    }

    /// The delegation that the event belongs to, if it does: one run can have several. Which field names it is unconfirmed.
    pub fn delegation_id(&self) -> Option<&str> {
        let nested = || self.get("delegation")?.get("id");
        let of_type =
            || matches!(self.event_type, Some(CallbackEventType::AgentDelegationCompleted)).then(|| self.get("id"))?;
        self.get("delegation_id").or_else(nested).or_else(of_type)?.as_str()
    }

    /// The event as a run, whose output is the workflow's output, or the answer of an agent or a prompt.
    pub fn to_run(&self) -> InvokeWorkflowResponse {
        run(self.request_id.as_ref(), self.run_status(), self.data.as_ref())
    }

    /// The output, if the run completed; see [`InvokeWorkflowResponse::into_output`].
    ///
    /// # Errors
    ///
    /// As [`InvokeWorkflowResponse::into_output`].
    pub fn into_output(self) -> Result<Value, OutputError> {
        self.to_run().into_output()
    }

    /// The output read as `T`, if the run completed; see [`InvokeWorkflowResponse::output_as`].
    ///
    /// # Errors
    ///
    /// As [`InvokeWorkflowResponse::output_as`].
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.to_run().output_as()
    }

    /// The output read as `T` from JSON inside a text; see [`InvokeWorkflowResponse::output_json`].
    ///
    /// # Errors
    ///
    /// As [`InvokeWorkflowResponse::output_json`].
    pub fn output_json<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.to_run().output_json()
    }
}

/// What is known of a run, in the shape of a workflow's reply.
pub(crate) fn run(
    request_id: Option<&RequestId>,
    run_status: Option<RunStatus>,
    data: Option<&Extra>,
) -> InvokeWorkflowResponse {
    let field = |name: &str| data?.get(name).filter(|value| !value.is_null());
    let error = field("error").map(|error| error.as_str().map_or_else(|| error.to_string(), str::to_owned));
    InvokeWorkflowResponse {
        request_id: request_id.cloned(),
        run_status,
        output: field("output").or_else(|| field("response")).cloned(),
        error,
        ..InvokeWorkflowResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(json: Value) -> CallbackEvent {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_event_says_how_the_run_ended() {
        let done =
            event(json!({"event_type": "workflow.completed", "request_id": "req_1", "data": {"output": {"a": 1}}}));
        assert_eq!(done.run_status(), Some(RunStatus::Completed));
        assert_eq!(done.output_as::<Value>().unwrap(), json!({"a": 1}));
        let answered = event(json!({"event_type": "agent.completed", "data": {"response": "hi", "error": null}}));
        assert_eq!((answered.response(), answered.error()), (Some("hi"), None));
        assert_eq!(answered.into_output().unwrap(), "hi");
        // The outcome is nearer than the type's name.
        let failed = event(
            json!({"event_type": "workflow.completed", "request_id": "req_2", "data": {"run_status": "failed", "error": "no"}}),
        );
        assert_eq!(failed.into_output().unwrap_err().to_string(), "the run req_2 failed: no");
        let failed = event(json!({"event_type": "agent.failed", "data": {"error": {"code": 1}}}));
        assert_eq!(failed.to_run().error.as_deref(), Some("{\"code\":1}"));
        let unknown = event(json!({"event_type": "brand.new"}));
        assert_eq!(unknown.run_status(), Some(RunStatus::from("new")));
        assert!(unknown.into_output().is_err());
    }

    #[test]
    fn the_end_of_a_run_is_told_from_what_happens_on_the_way() {
        for (ends, json) in [
            (true, json!({"event_type": "workflow.completed", "data": {"run_status": "completed"}})),
            (true, json!({"event_type": "hive_agent.cancelled"})),
            (true, json!({"event_type": "brand.new"})),
            (false, json!({"event_type": "workflow.started"})),
            (false, json!({"event_type": "agent.paused", "data": {"status": "awaiting_approval"}})),
            (false, json!({"event_type": "agent.delegation.completed", "data": {}})),
            (false, json!({"event_type": "agent.completed", "data": {"delegation_id": "d"}})),
        ] {
            assert_eq!(event(json.clone()).ends_run(), ends, "{json}");
        }
    }

    #[test]
    fn delegations_are_told_apart_whatever_field_names_them() {
        for data in [json!({"delegation_id": "d1"}), json!({"delegation": {"id": "d1"}}), json!({"id": "d1"})] {
            let event = event(json!({"event_type": "agent.delegation.completed", "data": data}));
            assert_eq!(event.delegation_id(), Some("d1"));
        }
        assert_eq!(event(json!({"event_type": "agent.completed", "data": {"id": "x"}})).delegation_id(), None);
    }
}
