use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_types::{InvokeWorkflowResponse, OutputError, RequestId};
use http::{HeaderMap, Response, StatusCode};
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::request_id::header_request_id;
use crate::{ApiError, DecodeError, Endpoint, Error};

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
        header_request_id(&self.headers)
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

/// Takes the whole response to a request that was put together by hand.
///
/// # Errors
///
/// [`Error::Api`] when the status is no success.
pub fn parse_raw_response(operation: &'static str, response: Response<Bytes>) -> Result<ApiResponse<Bytes>, Error> {
    if !response.status().is_success() {
        return Err(Error::Api(Box::new(ApiError::new(operation, response))));
    }
    let (parts, body) = response.into_parts();
    Ok(ApiResponse::new(body.clone(), ApiResponseParts::new(parts, body)))
}

/// Reads the whole response to an endpoint's request.
///
/// # Errors
///
/// [`Error::Api`] when the status is no success, [`Error::Decode`] when it is and the body is not the documented one. Both keep
/// status, headers and body.
pub fn parse_response<E: Endpoint>(response: Response<Bytes>) -> Result<ApiResponse<E::Response>, Error> {
    if !response.status().is_success() {
        return Err(Error::Api(Box::new(ApiError::new(E::NAME, response))));
    }
    let (parts, body) = response.into_parts();
    match decode(E::ENVELOPE, if E::ALLOWS_EMPTY_BODY && body.is_empty() { b"{}" } else { &body }) {
        Ok(value) => Ok(ApiResponse::new(value, ApiResponseParts::new(parts, body))),
        Err(error) => Err(Error::Decode(Box::new(DecodeError {
            operation: E::NAME,
            status: parts.status,
            headers: parts.headers,
            body,
            error,
        }))),
    }
}

fn decode<T: DeserializeOwned>(envelope: Option<&'static str>, body: &[u8]) -> Result<T, serde_json::Error> {
    let Some(key) = envelope else { return serde_json::from_slice(body) };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match (Unwrap { key, value: PhantomData }).deserialize(&mut deserializer) {
        Ok(Some(value)) => deserializer.end().map(|()| value),
        // Flat after all: the contract names replies that come in both forms.
        Ok(None) => serde_json::from_slice(body),
        Err(error) if error.is_data() => serde_json::from_slice(body).map_err(|_| error),
        Err(error) => Err(error),
    }
}

/// Reads the value under one key of an object and passes over the others.
struct Unwrap<T> {
    key: &'static str,
    value: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Unwrap<T> {
    type Value = Option<T>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Unwrap<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the key `{}`", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.key {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use fetch_hive_types::InvokeWorkflow;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrapped_and_a_flat_reply_are_read_alike() {
        for body in [r#"{"request":{"id":1},"x":2}"#, r#"{"id":1}"#] {
            let value: Value = decode(Some("request"), body.as_bytes()).unwrap();
            assert_eq!(value, json!({"id": 1}), "{body}");
        }
        assert_eq!(decode::<Vec<u8>>(Some("list"), b"[1]").unwrap(), [1]);
        assert!(decode::<Vec<u8>>(Some("list"), b"{}").is_err());
        assert!(decode::<Vec<u8>>(Some("list"), b"{\"list\":[1]} x").is_err());
    }

    #[test]
    fn replies_that_are_no_json_keep_everything() {
        for body in ["<html></html>", "", "{\"request_id\":\"req_1\",\"out"] {
            let response = Response::builder().header("x-request-id", "h1").body(Bytes::from(body)).unwrap();
            let Err(Error::Decode(error)) = parse_response::<InvokeWorkflow>(response) else { panic!("{body}") };
            assert_eq!(error.body, body);
            assert_eq!(error.request_id().unwrap(), "h1");
            assert!(body.is_empty() || !format!("{error} {error:?}").contains(body));
        }
        assert!(size_of::<Error>() <= 64);
    }
}
