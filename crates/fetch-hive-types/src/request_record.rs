use crate::macros::{record, request};
use crate::{Extra, InvokeWorkflowResponse, MissingField, RequestId, RunStatus, Timestamp};

request! {
    /// Looks a run up: `GET /public/requests/{id}`, the one way to poll (contract, section 2).
    GetRequest(
        /// The public id of the run, `req_…`.
        id: RequestId,
    );
}

record! {
    /// What the service remembers of a run (contract, section 10). Sources differ on whether it comes wrapped in `request`; both are
    /// read.
    RequestRecord {
        /// An id of the record itself.
        id: Option<String>,
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// Where the run stands.
        status: Option<RunStatus>,
        /// What kind of run it is, such as `prompt_completion`.
        request_type: Option<String>,
        /// The kind of record behind it.
        requestable_type: Option<String>,
        /// The id of that record.
        requestable_id: Option<String>,
        /// What the service says of it.
        message: Option<String>,
        /// When the record was made.
        generated_at: Option<Timestamp>,
        /// When the run began.
        started_at: Option<Timestamp>,
        /// When it ended.
        ended_at: Option<Timestamp>,
        /// The service's own facts.
        metadata: Option<Extra>,
        /// The facts that the caller attached.
        user_metadata: Option<Extra>,
        /// The run's data, its output among it.
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

    /// Whether the run has ended, well or badly. A status that this version does not know is an end only with the time of it.
    pub fn has_ended(&self) -> bool {
        let ends = |status: &RunStatus| matches!(status.as_str(), "completed" | "failed" | "cancelled" | "expired");
        self.status.as_ref().is_some_and(ends) || self.ended_at.is_some()
    }

    /// Whether the run waits for the decision on a tool action, and goes on by itself after it (contract, section 8).
    pub fn is_awaiting_approval(&self) -> bool {
        !self.has_ended() && self.status.as_ref().is_some_and(|status| status.as_str() == "awaiting_approval")
    }

    /// The record as a run, for its output: which of the data that is, is unconfirmed; `output` and `response` are taken.
    pub fn to_run(&self) -> InvokeWorkflowResponse {
        let mut run = crate::callback::run(self.request_id.as_ref(), self.status.clone(), self.data.as_ref());
        run.error = run.error.or_else(|| self.message.clone().filter(|_| run.run_status == Some(RunStatus::Failed)));
        run
    }
}
