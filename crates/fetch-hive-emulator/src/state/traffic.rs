//! Requests and responses as the page shows them.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::http::mask::{MASK, masked};
use crate::state::clock;
use crate::state::log::LogEntry;
use crate::state::recorded::{Delivery, RecordedRequest};

/// The largest part of a body that is stored, in bytes.
const MAX_BODY: usize = 64 << 10;

/// The largest number of stored chunks of a response.
const MAX_CHUNKS: usize = 2_000;

/// A request and its response.
#[derive(Clone, Debug)]
pub(crate) struct TrafficEntry {
    at: String,
    request: RecordedRequest,
    status: Option<u16>,
    response_headers: HeaderMap,
    /// The chunks of the response body, and the milliseconds after which each was sent.
    chunks: Vec<(u128, Bytes)>,
    stored_bytes: usize,
    response_bytes: usize,
    duration_ms: Option<u128>,
    end: &'static str,
}

impl LogEntry for TrafficEntry {
    fn body_size(&self) -> usize {
        self.request.body.len()
    }
}

impl TrafficEntry {
    pub(crate) fn new(request: &RecordedRequest) -> Self {
        let mut request = request.clone();
        if request.body.len() > MAX_BODY {
            request.body = Bytes::copy_from_slice(&request.body[..MAX_BODY]);
        }
        Self {
            at: clock::now(),
            request,
            status: None,
            response_headers: HeaderMap::new(),
            chunks: Vec::new(),
            stored_bytes: 0,
            response_bytes: 0,
            duration_ms: None,
            end: "",
        }
    }

    pub(crate) fn set_head(&mut self, response: &http::response::Parts) {
        self.status = Some(response.status.as_u16());
        self.response_headers = response.headers.clone();
    }

    pub(crate) fn add_chunk(&mut self, after: Duration, chunk: &Bytes) {
        self.response_bytes += chunk.len();
        let space = if self.chunks.len() < MAX_CHUNKS { MAX_BODY.saturating_sub(self.stored_bytes) } else { 0 };
        let stored = &chunk[..chunk.len().min(space)];
        self.stored_bytes += stored.len();
        if !stored.is_empty() {
            // A slice would keep the whole buffer in memory.
            self.chunks.push((after.as_millis(), Bytes::copy_from_slice(stored)));
        }
    }

    pub(crate) fn set_end(&mut self, duration: Duration, end: &'static str) {
        self.duration_ms = Some(duration.as_millis());
        self.end = end;
    }

    /// Returns the fields for the page's list.
    pub(crate) fn summary(&self, number: u64) -> Value {
        json!({
            "kind": "request",
            "number": number,
            "at": self.at,
            "method": self.request.method.as_str(),
            "path": masked(&self.request.path),
            "operation": self.request.operation,
            "status": self.status,
            "duration_ms": self.duration_ms,
            "end": self.end,
            "request_id": self.request_id(),
        })
    }

    /// Returns all fields, including headers and bodies.
    pub(crate) fn details(&self, number: u64) -> Value {
        let mut details = self.summary(number);
        details["version"] = format!("{:?}", self.request.version).into();
        details["connection"] = self.request.connection.into();
        details["headers"] = headers_json(&self.request.headers);
        details["body"] = text(&self.request.body);
        details["response_headers"] = headers_json(&self.response_headers);
        let chunks = self.chunks.iter().map(|(after, bytes)| json!({"after": after, "text": text(bytes)}));
        details["response_chunks"] = chunks.collect();
        details["response_bytes"] = self.response_bytes.into();
        details
    }

    /// Returns the id of the run from the response.
    fn request_id(&self) -> Option<String> {
        self.chunks.iter().find_map(|(_, chunk)| {
            let text = std::str::from_utf8(chunk).ok()?;
            let from = text.find("\"req_")? + 1;
            text[from..].split('"').next().map(str::to_owned)
        })
    }
}

/// Returns the fields of a delivery attempt for the page.
pub(crate) fn delivery_json(delivery: &Delivery, number: u64) -> Value {
    let event: Value = serde_json::from_slice(&delivery.body).unwrap_or_default();
    json!({
        "kind": "callback",
        "number": number,
        "request_id": delivery.request_id,
        "url": masked(&delivery.url),
        "attempt": delivery.attempt,
        "status": delivery.outcome.as_ref().ok(),
        "failure": delivery.outcome.as_ref().err(),
        "event_type": event["event_type"],
        "signature": delivery.signature,
        "body": text(&delivery.body),
    })
}

fn headers_json(headers: &HeaderMap) -> Value {
    let hidden = ["authorization", "cookie", "proxy-authorization", "x-fetch-hive-webhook-secret", "x-api-key"];
    let to_json = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = match value.split_once(' ') {
            Some((scheme, _)) if name == "authorization" => format!("{scheme} {MASK}"),
            _ if hidden.contains(&name.as_str()) => MASK.to_owned(),
            _ => masked(&value),
        };
        json!([name.as_str(), value])
    };
    headers.iter().map(to_json).collect()
}

fn text(bytes: &Bytes) -> Value {
    masked(&String::from_utf8_lossy(bytes)).into()
}
