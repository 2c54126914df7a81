use std::fmt;

use bytes::Bytes;
use fetch_hive_types::ApiKey;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request};

use crate::checks::CALLBACK_URL;
use crate::key_header::webhook_secret_header;
use crate::url::check_url;
use crate::{Auth, BaseUrl, Body, Endpoint, InvalidInput, KeyHeader, Operation, PathWriter, RequestBody};

/// The header that carries the webhook secret of a
/// [trigger request](fetch_hive_types::contract#callbacks).
pub const WEBHOOK_SECRET_HEADER: &str = "x-fetch-hive-webhook-secret";

/// A builder of HTTP requests for one base URL and user agent.
///
/// ```
/// use fetch_hive_core::{Api, parse_response};
/// use fetch_hive_core::types::{ApiKey, InvokeWorkflow};
///
/// let api = Api::default();
/// let key = ApiKey::new("fhk_example")?;
/// let report = InvokeWorkflow::new("weekly-report").input("topic", "enterprise AI");
/// let request = api.request(&report, Some(&key))?;
/// assert_eq!(request.uri(), "https://api.fetchhive.com/v1/workflow/invoke");
///
/// // Send the request with any HTTP client, and parse the response with the same request type.
/// let body = r#"{"request_id":"req_1","run_status":"completed","output":"done"}"#;
/// let run = parse_response::<InvokeWorkflow>(http::Response::new(body.into()))?;
/// assert_eq!(run.output_text(), Some("done"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Api {
    base_url: BaseUrl,
    user_agent: HeaderValue,
    allow_plain_http_callbacks: bool,
}

impl Default for Api {
    fn default() -> Self {
        Self::new(BaseUrl::default())
    }
}

impl Api {
    /// Creates a request builder for the given base URL.
    pub fn new(base_url: BaseUrl) -> Self {
        let user_agent = HeaderValue::from_static(concat!("fetch-hive-rust/", env!("CARGO_PKG_VERSION")));
        Self { base_url, user_agent, allow_plain_http_callbacks: false }
    }

    /// Allows callback URLs with plain HTTP for all hosts.
    ///
    /// Anyone on the network path can read such a callback. Use this only in a private network,
    /// such as that of a compose file with the emulator.
    #[must_use]
    pub fn allow_plain_http_callbacks(mut self) -> Self {
        self.allow_plain_http_callbacks = true;
        self
    }

    /// Appends the name and version of your program to the user agent.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] for the field `user_agent` when a header cannot carry the suffix.
    pub fn user_agent_suffix(mut self, suffix: impl fmt::Display) -> Result<Self, InvalidInput> {
        let current = self.user_agent.to_str().unwrap_or_default();
        self.user_agent = HeaderValue::try_from(format!("{current} {suffix}"))
            .map_err(|_| InvalidInput::new("user_agent", "contains a byte that a header cannot carry"))?;
        Ok(self)
    }

    /// Returns the base URL of all requests.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Checks a request before it is sent.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] when the endpoint rejects its own fields, or when its callback URL
    /// is not valid.
    pub fn validate<E: Endpoint>(&self, endpoint: &E) -> Result<(), InvalidInput> {
        endpoint.validate()?;
        let Some(url) = endpoint.callback_url() else { return Ok(()) };
        let hint = "allow_plain_http_callbacks allows plain http for any host";
        check_url(CALLBACK_URL, url, self.allow_plain_http_callbacks, hint).map(drop)
    }

    /// Builds the HTTP request for an endpoint, with its [`Operation`] in the extensions.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] when the request is [not valid](Api::validate), an id is not valid
    /// in a path, the body cannot be serialized, or the operation requires an API key and `key` is
    /// `None`.
    pub fn request<E: Endpoint>(
        &self,
        endpoint: &E,
        key: Option<&ApiKey>,
    ) -> Result<Request<RequestBody>, InvalidInput> {
        self.request_with(endpoint, key.map(KeyHeader::new).transpose()?.as_ref())
    }

