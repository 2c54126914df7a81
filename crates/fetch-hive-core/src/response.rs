use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_types::{OutputError, RequestId, InvokeWorkflowResponse};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// A successful reply: its value, which it derefs to, and everything around it.
///
/// `Debug` shows the value, which you asked for, and the length of the raw body.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiResponse<T> {
    value: T,
    parts: Box<ApiResponseParts>,
}

/// What surrounds the value of a [`Reply`].
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiResponseParts {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it came. It may hold a webhook secret.
    pub body: Bytes,
    /// How often the request was sent.
    pub attempts: u32,
    /// How long was waited between the attempts.
    pub waited: Duration,
}

impl ApiResponseParts {
    pub(crate) fn new(parts: http::response::Parts, body: Bytes) -> Self {
        Self { status: parts.status, headers: parts.headers, body, attempts: 1, waited: Duration::ZERO }
    }

    /// The reply's `x-request-id` header, if it has one. The public id of a run stands in the value.
    pub fn request_id(&self) -> Option<RequestId> {
        crate::api_error::header_request_id(&self.headers)
    }
}

impl<T> ApiResponse<T> {
    pub(crate) fn new(value: T, parts: ApiResponseParts) -> Self {
        Self { value, parts: Box::new(parts) }
    }

    /// The value alone.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The value and what surrounds it.
    pub fn into_parts(self) -> (T, ApiResponseParts) {
        (self.value, *self.parts)
    }

    /// What surrounds the value.
    pub fn parts(&self) -> &ApiResponseParts {
        &self.parts
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.parts.body
    }

    /// How often the request was sent, and how long was waited in between. For clients that run the
    /// [call engine](crate::engine).
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32, waited: Duration) -> Self {
        self.parts.attempts = attempts;
        self.parts.waited = waited;
        self
    }
}

impl ApiResponse<InvokeWorkflowResponse> {
    /// [`InvokeWorkflowResponse::into_output`], without taking the reply apart first.
    ///
    /// # Errors
    ///
    /// [`OutputError`] when the run failed or has not completed.
    pub fn into_output(self) -> Result<Value, OutputError> {
        self.value.into_output()
    }
}

impl<T> Deref for ApiResponse<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for ApiResponse<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl fmt::Debug for ApiResponseParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiResponseParts")
            .field("status", &self.status)
            .field("request_id", &self.request_id())
            .field("attempts", &self.attempts)
            .field("waited", &self.waited)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}
