//! A call to an operation, read as far as all operations need it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::Value;

use crate::faults::Cause;
use crate::service::Service;

pub(crate) struct Call<'a> {
    pub(crate) service: &'a Arc<Service>,
    pub(crate) cause: Cause,
    /// The parameters in the path, decoded.
    pub(crate) path: HashMap<String, String>,
    query: HashMap<String, String>,
    pub(crate) headers: &'a HeaderMap,
    /// The JSON body; null without one.
    pub(crate) body: Value,
    /// The body as it came.
    pub(crate) raw: Bytes,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        service: &'a Arc<Service>,
        cause: Cause,
        path: HashMap<String, String>,
        query: Option<&str>,
        headers: &'a HeaderMap,
        body: Value,
        raw: Bytes,
    ) -> Self {
        Self { service, cause, path, query: read_query(query.unwrap_or_default()), headers, body, raw }
    }

    /// A parameter of the path; empty where the operation has none of that name.
    pub(crate) fn id(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A parameter of the query, if it is there and not empty.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The scope that parameters of the path name, from the outermost on.
    pub(crate) fn scope(&self, names: &[&str]) -> String {
        scope(names.iter().map(|name| self.id(name)))
    }

    /// Where the caller reaches this emulator: the host it named, else the address.
    pub(crate) fn origin(&self) -> String {
        let host = self.headers.get(HOST).and_then(|host| host.to_str().ok());
        self.service.origin(host)
    }

    /// The key, as it was sent.
    pub(crate) fn key(&self) -> &str {
        let header = self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        header.and_then(|value| value.strip_prefix("Bearer ")).map_or("", str::trim)
    }
}

/// The scope below these ids, so that an id with a slash is no other scope.
pub(crate) fn scope<'a>(ids: impl IntoIterator<Item = &'a str>) -> String {
    let mut scope = String::new();
    for (n, id) in ids.into_iter().enumerate() {
        let slash = if n == 0 { "" } else { "/" };
        let _ = write!(scope, "{slash}{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
    }
    scope
}

pub(crate) fn read_query(query: &str) -> HashMap<String, String> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}
