use std::fmt;

use bytes::Bytes;
use fetch_hive_types::ApiKey;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request, Response};
use serde::de::{DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use zeroize::Zeroizing;

use crate::path::PathWriter;
use crate::response::ApiResponseParts;
use crate::{ApiError, Auth, BaseUrl, Body, DecodeError, Endpoint, Error, InvalidInput, Operation, ApiResponse};

/// The header that carries the webhook secret of a trigger (contract, section 4).
pub const WEBHOOK_SECRET_HEADER: &str = "x-fetch-hive-webhook-secret";

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Builds the requests of one service: its base URL and how we introduce ourselves.
///
/// ```
/// use fetch_hive_core::{Api, parse_response};
/// use fetch_hive_core::types::{ApiKey, InvokeWorkflow};
///
/// let api = Api::default();
/// let key = ApiKey::new("fhk_example")?;
/// let request = api.request(&InvokeWorkflow::new("weekly-report").input("topic", "enterprise AI"), Some(&key))?;
/// assert_eq!(request.uri(), "https://api.fetchhive.com/v1/workflow/invoke");
///
/// // Any HTTP client sends it; its answer is read with the same request type.
/// let answer = http::Response::new(bytes::Bytes::from(r#"{"request_id":"req_1","run_status":"completed","output":"done"}"#));
/// let run = parse_response::<InvokeWorkflow>(answer)?;
/// assert_eq!(run.output_text(), Some("done"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Api {
    base_url: BaseUrl,
    user_agent: HeaderValue,
}

impl Default for Api {
    fn default() -> Self {
        Self::new(BaseUrl::default())
    }
}

impl Api {
    /// The service at a base URL.
    pub fn new(base_url: BaseUrl) -> Self {
        let user_agent = HeaderValue::from_static(concat!("fetch-hive-rust/", env!("CARGO_PKG_VERSION")));
        Self { base_url, user_agent }
    }

    /// Adds the caller's own name and version to the user agent.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `user_agent` when a header cannot carry it.
    pub fn user_agent_suffix(mut self, suffix: impl fmt::Display) -> Result<Self, InvalidInput> {
        let own = self.user_agent.to_str().unwrap_or_default();
        self.user_agent = HeaderValue::try_from(format!("{own} {suffix}"))
            .map_err(|_| InvalidInput::new("user_agent", "holds a byte that a header cannot carry"))?;
        Ok(self)
    }

    /// The base URL.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Builds the request of an endpoint. Its extensions carry the [`Operation`].
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] when the endpoint's own checks fail, an id cannot stand in the path, the body cannot be written, or the
    /// operation needs a key and none is given.
    pub fn request<E: Endpoint>(&self, endpoint: &E, key: Option<&ApiKey>) -> Result<Request<Bytes>, InvalidInput> {
        self.request_with(endpoint, key.map(KeyHeader::new).transpose()?.as_ref())
    }

    /// As [`request`](Api::request), with the header of the key made beforehand.
    ///
    /// # Errors
    ///
    /// As [`request`](Api::request).
    pub fn request_with<E: Endpoint>(
        &self,
        endpoint: &E,
        key: Option<&KeyHeader>,
    ) -> Result<Request<Bytes>, InvalidInput> {
        endpoint.validate()?;
        let mut path = PathWriter::new(self.base_url.path(), E::PATH);
        endpoint.path(&mut path);
        let mut query = path.finish()?;
        endpoint.query(&mut query);

        let Body { content_type, bytes } = endpoint.body()?;
        let mut request = Request::new(bytes);
        *request.method_mut() = E::METHOD;
        *request.uri_mut() = self.base_url.with(query.finish())?;
        // With room for what a transport adds.
        *request.headers_mut() = HeaderMap::with_capacity(8);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(E::ACCEPT));
        headers.insert(USER_AGENT, self.user_agent.clone());
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        match endpoint.auth() {
            Auth::None => {}
            Auth::Key => {
                let key = key.ok_or_else(|| InvalidInput::new("api_key", "is required by this operation"))?;
                headers.insert(AUTHORIZATION, key.0.clone());
            }
            Auth::WebhookSecret(secret) => {
                secret.check().map_err(|invalid| InvalidInput::new("webhook_secret", invalid.to_string()))?;
                headers.insert(
                    WEBHOOK_SECRET_HEADER,
                    secret_header("webhook_secret", Zeroizing::new(secret.expose().to_owned()))?,
                );
            }
        }
        request.extensions_mut().insert(Operation::of::<E>());
        Ok(request)
    }
}

