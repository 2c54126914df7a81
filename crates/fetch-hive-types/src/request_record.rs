use crate::macros::{record, request};
use crate::{Extra, InvokeWorkflowResponse, MissingField, RequestId, RunStatus, Timestamp};

request! {
    /// A request to look up a run.
    ///
    /// The request is `GET /public/requests/{id}`, which is the only known way to poll a run. See
    /// the [contract](crate::contract#endpoints).
    GetRequest(
        /// The public id of the run, such as `req_019b1ad1193763f2367afc4cda5ab9df`.
        id: RequestId,
    );
}

record! {
    /// The record that the service keeps of a run.
    ///
    /// It is unknown whether a record holds the output of the run. See the
    /// [contract](crate::contract#resources).
    RequestRecord {
        /// The internal id of the record.
        id: Option<String>,
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The status of the run, such as `completed`.
        status: Option<RunStatus>,
        /// The kind of run, such as `prompt_completion`.
        request_type: Option<String>,
        /// The kind of the underlying record, such as `Completion`.
        requestable_type: Option<String>,
        /// The id of the underlying record.
        requestable_id: Option<String>,
        /// A human-readable message about the run.
        message: Option<String>,
        /// The time at which the record was created.
        generated_at: Option<Timestamp>,
        /// The time at which the run started.
        started_at: Option<Timestamp>,
        /// The time at which the run ended.
        ended_at: Option<Timestamp>,
        /// The metadata that the service attached to the run.
        metadata: Option<Extra>,
        /// The metadata that the caller attached to the run.
        user_metadata: Option<Extra>,
        /// The data of the run, which may include its output.
        data: Option<Extra>,
    }
}

impl RequestRecord {
    /// Returns the public id of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `request_id`.
    pub fn request_id(&self) -> Result<&RequestId, MissingField> {
        MissingField::check(self.request_id.as_ref(), "request_id")
    }

    /// Returns whether the run has ended, with or without success.
    ///
    /// A run with an unknown status has ended only if the record has the time of its end.
    pub fn has_ended(&self) -> bool {
        let ends = |status: &RunStatus| matches!(status.as_str(), "completed" | "failed" | "cancelled" | "expired");
        self.status.as_ref().is_some_and(ends) || self.ended_at.is_some()
    }

    /// Returns whether the run waits for a decision on a tool action.
    ///
    /// The run resumes on the server after the decision. See the
    /// [contract](crate::contract#approvals).
    pub fn is_awaiting_approval(&self) -> bool {
        !self.has_ended() && self.status.as_ref().is_some_and(|status| status.as_str() == "awaiting_approval")
    }

    /// Converts the record to the response that a direct run would have returned.
    ///
    /// The output is read from `output`, `response` or `output_content` in the record's data, in
    /// this order. These names are unconfirmed. If the data has none of them, the response has no
    /// output, and its methods return [`OutputError::NoOutput`](crate::OutputError::NoOutput).
    pub fn to_run(&self) -> InvokeWorkflowResponse {
        let mut run = crate::callback::run(self.request_id.as_ref(), self.status.clone(), self.data.as_ref());
        let older_name = || self.data.as_ref()?.get("output_content").filter(|output| !output.is_null()).cloned();
        run.output = run.output.or_else(older_name);
        run.error = run.error.or_else(|| self.message.clone().filter(|_| run.run_status == Some(RunStatus::Failed)));
        run
    }
}
