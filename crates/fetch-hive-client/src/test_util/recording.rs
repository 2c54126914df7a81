//! A recording: a file with one exchange as JSON on each line.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Exchange;
use super::scrub::{REMOVED, Secrets};
use crate::{Timeout, TransportErrorKind};

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("the recording {} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A line is no exchange.
    #[error("line {line} of the recording {} is no exchange, from column {column} on", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column from which on it does not fit, counted from 1. What stands there is not told: it may be of a body.
        column: usize,
    },
}

/// One line.
#[derive(Serialize, Deserialize)]
pub(super) struct Line {
    /// The place of the request among all: lines are written when bodies end.
    pub(super) number: u64,
    pub(super) request: Asked,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) reply: Option<Answered>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) failed: Option<Failed>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Content,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Content,
    /// The body broke off, or was not read to its end.
    #[serde(default)]
    pub(super) cut: bool,
}

/// A body: text, or base64 where it is none.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Content {
    Text(String),
    Base64 { base64: String },
}

impl Content {
    /// A body, its secrets taken.
    pub(super) fn new(body: &[u8], secrets: &mut Secrets) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self::Text(secrets.of_body(text)),
            Err(_) => Self::Base64 { base64: STANDARD.encode(body) },
        }
    }

    pub(super) fn remove(self, secrets: &Secrets) -> Self {
        match self {
            Self::Text(text) => Self::Text(secrets.remove(&text)),
            Self::Base64 { base64 } => {
                let bytes = secrets.remove_from_bytes(STANDARD.decode(base64).unwrap_or_default());
                Self::Base64 { base64: STANDARD.encode(bytes) }
            }
        }
    }

    fn json(&self) -> Option<Value> {
        match self {
            Self::Text(text) => serde_json::from_str(text).ok(),
            Self::Base64 { .. } => None,
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Base64 { base64 } => STANDARD.decode(base64).unwrap_or_default().into(),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Failed {
    NotSent,
    MayHaveRun,
    QueueTimeout,
    ConnectTimeout,
    HeadersTimeout,
    IdleTimeout,
    DeadlineTimeout,
}

impl From<TransportErrorKind> for Failed {
    fn from(kind: TransportErrorKind) -> Self {
        match kind {
            TransportErrorKind::NotSent => Self::NotSent,
            TransportErrorKind::MayHaveRun => Self::MayHaveRun,
            TransportErrorKind::Timeout(Timeout::Queue) => Self::QueueTimeout,
            TransportErrorKind::Timeout(Timeout::Connect) => Self::ConnectTimeout,
            TransportErrorKind::Timeout(Timeout::Headers) => Self::HeadersTimeout,
            TransportErrorKind::Timeout(Timeout::Idle) => Self::IdleTimeout,
            TransportErrorKind::Timeout(Timeout::Deadline) => Self::DeadlineTimeout,
        }
    }
}

/// The exchanges of a recording, in the order of their requests.
pub(super) fn read(path: &Path) -> Result<Vec<Exchange>, RecordingError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| RecordingError::File { path: path.to_owned(), source })?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| RecordingError::Line {
            path: path.to_owned(),
            line: index + 1,
            column: error.column(),
        })?;
        lines.push(line);
    }
    lines.sort_by_key(|line| line.number);
    Ok(lines.into_iter().map(exchange).collect())
}

fn exchange(line: Line) -> Exchange {
    let exchange = match (line.reply, line.failed) {
        (Some(reply), _) => {
            let named = reply
                .headers
                .into_iter()
                .fold(Exchange::status(reply.status), |exchange, (name, value)| exchange.header(name, value));
            let whole = named.body(reply.body.into_bytes());
            if reply.cut { whole.cut() } else { whole }
        }
        (None, Some(Failed::NotSent)) => Exchange::not_sent(),
        (None, Some(Failed::QueueTimeout)) => Exchange::timeout(Timeout::Queue),
        (None, Some(Failed::ConnectTimeout)) => Exchange::timeout(Timeout::Connect),
        (None, Some(Failed::HeadersTimeout)) => Exchange::timeout(Timeout::Headers),
        (None, Some(Failed::IdleTimeout)) => Exchange::timeout(Timeout::Idle),
        (None, Some(Failed::DeadlineTimeout)) => Exchange::timeout(Timeout::Deadline),
        (None, Some(Failed::MayHaveRun) | None) => Exchange::may_have_run(),
    };
    let Asked { method, path, body, .. } = line.request;
    let want = body.json();
    exchange.expect_that(move |request| {
        let got_path = request.uri().path_and_query().map_or("", |path| path.as_str());
        if request.method().as_str() != method || !fits(&path, got_path) {
            let got = Secrets::default().of_path(got_path);
            return Err(format!("recorded was {method} {path}, got {} {got}", request.method()));
        }
        let Some(want) = &want else { return Ok(()) };
        let got: Value = serde_json::from_slice(request.body())
            .map_err(|error| format!("recorded was the body {want}, got no JSON: {error}"))?;
        let Some(at) = difference(String::new(), want, &got) else { return Ok(()) };
        let shown = |value: &Value| value.pointer(&at).map_or("nothing".to_owned(), Value::to_string);
        let got = Secrets::default().of_value(got);
        Err(format!("the body is not as recorded at `{at}`: recorded was {}, got {}", shown(want), shown(&got)))
    })
}

/// Whether a text is what was recorded, where anything may stand for what was removed.
fn fits(recorded: &str, text: &str) -> bool {
    let Some((start, last)) = recorded.rsplit_once(REMOVED) else { return recorded == text };
    let mut parts = start.split(REMOVED);
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// The place, as a JSON pointer, where a body is not as recorded.
fn difference(at: String, recorded: &Value, got: &Value) -> Option<String> {
    match (recorded, got) {
        (Value::String(recorded), Value::String(got)) if fits(recorded, got) => None,
        (Value::Array(recorded), Value::Array(got)) if recorded.len() == got.len() => {
            let mut pairs = recorded.iter().zip(got).enumerate();
            pairs.find_map(|(index, (recorded, got))| difference(format!("{at}/{index}"), recorded, got))
        }
        (Value::Object(recorded), Value::Object(got)) => {
            let at = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            let more = got.keys().find(|name| !recorded.contains_key(*name)).map(|name| at(name));
            let differs = recorded.iter().find_map(|(name, recorded)| match got.get(name) {
                Some(got) => difference(at(name), recorded, got),
                None => Some(at(name)),
            });
            differs.or(more)
        }
        _ => (recorded != got).then_some(at),
    }
}
