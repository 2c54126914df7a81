use std::fmt;

use bytes::Bytes;
use fetch_hive_types::RequestId;
use http::{HeaderMap, StatusCode};

use crate::request_id::find_request_id;
use crate::{ApiError, InvalidInput};

/// An error that occurs when a request is built or a response is parsed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request is invalid and was not sent.
    #[error(transparent)]
    Invalid(Box<InvalidInput>),
    /// The service returned a status that is not a success.
    #[error(transparent)]
    Api(Box<ApiError>),
    /// The service returned a success status with a body that cannot be parsed.
    #[error(transparent)]
    Decode(Box<DecodeError>),
}

impl From<InvalidInput> for Error {
    fn from(invalid: InvalidInput) -> Self {
        Self::Invalid(Box::new(invalid))
    }
}

/// An error that occurs when the body of a successful response cannot be parsed.
///
/// The service performed the operation, and its result is in [`body`](DecodeError::body). `Display`
/// and `Debug` show the position of the parser error, and never the body.
#[non_exhaustive]
pub struct DecodeError {
    /// The name of the operation, such as `invokeWorkflow`.
    pub operation: &'static str,
    /// The HTTP status of the response.
    pub status: StatusCode,
    /// The HTTP headers of the response.
    pub headers: HeaderMap,
    /// The response body as bytes.
    pub body: Bytes,
    /// The parser error.
    ///
    /// Its message may quote the body, so it is not returned by `source()`, which would be printed
    /// with this error.
    pub error: serde_json::Error,
}

impl DecodeError {
    /// Returns the id of the run, from the body or else from the `x-request-id` header.
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
        let problem = match error.classify() {
            serde_json::error::Category::Data => "does not match the documented schema",
            serde_json::error::Category::Eof => "is incomplete JSON",
            _ => "is not JSON",
        };
        write!(
            f,
            "{operation} succeeded with {status}, but the response body of {} bytes ({}) {problem} \
             at line {}, column {}; read the result from the body in this error",
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
