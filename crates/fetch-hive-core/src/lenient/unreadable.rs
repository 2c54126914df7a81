use std::fmt;

use fetch_hive_types::EscapedLine;

/// A field of a JSON body that could not be read and is therefore absent from the parsed value.
///
/// The field is still contained in the raw body. Neither `Display` nor `Debug` shows its value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnreadableField {
    /// The path to the field from the root of the body, such as `usage.total_tokens` or
    /// `tool_calls[2]`. It is empty if the whole body could not be read.
    pub path: String,
    /// The reason why the field could not be read, such as `expected a string, found an object`.
    pub reason: String,
}

impl fmt::Display for UnreadableField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "the body: {}", EscapedLine(&self.reason)),
            path => write!(f, "{}: {}", EscapedLine(path), EscapedLine(&self.reason)),
        }
    }
}