    /// Builds the HTTP request for an endpoint, with an API key header that was created before.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`request`](Api::request).
    pub fn request_with<E: Endpoint>(
        &self,
        endpoint: &E,
        key: Option<&KeyHeader>,
    ) -> Result<Request<RequestBody>, InvalidInput> {
        self.validate(endpoint)?;
        let mut path = PathWriter::new(self.base_url.path(), E::PATH);
        endpoint.path(&mut path);
        let mut query = path.finish()?;
        endpoint.query(&mut query);

        let Body { content_type, content } = endpoint.body()?;
        let mut request = Request::new(content);
        *request.method_mut() = E::METHOD;
        *request.uri_mut() = self.base_url.with(query.finish())?;
        // Leaves room for the headers that a transport adds.
        *request.headers_mut() = HeaderMap::with_capacity(8);
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static(E::ACCEPT));
        headers.insert(USER_AGENT, self.user_agent.clone());
        if let Some(content_type) = content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        match endpoint.auth() {
            Auth::None => {}
            Auth::ApiKey => {
                let key = key.ok_or_else(|| InvalidInput::new("api_key", "is required by this operation"))?;
                headers.insert(AUTHORIZATION, key.0.clone());
            }
            Auth::WebhookSecret(secret) => {
                headers.insert(WEBHOOK_SECRET_HEADER, webhook_secret_header(secret)?);
            }
        }
        request.extensions_mut().insert(Operation::of::<E>());
        Ok(request)
    }

    /// Completes a raw request: resolves its path against the base URL and adds the API key, the
    /// user agent and the `accept` header.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] when the request has an absolute URL that is not below the base
    /// URL, because the API key must not be sent to another host.
    pub fn complete(
        &self,
        mut request: Request<Bytes>,
        key: Option<&KeyHeader>,
    ) -> Result<Request<RequestBody>, InvalidInput> {
        let uri = request.uri();
        if uri.scheme().is_none() {
            let path = uri.path_and_query().map_or("", |path| path.as_str());
            let slash = if path.starts_with('/') { "" } else { "/" };
            *request.uri_mut() = self.base_url.with(format!("{}{slash}{path}", self.base_url.path()))?;
        } else if !self.base_url.contains(uri) {
            return Err(InvalidInput::new("uri", "is not below the base URL, and the API key must not go elsewhere"));
        }
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        headers.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        if let Some(key) = key {
            headers.insert(AUTHORIZATION, key.0.clone());
        }
        Ok(request.map(RequestBody::from))
    }
}

#[cfg(test)]
mod tests {
    use fetch_hive_types::InvokeWorkflow;
    use serde_json::{Value, json};

    use super::*;

    fn build(request: &InvokeWorkflow) -> Result<Request<RequestBody>, InvalidInput> {
        Api::default().request(request, Some(&ApiKey::new("my-secret-key").unwrap()))
    }

    #[test]
    fn requests_have_method_url_headers_and_operation() {
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
    fn invalid_fields_are_named() {
        struct Broken;
        impl serde::Serialize for Broken {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("cannot be serialized"))
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
    fn large_inputs_are_shared() {
        let (text, rows) = ("x\n".repeat(200_000), vec![json!({"a": 1}); 50_000]);
        let request = InvokeWorkflow::new("d").input("text", &text).input("rows", &rows).input("small", 1);
        let body = build(&request).unwrap().into_body();
        let length = body.len();
        let (pieces, _) = body.into_pieces();
        let bytes = pieces.iter().map(|piece| match piece {
            crate::BodyPiece::Bytes(bytes) => &bytes[..],
            crate::BodyPiece::File(_) => panic!("no file was added"),
        });
        let bytes = bytes.collect::<Vec<_>>().concat();
        assert_eq!((pieces.len(), bytes.len() as u64), (5, length));
        let sent: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(sent, json!({"deployment": "d", "inputs": {"text": text, "rows": rows, "small": 1}}));
    }

    #[test]
    fn extra_fields_are_sent() {
        let request = build(&InvokeWorkflow::new("d").extra("priority", 3)).unwrap();
        let body: Value = serde_json::from_slice(request.body().as_bytes().unwrap()).unwrap();
        assert_eq!(body, json!({"deployment": "d", "priority": 3}));
    }
}
