use std::fmt;

use bytes::Bytes;
use fetch_hive_types::RequestId;
use http::{HeaderMap, StatusCode};

use crate::request_id::find_request_id;
use crate::{ApiError, InvalidInput};

/// What can go wrong between a typed request and a typed reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request was refused before it was sent.
    #[error(transparent)]
    Invalid(Box<InvalidInput>),
    /// The service answered with a status that is no success.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The status is a success and the body is not the documented one.
    #[error(transparent)]
    Decode(Box<DecodeError>),
}

impl From<InvalidInput> for Error {
    fn from(invalid: InvalidInput) -> Self {
        Self::Invalid(Box::new(invalid))
    }
}

/// A reply with a success status whose body could not be read: the operation was done, and its result is in
/// [`body`](DecodeError::body).
///
/// `Display` and `Debug` show where the body stops to fit, and never the body.
#[non_exhaustive]
pub struct DecodeError {
    /// The operation.
    pub operation: &'static str,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
    /// What did not fit. Its text may quote the body, so it is no `source()` that would be printed with the error.
    pub error: serde_json::Error,
}

impl DecodeError {
    /// The reply's `request_id`, if it can be found, else its `x-request-id` header.
    pub fn request_id(&self) -> Option<RequestId> {
        find_request_id(&self.headers, &self.body)
    }

    fn content_type(&self) -> &str {
        self.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("no content type")
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, status, body, error, .. } = self;
        let what = match error.classify() {
            serde_json::error::Category::Data => "is JSON of another shape than documented",
            serde_json::error::Category::Eof => "ends before its JSON does",
            _ => "is not JSON",
        };
        write!(
            f,
            "{operation} was done ({status}), but the reply ({} bytes, {}) {what} from line {}, column {} on; its body is in the error",
            body.len(),
            self.content_type(),
            error.line(),
            error.column(),
        )
    }
}

impl fmt::Debug for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodeError")
            .field("operation", &self.operation)
            .field("status", &self.status)
            .field("content_type", &self.content_type())
            .field("body_length", &self.body.len())
            .field("line", &self.error.line())
            .field("column", &self.error.column())
            .finish_non_exhaustive()
    }
}

impl std::error::Error for DecodeError {}
