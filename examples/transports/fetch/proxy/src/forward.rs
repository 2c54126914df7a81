//! The proxy: it checks each request of the page, and adds the API key.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fetch_hive_client::{BoxError, HyperTransport, Timeouts, Transport};

/// The operations that the page may use. All others are rejected, because the key can do more than
/// a visitor of the page may do.
const OPERATIONS: [&str; 2] = ["/v1/workflow/invoke", "/v1/agent/invoke"];

const MAX_BODY_BYTES: usize = 64 << 10;

/// The proxy with its key and its sessions.
pub(crate) struct Proxy {
    transport: HyperTransport,
    base_url: String,
    authorization: HeaderValue,
    /// The tokens of the open sessions, and the ids of the requests that were passed on. A real
    /// server limits both in number and in time.
    sessions: Mutex<HashSet<String>>,
    attempts: Mutex<HashSet<String>>,
}

impl Proxy {
    pub(crate) fn new(base_url: String, key: &str) -> Result<Self, BoxError> {
        let mut authorization = HeaderValue::try_from(format!("Bearer {key}"))?;
        authorization.set_sensitive(true);
        let transport = HyperTransport::builder().build()?;
        Ok(Self { transport, base_url, authorization, sessions: Mutex::default(), attempts: Mutex::default() })
    }
}

/// Opens a session. A real server does this when a user signs in.
pub(crate) async fn session(State(proxy): State<Arc<Proxy>>) -> Result<String, StatusCode> {
    let mut bits = [0; 16];
    getrandom::getrandom(&mut bits).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let token = format!("{:032x}", u128::from_be_bytes(bits));
    insert(&proxy.sessions, &token);
    Ok(token)
}

/// Passes a request on, with the key instead of the token of the session.
pub(crate) async fn forward(State(proxy): State<Arc<Proxy>>, request: Request) -> Response {
    match proxy.forward(request).await {
        Ok(response) => response,
        // The client shows the field `error` of the body.
        Err((status, message)) => {
            let body = serde_json::json!({"error": message}).to_string();
            (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
    }
}

impl Proxy {
    async fn forward(&self, request: Request) -> Result<Response, (StatusCode, &'static str)> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if !OPERATIONS.contains(&path) {
            return Err((StatusCode::FORBIDDEN, "the page may not use this operation"));
        }
        let token = text(&parts.headers, "authorization").strip_prefix("Bearer ").unwrap_or_default();
        if !self.sessions.lock().unwrap_or_else(PoisonError::into_inner).contains(token) {
            return Err((StatusCode::UNAUTHORIZED, "the session has ended; reload the page"));
        }
        let body = axum::body::to_bytes(body, MAX_BODY_BYTES).await;
        let body = body.map_err(|_| (StatusCode::PAYLOAD_TOO_LARGE, "the request is too large"))?;
        let attempt = text(&parts.headers, "x-attempt-id");
        if attempt.is_empty() {
            return Err((StatusCode::BAD_REQUEST, "the header x-attempt-id is missing"));
        }
        // The client takes 502 as an error that may have run, which is true of the first request.
        if !insert(&self.attempts, attempt) {
            return Err((StatusCode::BAD_GATEWAY, "the browser sent the request twice; the first one may have run"));
        }
        let url = format!("{}{}", self.base_url, path.trim_start_matches("/v1"));
        let mut upstream = http::Request::post(url).header(header::AUTHORIZATION, self.authorization.clone());
        for name in [header::ACCEPT, header::CONTENT_TYPE] {
            if let Some(value) = parts.headers.get(&name) {
                upstream = upstream.header(name, value);
            }
        }
        let mut timeouts = Timeouts::default();
        timeouts.connect = Some(Duration::from_secs(10));
        let upstream = upstream.extension(timeouts).body(body.into());
        let upstream = upstream.map_err(|_| (StatusCode::BAD_REQUEST, "the request is invalid"))?;
        // If the browser ends its request, axum drops this future or the body, which ends the
        // request to the service too.
        let response = self.transport.send(upstream).await.map_err(|error| {
            if error.is_not_sent() {
                (StatusCode::FAILED_DEPENDENCY, "the service cannot be reached, so nothing was started")
            } else {
                (StatusCode::BAD_GATEWAY, "the connection to the service failed")
            }
        })?;
        let (mut parts, body) = response.into_parts();
        // Headers of the connection to the service do not apply to this one.
        parts.headers = [header::CONTENT_TYPE, header::RETRY_AFTER]
            .into_iter()
            .filter_map(|name| Some((name.clone(), parts.headers.remove(name)?)))
            .collect();
        parts.version = http::Version::default();
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

/// Returns a header as text, or an empty text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Inserts a text into a set, and returns whether it is new.
fn insert(set: &Mutex<HashSet<String>>, text: &str) -> bool {
    set.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned())
}
