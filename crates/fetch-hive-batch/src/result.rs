use std::fmt;

use fetch_hive_store::batches::RowStatus;
use fetch_hive_types::{RequestId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The result of a row so far.
///
/// `Debug` shows neither the output nor the error.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RowResult {
    /// The status of the row.
    #[serde(with = "status_text")]
    pub status: RowStatus,
    /// The request id of the run, if it is known.
    pub request_id: Option<RequestId>,
    /// The output of the run.
    pub output: Option<Value>,
    /// The reason why the run failed, or why its outcome or output is unknown.
    pub error: Option<String>,
    /// The number of attempts to run the row.
    pub attempts: u32,
    /// The time at which the last attempt started.
    pub started_at: Option<Timestamp>,
    /// The duration of the last attempt in seconds.
    pub seconds: Option<f64>,
    /// The number of tokens that the run used.
    pub tokens: Option<u64>,
    /// Further details about the run, which are exported only to JSONL.
    pub details: Map<String, Value>,
}

impl RowResult {
    /// Creates a result with the given status.
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

/// Serializes the status as text, because the store crate does not depend on serde.
mod status_text {
    use fetch_hive_store::batches::RowStatus;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde requires")]
    pub(super) fn serialize<S: Serializer>(status: &RowStatus, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(status.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RowStatus, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = RowStatus::ALL.into_iter().find(|status| status.as_str() == text);
        known.ok_or_else(|| D::Error::custom(format_args!("unknown status {text:?}")))
    }
}
