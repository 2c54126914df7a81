//! The lines of a recording.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fetch_hive_client::{Timeout, TransportErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::redact::Secrets;

#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    /// The position of the request among all requests. Lines are written when the bodies end, so
    /// their order can differ.
    pub(super) number: u64,
    pub(super) request: RecordedRequest,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) response: Option<RecordedResponse>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) error: Option<RecordedError>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RecordedRequest {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: RecordedBody,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RecordedResponse {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: RecordedBody,
    /// Whether the connection failed in the body, or the caller dropped the body before its end.
    #[serde(default)]
    pub(super) incomplete: bool,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum RecordedBody {
    Text(String),
    Base64 { base64: String },
}

impl RecordedBody {
    /// Redacts a body, and adds the secrets found in it to the set.
    ///
    /// A body that is not UTF-8 is kept until [`redact`](Self::redact) is called.
    pub(super) fn new(body: &[u8], secrets: &mut Secrets) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self::Text(secrets.redact_body(text)),
            Err(_) => Self::Base64 { base64: STANDARD.encode(body) },
        }
    }

    /// Replaces every known secret.
    pub(super) fn redact(self, secrets: &Secrets) -> Self {
        match self {
            Self::Text(text) => Self::Text(secrets.replace_all(&text)),
            Self::Base64 { base64 } => {
                let bytes = secrets.replace_all_in_bytes(STANDARD.decode(base64).unwrap_or_default());
                Self::Base64 { base64: STANDARD.encode(bytes) }
            }
        }
    }

    pub(super) fn json(&self) -> Option<Value> {
        match self {
            Self::Text(text) => serde_json::from_str(text).ok(),
            Self::Base64 { .. } => None,
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Base64 { base64 } => STANDARD.decode(base64).unwrap_or_default().into(),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RecordedError {
    NotSent,
    MayHaveRun,
    QueueTimeout,
    ConnectTimeout,
    HeadersTimeout,
    IdleTimeout,
    DeadlineTimeout,
}

impl From<TransportErrorKind> for RecordedError {
    fn from(kind: TransportErrorKind) -> Self {
        match kind {
            TransportErrorKind::NotSent => Self::NotSent,
            TransportErrorKind::Timeout(Timeout::Queue) => Self::QueueTimeout,
            TransportErrorKind::Timeout(Timeout::Connect) => Self::ConnectTimeout,
            TransportErrorKind::Timeout(Timeout::Headers) => Self::HeadersTimeout,
            TransportErrorKind::Timeout(Timeout::Idle) => Self::IdleTimeout,
            TransportErrorKind::Timeout(Timeout::Deadline) => Self::DeadlineTimeout,
            // This covers `MayHaveRun`, and kinds that are added later.
            _ => Self::MayHaveRun,
        }
    }
}
