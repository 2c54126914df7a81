//! Reads JSON so that one malformed field does not make the whole body unreadable.
//!
//! A body that matches its documented type is parsed once, at no extra cost. Any other body gets a
//! second try:
//!
//! - A byte-order mark is removed, and UTF-16 is converted. An unpaired surrogate or an invalid
//!   UTF-8 sequence becomes U+FFFD.
//! - Data after the JSON object or array is ignored.
//! - A number in a string, such as `"12"`, and a whole number such as `12.0` are read as numbers.
//! - Of a field that occurs more than once, the last value that is not null is read, and the field
//!   is reported.
//! - A field of the wrong type becomes absent. A list keeps its length: a malformed element becomes
//!   an empty one. Each of them is reported as an [`UnreadableField`].
//!
//! All readers of this crate work like this: responses, error bodies, stream events and callbacks.

mod deserializer;
mod text;
mod tree;
mod unreadable;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use fetch_hive_types::StreamEvent;
use serde::de::{DeserializeOwned, DeserializeSeed as _, IgnoredAny};
use serde_json::Value;
use serde_json::error::Category;

use self::deserializer::{Lenient, Path, Reason};
use self::text::Repair;
use self::tree::Tree;
pub use self::unreadable::UnreadableField;

/// A parsed value, and the fields of the JSON that it does not contain.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parsed<T> {
    /// The value, in which unreadable fields are absent.
    pub value: T,
    /// The fields that could not be read, at most 1,000.
    pub unreadable: Vec<UnreadableField>,
}

/// The reason why a body could not be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The body is not JSON, such as the HTML page of a proxy.
    NotJson,
    /// The body is empty, or ends in the middle of its JSON.
    Incomplete,
    /// The JSON is nested too deeply. At most 127 levels are read.
    TooDeep,
    /// The JSON contains a number outside of the range of a double-precision float.
    NumberOutOfRange,
    /// The JSON is of another kind than documented, such as a string instead of an object.
    Mismatch,
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson => "is not JSON",
            Self::Incomplete => "is incomplete JSON",
            Self::TooDeep => "is nested deeper than 127 levels",
            Self::NumberOutOfRange => "contains a number that is out of range",
            Self::Mismatch => "does not match the documented schema",
        })
    }
}

/// An error that occurs when a body cannot be parsed even leniently.
///
/// `Display` shows the position of the error, and never the body.
#[non_exhaustive]
pub struct ParseError {
    /// The reason why the body could not be parsed.
    pub kind: DecodeErrorKind,
    /// The parser error, whose message may quote the body.
    pub error: serde_json::Error,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the body {} (line {}, column {})", self.kind, self.error.line(), self.error.column())
    }
}

impl fmt::Debug for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParseError({self})")
    }
}

impl std::error::Error for ParseError {}

/// Parses JSON, and reads a malformed field as absent.
///
/// ```
/// use fetch_hive_core::lenient;
/// use fetch_hive_core::types::InvokePromptResponse;
///
/// let body = br#"{"request_id":"req_1","response":"Hello","usage":{"total_tokens":[]}}"#;
/// let parsed = lenient::from_slice::<InvokePromptResponse>(body)?;
/// assert_eq!(parsed.value.text(), "Hello");
/// assert_eq!(parsed.unreadable[0].path, "usage.total_tokens");
/// # Ok::<(), lenient::ParseError>(())
/// ```
///
/// # Errors
///
/// Returns [`ParseError`] if the body is not JSON, is nested too deeply, contains a number that is
/// out of range, or is JSON of another kind than `T`.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<Parsed<T>, ParseError> {
    match serde_json::from_slice(json) {
        Ok(value) => Ok(Parsed { value, unreadable: Vec::new() }),
        Err(error) => from_slice_in(None, json, error),
    }
}

/// Parses JSON whose first parse has failed. With `envelope`, the value of this key is parsed.
///
/// `error` is the error of the first try.
pub(crate) fn from_slice_in<T: DeserializeOwned>(
    envelope: Option<&str>,
    json: &[u8],
    error: serde_json::Error,
) -> Result<Parsed<T>, ParseError> {
    let mut body = to_value(json)?;
    let enveloped = envelope.and_then(|key| Some((key, body.value.get(key)?)));
    let read = match enveloped.map(|(key, value)| read(Some(key), value, |deserializer| T::deserialize(deserializer))) {
        Some(Ok(parsed)) => Ok(parsed),
        // The service sends some responses with and without an envelope.
        _ => read(None, &body.value, |deserializer| T::deserialize(deserializer)),
    };
    match read {
        Ok(mut parsed) => {
            parsed.unreadable.splice(0..0, body.unreadable.drain(..));
            Ok(parsed)
        }
        Err(reason) => {
            let error = if error.is_data() { error } else { serde::de::Error::custom(reason) };
            Err(ParseError { kind: DecodeErrorKind::Mismatch, error })
        }
    }
}

