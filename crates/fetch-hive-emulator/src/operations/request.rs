//! The request for an operation.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::faults::matching::Origin;
use crate::http::response::Response;
use crate::state::State;

/// The result of an operation. An error response is an `Err` so that `?` returns it.
pub(crate) type OperationResult = Result<Response, Box<Response>>;

/// A validated request for an operation.
pub(crate) struct OperationRequest<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) origin: Origin,
    /// The decoded path parameters.
    pub(crate) path: HashMap<String, String>,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: &'a HeaderMap,
    /// The JSON body, or null if there is none.
    pub(crate) body: Value,
    /// The body as it was received.
    pub(crate) raw: Bytes,
}

impl OperationRequest<'_> {
    /// Returns a path parameter, or an empty string if the operation has no such parameter.
    pub(crate) fn id(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// Returns a query parameter that is not empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns the scope with the ids of these path parameters, outermost first.
    pub(crate) fn scope(&self, names: &[&str]) -> String {
        scope(names.iter().map(|name| self.id(name)))
    }

    /// Returns the origin of the emulator's URLs, with the host that the caller used.
    pub(crate) fn url_origin(&self) -> String {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        self.state.origin(host)
    }

    pub(crate) fn api_key(&self) -> &str {
        api_key(self.headers).unwrap_or_default()
    }
}

/// Returns the bearer token of a request.
pub(crate) fn api_key(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim)
}

/// Joins ids into a scope. The ids are escaped, so an id with a slash names no other scope.
pub(crate) fn scope<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let mut scope = String::new();
    for (n, id) in ids.into_iter().enumerate() {
        let slash = if n == 0 { "" } else { "/" };
        let _ = write!(scope, "{slash}{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
    }
    scope
}

/// Parses a query string.
pub(crate) fn parse_query(query: &str) -> HashMap<String, String> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
