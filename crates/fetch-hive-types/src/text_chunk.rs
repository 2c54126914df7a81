use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// An immutable string that is optimized for the short texts of a stream.
///
/// Texts of up to 23 bytes need no allocation. It dereferences to `str`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextChunk(SmolStr);

impl TextChunk {
    /// Returns the text as a string slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for TextChunk {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TextChunk {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<TextChunk> for String {
    fn from(chunk: TextChunk) -> Self {
        chunk.0.into()
    }
}

impl AsRef<str> for TextChunk {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for TextChunk {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for TextChunk {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for TextChunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
