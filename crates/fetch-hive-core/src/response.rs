use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_types::{InvokeWorkflowResponse, OutputError, RequestId};
use http::{HeaderMap, Response, StatusCode};
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::lenient::{self, ParseError, Parsed, UnreadableField};
use crate::request_id::header_request_id;
use crate::{ApiError, DecodeError, Endpoint, Error, Operation};

/// A successful response: the parsed value and the HTTP response around it.
///
/// It dereferences to the value. `Debug` shows the value, and only the length of the body.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiResponse<T> {
    value: T,
    parts: Box<ApiResponseParts>,
}

/// The parts of an [`ApiResponse`] except for its value.
///
/// `Debug` shows the length of the body, and not its content or the headers.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct ApiResponseParts {
    /// The HTTP status of the response.
    pub status: StatusCode,
    /// The HTTP headers of the response.
    pub headers: HeaderMap,
    /// The response body as bytes. It may contain a webhook secret.
    pub body: Bytes,
    /// The number of times that the request was sent.
    pub attempts: u32,
    /// The total delay between the attempts.
    pub waited: Duration,
    /// The fields of the body that could not be read and are absent from the value.
    pub unreadable: Vec<UnreadableField>,
}

impl ApiResponseParts {
    pub(crate) fn new(parts: http::response::Parts, body: Bytes) -> Self {
        let unreadable = Vec::new();
        Self { status: parts.status, headers: parts.headers, body, attempts: 1, waited: Duration::ZERO, unreadable }
    }

    /// Returns the `x-request-id` header of the response.
    ///
    /// The service is not known to send one. The id of a run is a field of the value.
    pub fn request_id(&self) -> Option<RequestId> {
        header_request_id(&self.headers)
    }
}

impl<T> ApiResponse<T> {
    pub(crate) fn new(value: T, parts: ApiResponseParts) -> Self {
        Self { value, parts: Box::new(parts) }
    }

    /// Returns the parsed value, and drops the HTTP response.
    pub fn into_value(self) -> T {
        self.value
    }

    /// Splits the response into its value and its parts.
    pub fn into_parts(self) -> (T, ApiResponseParts) {
        (self.value, *self.parts)
    }

    /// Returns the parts of the response except for its value.
    pub fn parts(&self) -> &ApiResponseParts {
        &self.parts
    }

    /// Returns the HTTP status of the response.
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// Returns the HTTP headers of the response.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Returns the body of the response as bytes.
    pub fn body(&self) -> &Bytes {
        &self.parts.body
    }

    /// Returns the fields of the body that could not be read and are absent from the value.
    ///
    /// Their values are still contained in [`body`](Self::body).
    pub fn unreadable_fields(&self) -> &[UnreadableField] {
        &self.parts.unreadable
    }

    /// Sets the number of attempts and the total delay between them.
    ///
    /// Clients that use the [retry engine](crate::retry) call this method.
    #[must_use]
    pub fn with_attempts(mut self, attempts: u32, waited: Duration) -> Self {
        self.parts.attempts = attempts;
        self.parts.waited = waited;
        self
    }
}

impl ApiResponse<InvokeWorkflowResponse> {
    /// Returns the output of the run, as [`InvokeWorkflowResponse::into_output`] does.
    ///
    /// # Errors
    ///
    /// Returns [`OutputError`] when the run failed, has not completed, or has no output.
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
            .field("unreadable", &self.unreadable)
            .finish_non_exhaustive()
    }
}

/// Checks the status of a response to a raw request, and returns its body.
///
/// # Errors
///
/// Returns [`Error::Api`] when the status is not a success.
pub fn parse_raw_response(operation: &Operation, response: Response<Bytes>) -> Result<ApiResponse<Bytes>, Error> {
    if !response.status().is_success() {
        return Err(Error::Api(Box::new(ApiError::new(operation, response))));
    }
    let (parts, body) = response.into_parts();
    Ok(ApiResponse::new(body.clone(), ApiResponseParts::new(parts, body)))
}

/// Parses the response to the request of an endpoint.
///
/// A malformed field does not make the response unreadable: see
/// [`unreadable_fields`](ApiResponse::unreadable_fields).
///
/// # Errors
///
/// Returns [`Error::Api`] when the status is not a success. Returns [`Error::Decode`] when the
/// status is a success and the body cannot be parsed. Both errors keep the status, the headers and
/// the body.
pub fn parse_response<E: Endpoint>(response: Response<Bytes>) -> Result<ApiResponse<E::Response>, Error> {
    if !response.status().is_success() {
        return Err(Error::Api(Box::new(ApiError::new(&Operation::of::<E>(), response))));
    }
    let (parts, body) = response.into_parts();
    let is_empty = E::ALLOWS_EMPTY_BODY && body.trim_ascii().is_empty();
    match decode(E::ENVELOPE, if is_empty { b"{}" } else { &body }) {
        Ok(Parsed { value, unreadable }) => {
            let mut parts = ApiResponseParts::new(parts, body);
            parts.unreadable = unreadable;
            Ok(ApiResponse::new(value, parts))
        }
        Err(ParseError { kind, error }) => Err(Error::Decode(Box::new(DecodeError {
            operation: E::NAME,
            status: parts.status,
            headers: parts.headers,
            body,
            kind,
            error,
        }))),
    }
}

fn decode<T: DeserializeOwned>(envelope: Option<&'static str>, body: &[u8]) -> Result<Parsed<T>, ParseError> {
    match decode_strictly(envelope, body) {
        Ok(value) => Ok(Parsed { value, unreadable: Vec::new() }),
        Err(error) => lenient::from_slice_in(envelope, body, error),
    }
}

fn decode_strictly<T: DeserializeOwned>(envelope: Option<&'static str>, body: &[u8]) -> Result<T, serde_json::Error> {
    let Some(key) = envelope else { return serde_json::from_slice(body) };
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    match deserializer.deserialize_map(Envelope { key, value: PhantomData })? {
        Some(value) => deserializer.end().map(|()| value),
        // The service sends some responses with and without an envelope.
        None => serde_json::from_slice(body),
    }
}

/// A visitor that reads the value of one key of an object.
struct Envelope<T> {
    key: &'static str,
    value: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Envelope<T> {
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
    fn envelope_is_optional() {
        for body in [r#"{"request":{"id":1},"x":2}"#, r#"{"id":1}"#] {
            let value = decode::<Value>(Some("request"), body.as_bytes()).unwrap().value;
            assert_eq!(value, json!({"id": 1}), "{body}");
        }
        assert_eq!(decode::<Vec<u8>>(Some("list"), b"[1]").unwrap().value, [1]);
        assert!(decode::<Vec<u8>>(Some("list"), b"{}").is_err());
        let with_rest = decode::<Vec<u8>>(Some("list"), b"{\"list\":[1]} x").unwrap();
        assert_eq!((with_rest.value, with_rest.unreadable.len()), (vec![1], 1));
    }

    #[test]
    fn decode_errors_keep_headers_and_body() {
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
