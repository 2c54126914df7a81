use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::Value;

/// All characters except the unreserved characters of RFC 3986.
pub(crate) const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A writer that appends percent-encoded parameters to the query string of a request.
///
/// `Debug` shows only the length of the URL, because the query string may contain a webhook secret.
pub struct QueryWriter {
    url: String,
    separator: char,
}

impl fmt::Debug for QueryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryWriter").field("length", &self.url.len()).finish_non_exhaustive()
    }
}

impl QueryWriter {
    pub(crate) fn new(url: String) -> Self {
        Self { url, separator: '?' }
    }

    /// Appends a parameter, unless the value is `None`.
    pub fn pair(&mut self, name: &str, value: Option<impl fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.url.push(self.separator);
            self.separator = '&';
            self.url.extend(utf8_percent_encode(name, ENCODED));
            self.url.push('=');
            self.url.extend(utf8_percent_encode(&value.to_string(), ENCODED));
        }
        self
    }

    /// Appends a parameter for each field that a struct serializes.
    ///
    /// Skips null. Writes strings without quotes, and all other values as JSON.
    pub fn fields(&mut self, fields: &impl Serialize) -> &mut Self {
        if let Ok(Value::Object(fields)) = serde_json::to_value(fields) {
            for (name, value) in fields {
                let text = match value {
                    Value::Null => None,
                    Value::String(text) => Some(text),
                    other => Some(other.to_string()),
                };
                self.pair(&name, text);
            }
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        self.url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_and_none_is_skipped() {
        let mut query = QueryWriter::new("/x".to_owned());
        query.pair("status", Some("a&b=c")).pair("none", None::<&str>).pair("limit", Some(10));
        assert_eq!(query.finish(), "/x?status=a%26b%3Dc&limit=10");
    }
}
