use std::collections::HashSet;
use std::{fmt, io};

use bytes::Bytes;
use fetch_hive_types::{Extra, Inputs, JsonText};
use http::HeaderValue;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Serialize, Serializer as _};

use crate::{BodyPiece, InvalidInput, RequestBody};

/// The body of a request with its content type.
///
/// `Debug` shows the content type and the length, and never the content.
#[derive(Clone)]
pub struct Body {
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) content: RequestBody,
}

impl Body {
    /// Creates an empty body without a content type.
    pub fn empty() -> Self {
        Self { content_type: None, content: RequestBody::default() }
    }

    /// Creates a body of the given content type from bytes or from a [`RequestBody`].
    pub fn new(content_type: HeaderValue, content: impl Into<RequestBody>) -> Self {
        Self { content_type: Some(content_type), content: content.into() }
    }

    /// Serializes a value as a JSON body.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] for the field `body` when the value cannot be serialized.
    pub fn json(value: &impl Serialize) -> Result<Self, InvalidInput> {
        Ok(Self::new(HeaderValue::from_static("application/json"), to_json(value)?))
    }

    /// Serializes a request, whose extra fields are flattened into it, as a JSON body.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] when the request cannot be serialized, or when an extra field has
    /// the same name as a field of the request. It is unknown which of the two values the service
    /// would use.
    pub fn json_with_extra(value: &impl Serialize, extra: &Extra) -> Result<Self, InvalidInput> {
        reject_duplicate_keys(value, extra)?;
        Self::json(value)
    }

    /// Like [`json_with_extra`](Body::json_with_extra), but shares the text of large inputs instead
    /// of copying it.
    pub(crate) fn json_with_inputs(
        value: &impl Serialize,
        extra: &Extra,
        inputs: &Inputs,
    ) -> Result<Self, InvalidInput> {
        let large: Vec<_> =
            inputs.iter().map(|(_, text)| text).filter(|text| text.as_str().len() >= SHARED_BYTES).collect();
        if large.is_empty() {
            return Self::json_with_extra(value, extra);
        }
        reject_duplicate_keys(value, extra)?;
        let mut writer = SharingWriter { large, pieces: Vec::new(), buffer: Vec::new() };
        serde_json::to_writer(&mut writer, value).map_err(|error| InvalidInput::new("body", error.to_string()))?;
        writer.pieces.push(BodyPiece::Bytes(writer.buffer.into()));
        Ok(Self::new(HeaderValue::from_static("application/json"), RequestBody::pieces(writer.pieces)))
    }

    /// Like [`json_with_inputs`](Body::json_with_inputs), with the field `streaming` added.
    pub(crate) fn json_streaming(
        value: &impl Serialize,
        extra: &Extra,
        inputs: Option<&Inputs>,
        streaming: bool,
    ) -> Result<Self, InvalidInput> {
        #[derive(Serialize)]
        struct WithStreaming<'a, T> {
            #[serde(flatten)]
            value: &'a T,
            streaming: bool,
        }
        let value = WithStreaming { value, streaming };
        match inputs {
            Some(inputs) => Self::json_with_inputs(&value, extra, inputs),
            None => Self::json_with_extra(&value, extra),
        }
    }

    /// Like [`json_with_extra`](Body::json_with_extra), with the request wrapped in `{key: …}`.
    pub(crate) fn json_in(key: &'static str, value: &impl Serialize, extra: &Extra) -> Result<Self, InvalidInput> {
        reject_duplicate_keys(value, extra)?;
        let mut json = Vec::new();
        let written = serde_json::Serializer::new(&mut json).collect_map([(key, value)]);
        written.map_err(|error| InvalidInput::new("body", error.to_string()))?;
        Ok(Self::new(HeaderValue::from_static("application/json"), json))
    }

    /// Creates the body `{}`, which the official SDKs send for actions without arguments.
    pub(crate) fn empty_object() -> Self {
        Self::new(HeaderValue::from_static("application/json"), Bytes::from_static(b"{}"))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({:?}, {} bytes)", self.content_type, self.content.len())
    }
}

/// The length from which the text of an input is shared. A shorter one is copied, because a body in
/// one piece is cheaper to send.
const SHARED_BYTES: usize = 256 << 10;

/// A writer of a JSON body that shares the text of large inputs.
///
/// `serde_json` writes the text of an input at once, so it is recognized by its address.
struct SharingWriter<'a> {
    large: Vec<&'a JsonText>,
    pieces: Vec<BodyPiece>,
    /// The bytes since the last shared text.
    buffer: Vec<u8>,
}

impl io::Write for SharingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_same = |text: &&&JsonText| std::ptr::eq(text.as_ref(), bytes);
        if let Some(text) = self.large.iter().find(is_same) {
            self.pieces.push(BodyPiece::Bytes(std::mem::take(&mut self.buffer).into()));
            self.pieces.push(BodyPiece::Bytes(Bytes::from_owner((*text).clone())));
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, InvalidInput> {
    serde_json::to_vec(value).map_err(|error| InvalidInput::new("body", error.to_string()))
}

fn reject_duplicate_keys(value: &impl Serialize, extra: &Extra) -> Result<(), InvalidInput> {
    if extra.is_empty() {
        return Ok(());
    }
    match duplicate_key(&to_json(value)?) {
        Some(key) => Err(InvalidInput::new(key, "is set twice: as a field and as an extra field")),
        None => Ok(()),
    }
}

/// Returns the first key that occurs twice in a JSON object.
fn duplicate_key(json: &[u8]) -> Option<String> {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut seen = HashSet::new();
            let mut duplicate = None;
            while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
                if !seen.insert(key.clone()) {
                    duplicate.get_or_insert(key);
                }
            }
            Ok(duplicate)
        }
    }

    serde_json::Deserializer::from_slice(json).deserialize_map(Keys).ok().flatten()
}