/// Parses JSON of any quality. In the worst case, the value is the default of its type.
pub(crate) fn from_slice_or_default<T: DeserializeOwned + Default>(json: &[u8]) -> Parsed<T> {
    if let Ok(value) = serde_json::from_slice(json) {
        return Parsed { value, unreadable: Vec::new() };
    }
    let unreadable = |reason: String| Parsed {
        value: T::default(),
        unreadable: vec![UnreadableField { path: String::new(), reason }],
    };
    match to_value_or_salvage(json) {
        Ok(body) => match read(None, &body.value, |deserializer| T::deserialize(deserializer)) {
            Ok(mut parsed) => {
                parsed.unreadable.splice(0..0, body.unreadable);
                parsed
            }
            Err(reason) => unreadable(reason.to_string()),
        },
        Err(error) => unreadable(error.kind.to_string()),
    }
}

/// Reads a stream event whose first parse has failed.
///
/// Returns `None` if the event is not JSON, or if it is a text event without a readable text.
pub(crate) fn stream_event(json: &[u8], name: &str) -> Option<Parsed<StreamEvent>> {
    let body = to_value_or_salvage(json).ok()?;
    let event_type = body.value.get("type").and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or(name);
    let mut parsed =
        read(None, &body.value, |deserializer| StreamEvent::deserialize_as(event_type, deserializer)).ok()?;
    let is_text = matches!(parsed.value, StreamEvent::Response(_) | StreamEvent::Reasoning(_));
    let lost_text = is_text
        && (body.value.get("response").is_none_or(Value::is_null)
            || parsed.unreadable.iter().any(|field| field.path == "response"));
    parsed.unreadable.splice(0..0, body.unreadable);
    (!lost_text).then_some(parsed)
}

/// Reads a value from parsed JSON.
pub(crate) fn from_value<T: DeserializeOwned>(value: &Value) -> Option<Parsed<T>> {
    read(None, value, |deserializer| T::deserialize(deserializer)).ok()
}

/// Parses JSON of any schema, and repairs its text if necessary.
pub(crate) fn to_value(json: &[u8]) -> Result<Parsed<Value>, ParseError> {
    let first = match std::str::from_utf8(json).map(first_value) {
        Ok(Ok((parsed, 0))) => return Ok(parsed),
        Ok(Err(error)) => error.error,
        // The error of other encodings is that of the whole body.
        _ => serde_json::from_slice::<IgnoredAny>(json).err().unwrap_or_else(|| serde::de::Error::custom("not read")),
    };
    let text = text::decode(json);
    let repaired = text::repair(&text, Repair::Text);
    let is_unchanged =
        matches!((&text, &repaired), (Cow::Borrowed(text), Cow::Borrowed(_)) if text.len() == json.len());
    if is_unchanged && !first.is_syntax() {
        return Err(parse_error(first));
    }
    repaired_value(&repaired)
}

/// Parses a repaired text, and reports what was removed or ignored.
fn repaired_value(text: &str) -> Result<Parsed<Value>, ParseError> {
    let (mut parsed, rest) = first_value(text)?;
    parsed.unreadable.extend(text::take_marks(&mut parsed.value));
    if rest > 0 {
        let reason = format!("{rest} bytes follow the JSON and are ignored");
        parsed.unreadable.push(UnreadableField { path: String::new(), reason });
    }
    Ok(parsed)
}

/// Parses the object or array at the start of a text, and returns the number of bytes after it.
///
/// Proxies and debugging tools append to a body, which must not hide a paid answer.
fn first_value(text: &str) -> Result<(Parsed<Value>, usize), ParseError> {
    let log = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Tree { path: &Path::Root, log: &log }.deserialize(&mut deserializer).map_err(parse_error)?;
    let end = deserializer.into_iter::<IgnoredAny>().byte_offset();
    let rest = text.get(end..).map_or(0, |rest| rest.trim().len());
    if rest == 0 || value.is_object() || value.is_array() {
        return Ok((Parsed { value, unreadable: log.into_inner() }, rest));
    }
    // The error of the whole text names the position of the other data.
    let error = serde_json::from_str::<IgnoredAny>(text).err();
    Err(parse_error(error.unwrap_or_else(|| serde::de::Error::custom("other data follows the value"))))
}

/// Parses JSON as [`to_value`] does, and removes what is nested too deeply or out of range.
pub(crate) fn to_value_or_salvage(json: &[u8]) -> Result<Parsed<Value>, ParseError> {
    to_value(json).or_else(|error| {
        let text = text::decode(json);
        repaired_value(&text::repair(&text, Repair::Values)).map_err(|_| error)
    })
}

fn parse_error(error: serde_json::Error) -> ParseError {
    // serde_json does not expose its error codes.
    let message = error.to_string();
    let kind = if message.starts_with("recursion limit exceeded") {
        DecodeErrorKind::TooDeep
    } else if message.starts_with("number out of range") {
        DecodeErrorKind::NumberOutOfRange
    } else if error.classify() == Category::Eof {
        DecodeErrorKind::Incomplete
    } else {
        DecodeErrorKind::NotJson
    };
    ParseError { kind, error }
}

fn read<'v, T>(
    envelope: Option<&'v str>,
    value: &'v Value,
    deserialize: impl FnOnce(Lenient<'v, '_>) -> Result<T, Reason>,
) -> Result<Parsed<T>, Reason> {
    let log = RefCell::new(Vec::new());
    let root = Path::Root;
    let path = match envelope {
        Some(key) => Path::Key(&root, key),
        None => Path::Root,
    };
    let value = deserialize(Lenient::new(value, &path, &log))?;
    Ok(Parsed { value, unreadable: log.into_inner() })
}