impl Api {
    /// Completes a request that was put together by hand: its path is taken below the base URL, and it gets the key and the user agent.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] when the URL leads to another host than the base URL: the key must not go there.
    pub fn complete(
        &self,
        mut request: Request<Bytes>,
        key: Option<&KeyHeader>,
    ) -> Result<Request<Bytes>, InvalidInput> {
        let uri = request.uri();
        if uri.scheme().is_none() {
            let path = uri.path_and_query().map_or("", |path| path.as_str());
            let slash = if path.starts_with('/') { "" } else { "/" };
            *request.uri_mut() = self.base_url.with(format!("{}{slash}{path}", self.base_url.path()))?;
        } else if !self.base_url.is_above(uri) {
            return Err(InvalidInput::new("uri", "is not below the base URL, and the API key must not go elsewhere"));
        }
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(JSON);
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, key.0.clone());
        }
        Ok(request)
    }
}

/// The header that carries an API key, made once for many requests. Its buffer is zeroed when the last request that holds it is gone.
#[derive(Clone, Debug)]
pub struct KeyHeader(HeaderValue);

impl KeyHeader {
    /// The header of a key.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `api_key` when a header cannot carry it; an [`ApiKey`] has been checked for that.
    pub fn new(key: &ApiKey) -> Result<Self, InvalidInput> {
        /// An owner whose buffer is zeroed.
        struct Bearer(ApiKey);

        impl AsRef<[u8]> for Bearer {
            fn as_ref(&self) -> &[u8] {
                self.0.bearer().as_bytes()
            }
        }

        secret_header("api_key", Bearer(key.clone())).map(Self)
    }
}

/// A header that no `Debug` shows, and whose buffer is its owner's to zero when the last clone of it is gone.
fn secret_header(field: &'static str, value: impl AsRef<[u8]> + Send + 'static) -> Result<HeaderValue, InvalidInput> {
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
        .map_err(|_| InvalidInput::new(field, "holds a byte that a header cannot carry"))?;
    header.set_sensitive(true);
    Ok(header)
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
    match (Unwrap { key, value: std::marker::PhantomData }).deserialize(&mut deserializer) {
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
    value: std::marker::PhantomData<T>,
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
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
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
    use serde_json::{Value, json};

    use super::*;

    fn build(request: &InvokeWorkflow) -> Result<Request<Bytes>, InvalidInput> {
        Api::default().request(request, Some(&ApiKey::new("my-secret-key").unwrap()))
    }

    #[test]
    fn a_request_has_method_url_headers_and_operation() {
        let request = build(&InvokeWorkflow::new("d")).unwrap();
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/workflow/invoke"));
        assert_eq!(request.headers()["authorization"], "Bearer my-secret-key");
        assert!(request.headers()["authorization"].is_sensitive());
        assert_eq!(request.headers()["content-type"], "application/json");
        assert_eq!(request.headers()["accept"], "application/json");
        assert_eq!(request.headers()["user-agent"], format!("fetch-hive-rust/{}", env!("CARGO_PKG_VERSION")));
        assert_eq!(request.extensions().get::<Operation>().unwrap().name, "invokeWorkflow");
        assert!(!format!("{request:?}").contains("my-secret-key"));
        let api = Api::default().user_agent_suffix("reports/2").unwrap();
        assert!(api.user_agent.to_str().unwrap().ends_with(" reports/2"));
        assert_eq!(Api::default().user_agent_suffix("a\nb").unwrap_err().field, "user_agent");
    }

    #[test]
    fn bad_input_is_named_before_anything_is_sent() {
        struct Broken;
        impl serde::Serialize for Broken {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no form for this"))
            }
        }
        for (request, field) in [
            (InvokeWorkflow::new(" "), "deployment"),
            (InvokeWorkflow::new("d").input("chart", Broken), "inputs.chart"),
            (InvokeWorkflow::new("d").inputs([1]), "inputs.inputs"),
            (InvokeWorkflow::new("d").metadata("", 1), "metadata."),
            (InvokeWorkflow::new("d").callback_url(""), "async.callback_url"),
            (InvokeWorkflow::new("d").callback_url("http://example.com/cb"), "async.callback_url"),
            (InvokeWorkflow::new("d").callback_url("ftp://example.com/cb"), "async.callback_url"),
            (InvokeWorkflow::new("d").callback_url("/cb"), "async.callback_url"),
            (InvokeWorkflow::new("d").extra("deployment", "e"), "deployment"),
        ] {
            assert_eq!(build(&request).unwrap_err().field, field);
        }
        let error = Api::default().request(&InvokeWorkflow::new("d"), None).unwrap_err();
        assert_eq!(error.field, "api_key");
        for url in ["https://example.com/cb?token=1", "http://127.0.0.1:9/cb", "http://localhost:9/cb"] {
            assert!(build(&InvokeWorkflow::new("d").callback_url(url)).is_ok(), "{url}");
        }
    }

    #[test]
    fn extra_fields_are_sent() {
        let request = build(&InvokeWorkflow::new("d").extra("priority", 3)).unwrap();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(body, json!({"deployment": "d", "priority": 3}));
    }

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
