//! A request and its reply, as the page shows them.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::look::{MASK, masked};
use crate::moment;
use crate::record::{Delivery, RecordedRequest, Weigh};

/// How much is kept of a body.
const MAX_BODY: usize = 64 << 10;

/// How many pieces are kept of a stream.
const MAX_PIECES: usize = 2_000;

#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    at: String,
    request: RecordedRequest,
    status: Option<u16>,
    headers: HeaderMap,
    /// The pieces of the reply, and the milliseconds after which each was sent.
    pieces: Vec<(u128, Bytes)>,
    kept: usize,
    length: usize,
    took: Option<u128>,
    ended: &'static str,
}

impl Weigh for Exchange {
    fn bytes(&self) -> usize {
        self.request.body.len()
    }
}

impl Exchange {
    pub(crate) fn new(request: &RecordedRequest) -> Self {
        let mut request = request.clone();
        if request.body.len() > MAX_BODY {
            request.body = Bytes::copy_from_slice(&request.body[..MAX_BODY]);
        }
        Self {
            at: moment::now(),
            request,
            status: None,
            headers: HeaderMap::new(),
            pieces: Vec::new(),
            kept: 0,
            length: 0,
            took: None,
            ended: "",
        }
    }

    pub(crate) fn answered(&mut self, reply: &http::response::Parts) {
        self.status = Some(reply.status.as_u16());
        self.headers = reply.headers.clone();
    }

    pub(crate) fn sent(&mut self, after: Duration, piece: &Bytes) {
        self.length += piece.len();
        let room = if self.pieces.len() < MAX_PIECES { MAX_BODY.saturating_sub(self.kept) } else { 0 };
        let kept = &piece[..piece.len().min(room)];
        self.kept += kept.len();
        if !kept.is_empty() {
            // A slice would hold on to the whole buffer.
            self.pieces.push((after.as_millis(), Bytes::copy_from_slice(kept)));
        }
    }

    pub(crate) fn ended(&mut self, took: Duration, how: &'static str) {
        self.took = Some(took.as_millis());
        self.ended = how;
    }

    /// A line of the list.
    pub(crate) fn summary(&self, number: u64) -> Value {
        json!({
            "kind": "request",
            "number": number,
            "at": self.at,
            "method": self.request.method.as_str(),
            "path": masked(&self.request.path),
            "operation": self.request.operation,
            "status": self.status,
            "took": self.took,
            "ended": self.ended,
            "pieces": self.pieces.len(),
            "request_id": self.request_id(),
        })
    }

    pub(crate) fn details(&self, number: u64) -> Value {
        let mut all = self.summary(number);
        all["version"] = format!("{:?}", self.request.version).into();
        all["connection"] = self.request.connection.into();
        all["headers"] = shown(&self.request.headers);
        all["body"] = text(&self.request.body);
        all["reply_headers"] = shown(&self.headers);
        let pieces = self.pieces.iter().map(|(after, bytes)| json!({"after": after, "text": text(bytes)}));
        all["reply"] = pieces.collect();
        all["reply_length"] = self.length.into();
        all
    }

    /// The id of the run that the reply names.
    fn request_id(&self) -> Option<String> {
        self.pieces.iter().find_map(|(_, piece)| {
            let text = std::str::from_utf8(piece).ok()?;
            let from = text.find("\"req_")? + 1;
            text[from..].split('"').next().map(str::to_owned)
        })
    }
}

/// A try to deliver a callback, for the page.
pub(crate) fn delivery(delivery: &Delivery, number: u64) -> Value {
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

fn shown(headers: &HeaderMap) -> Value {
    let hidden = ["authorization", "cookie", "proxy-authorization", "x-fetch-hive-webhook-secret", "x-api-key"];
    let show = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = match value.split_once(' ') {
            Some((scheme, _)) if name == "authorization" => format!("{scheme} {MASK}"),
            _ if hidden.contains(&name.as_str()) => MASK.to_owned(),
            _ => masked(&value),
        };
        json!([name.as_str(), value])
    };
    headers.iter().map(show).collect()
}

fn text(bytes: &Bytes) -> Value {
    masked(&String::from_utf8_lossy(bytes)).into()
}
