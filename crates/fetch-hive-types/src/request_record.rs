use crate::model::{operation, record};
use crate::{Extra, RequestId, RunStatus, Timestamp};

operation! {
    /// Looks a run up: `GET /public/requests/{id}`, the one way to poll (contract, section 2).
    GetRequest {
        /// The public id of the run, `req_…`.
        id: RequestId,
    }
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
