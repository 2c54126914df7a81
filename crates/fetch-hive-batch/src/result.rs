use std::fmt;

use fetch_hive_types::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The status of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RowStatus {
    /// The row has not been sent.
    #[default]
    Ready,
    /// The request is being sent.
    Starting,
    /// The service has accepted the run, and its outcome is pending.
    Accepted,
    /// The run has completed.
    Succeeded,
    /// The run has failed, and may be charged.
    Failed,
    /// The service rejected the request, which is not charged.
    Rejected,
    /// The run may have started, and its outcome is unknown.
    Unknown,
}

impl RowStatus {
    /// Returns the status as it appears in the results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Starting => "starting",
            Self::Accepted => "accepted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for RowStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The result of a row so far.
///
/// `Debug` shows neither the output nor the error.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RowResult {
    /// The status of the row.
    pub status: RowStatus,
    /// The public id of the run.
    pub request_id: Option<RequestId>,
    /// The output of the run.
    pub output: Option<Value>,
    /// The reason why the run failed or its outcome is unknown.
    pub error: Option<String>,
    /// The number of attempts.
    pub attempts: u32,
    /// The time at which the last attempt started.
    pub started_at: Option<Timestamp>,
    /// The duration of the run in seconds.
    pub seconds: Option<f64>,
    /// The number of tokens that the run used.
    pub tokens: Option<u64>,
    /// Other facts about the run, which only JSONL contains.
    pub details: Map<String, Value>,
}

impl RowResult {
    /// Creates the result of a row with a status.
    pub fn new(status: RowStatus) -> Self {
        Self { status, ..Self::default() }
    }
}

impl fmt::Debug for RowResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowResult")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("attempts", &self.attempts)
            .field("started_at", &self.started_at)
            .field("seconds", &self.seconds)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}
