use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::macros::record;
use crate::open_enum::open_enum;
use crate::{Extra, InvokeWorkflowResponse, MissingField, OutputError, RequestId, RunStatus};

open_enum! {
    /// The type of an event in a callback.
    ///
    /// The first three types are documented. The others are named by analogy, which is our
    /// decision, and unconfirmed. See the [contract](crate::contract#callbacks).
    CallbackEventType {
        /// An agent has finished its run and answered.
        AgentCompleted = "agent.completed",
        /// An agent has failed to answer.
        AgentFailed = "agent.failed",
        /// A delegation of an agent has ended.
        ///
        /// The event is signed with the secret of the parent agent.
        AgentDelegationCompleted = "agent.delegation.completed",
        /// A workflow has finished its run.
        WorkflowCompleted = "workflow.completed",
        /// A workflow has failed during its run.
        WorkflowFailed = "workflow.failed",
        /// A prompt has finished its run.
        PromptCompleted = "prompt.completed",
        /// A prompt has failed during its run.
        PromptFailed = "prompt.failed",
        /// A hive agent has finished its run.
        HiveAgentCompleted = "hive_agent.completed",
        /// A hive agent has failed during its run.
        HiveAgentFailed = "hive_agent.failed",
        /// The run of a hive agent was cancelled.
        HiveAgentCancelled = "hive_agent.cancelled",
    }
}

record! {
    /// An event that the service posts to a callback URL.
    ///
    /// Its content does not prove where it comes from: verify the signature of the request before
    /// you trust an event. See the [contract](crate::contract#callbacks).
    CallbackEvent {
        /// The type of the event, such as `workflow.completed`.
        event_type: Option<CallbackEventType>,
        /// The public id of the run that the event belongs to.
        request_id: Option<RequestId>,
        /// The outcome of the run, such as its output, its response or its error.
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
    /// The place of the field `user_metadata` in an event is unconfirmed. It is read from
    /// [`data`](Self::data), and from the top level of the event if `data` does not have it.
    pub fn user_metadata(&self) -> Option<&Map<String, Value>> {
        self.get("user_metadata").or_else(|| self.extra.get("user_metadata"))?.as_object()
    }

    /// Returns a field of the event's `data`, or `None` if it is missing or null.
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.data.as_ref()?.get(field).filter(|value| !value.is_null())
    }

    /// Returns the output of a workflow.
    pub fn output(&self) -> Option<&Value> {
        self.get("output")
    }

    /// Returns the text that an agent or a prompt answered with.
    pub fn response(&self) -> Option<&str> {
        self.get("response")?.as_str()
    }

    /// Returns the reason why the run failed, if it is a string.
    ///
    /// Use `get("error")` for an error of another type.
    pub fn error(&self) -> Option<&str> {
        self.get("error")?.as_str()
    }

    /// Returns the status of the run.
    ///
    /// The status in the event's `data` takes precedence. Without it, the status is the last part
    /// of the event type, such as `failed` in `agent.failed`.
    pub fn run_status(&self) -> Option<RunStatus> {
        let stated = self.get("run_status").or_else(|| self.get("status")).and_then(Value::as_str);
        let from_type = || self.event_type.as_ref()?.as_str().rsplit_once('.').map(|(_, end)| end);
        stated.or_else(from_type).map(RunStatus::from)
    }

    /// Returns whether the event is the last one of its run.
    ///
    /// Events of a delegation and events with a status such as `running` are not. An event of an
    /// unknown type counts as the last one, so that a waiting caller does not wait forever.
    pub fn ends_run(&self) -> bool {
        let of_delegation = matches!(self.event_type, Some(CallbackEventType::AgentDelegationCompleted));
        let continues = |status: &RunStatus| {
            matches!(status.as_str(), "running" | "queued" | "pending" | "started" | "awaiting_approval")
        };
        !of_delegation && self.delegation_id().is_none() && !self.run_status().as_ref().is_some_and(continues)
    }

    /// Returns the id of the delegation that the event belongs to, if there is one.
    ///
    /// One run can have several delegations. The name of the field is unconfirmed: `delegation_id`
    /// and `delegation.id` are read, and `id` for `agent.delegation.completed`.
    pub fn delegation_id(&self) -> Option<&str> {
        let nested = || self.get("delegation")?.get("id");
        let own =
            || matches!(self.event_type, Some(CallbackEventType::AgentDelegationCompleted)).then(|| self.get("id"))?;
        self.get("delegation_id").or_else(nested).or_else(own)?.as_str()
    }

    /// Converts the event to the response that a direct run would have returned.
    ///
    /// The output is the output of a workflow, or the response of an agent or a prompt.
    pub fn to_run(&self) -> InvokeWorkflowResponse {
        run(self.request_id.as_ref(), self.run_status(), self.data.as_ref())
    }

    /// Returns the output of a completed run.
    ///
    /// # Errors
    ///
    /// Returns an error if the run has failed or has not completed, as
    /// [`InvokeWorkflowResponse::into_output`] does.
    pub fn into_output(self) -> Result<Value, OutputError> {
        self.to_run().into_output()
    }

    /// Deserializes the output of a completed run.
    ///
    /// # Errors
    ///
    /// Returns an error if the run has failed or has not completed, or if the output cannot be
    /// deserialized as `T`, as [`InvokeWorkflowResponse::output_as`] does.
    pub fn output_as<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.to_run().output_as()
    }

    /// Deserializes JSON in the text output of a completed run.
    ///
    /// See [`InvokeWorkflowResponse::output_json`] for the accepted forms of text.
    ///
    /// # Errors
    ///
    /// Returns an error if the run has failed or has not completed, or if the text does not hold a
    /// `T`, as [`InvokeWorkflowResponse::output_json`] does.
    pub fn output_json<T: DeserializeOwned>(&self) -> Result<T, OutputError> {
        self.to_run().output_json()
    }
}

/// Builds a response from the status and the data of a run.
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
    fn status_in_data_takes_precedence_over_the_type() {
        let done =
            event(json!({"event_type": "workflow.completed", "request_id": "req_1", "data": {"output": {"a": 1}}}));
        assert_eq!(done.run_status(), Some(RunStatus::Completed));
        assert_eq!(done.output_as::<Value>().unwrap(), json!({"a": 1}));
        let answered = event(json!({"event_type": "agent.completed", "data": {"response": "hi", "error": null}}));
        assert_eq!((answered.response(), answered.error()), (Some("hi"), None));
        assert_eq!(answered.into_output().unwrap(), "hi");
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
    fn only_the_last_event_ends_the_run() {
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
    fn delegation_id_is_read_from_each_known_field() {
        for data in [json!({"delegation_id": "d1"}), json!({"delegation": {"id": "d1"}}), json!({"id": "d1"})] {
            let event = event(json!({"event_type": "agent.delegation.completed", "data": data}));
            assert_eq!(event.delegation_id(), Some("d1"));
        }
        assert_eq!(event(json!({"event_type": "agent.completed", "data": {"id": "x"}})).delegation_id(), None);
    }
}
