use std::fmt::{self, Display};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use serde::Serialize;
use serde_json::Value;

use crate::InvalidInput;

/// Everything but the unreserved characters of a URI, so that a value stays one segment and one pair.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Fills the placeholders of [`Endpoint::PATH`](crate::Endpoint::PATH), in their order.
#[derive(Debug)]
pub struct PathWriter {
    out: String,
    rest: &'static str,
    refused: Option<InvalidInput>,
}

impl PathWriter {
    pub(crate) fn new(base: &str, template: &'static str) -> Self {
        // A path without placeholders is known to the byte.
        let ids = if template.contains('{') { 64 } else { 0 };
        let mut out = String::with_capacity(base.len() + template.len() + ids);
        out.push_str(base);
        Self { out, rest: template, refused: None }
    }

    /// Fills the next placeholder with an identifier, percent-encoded as one segment. The empty text, `.` and `..` are refused
    /// under the placeholder's name: no encoding keeps them from changing the path.
    pub fn id(&mut self, id: impl AsRef<str>) -> &mut Self {
        let id = id.as_ref();
        let Some((name, rest)) = self.advance() else {
            return self.refuse("path", "has fewer placeholders than identifiers");
        };
        self.rest = rest;
        match id {
            "" => self.refuse(name, "must not be empty"),
            "." | ".." => self.refuse(name, "must not be `.` or `..`, which would change the path"),
            _ => {
                self.out.extend(utf8_percent_encode(id, ENCODED));
                self
            }
        }
    }

    /// Writes up to the next placeholder; gives its name and what follows it.
    fn advance(&mut self) -> Option<(&'static str, &'static str)> {
        let (before, after) = self.rest.split_once('{')?;
        self.out.push_str(before);
        after.split_once('}')
    }

    fn refuse(&mut self, field: &'static str, reason: &'static str) -> &mut Self {
        self.refused.get_or_insert_with(|| InvalidInput::new(field, reason));
        self
    }

    pub(crate) fn finish(mut self) -> Result<QueryWriter, InvalidInput> {
        if let Some((name, _)) = self.advance() {
            self.refuse(name, "is a placeholder that the endpoint left unfilled");
        } else {
            self.out.push_str(self.rest);
        }
        match self.refused {
            Some(refused) => Err(refused),
            None => Ok(QueryWriter { out: self.out, separator: '?' }),
        }
    }
}

/// Writes the query of a request, percent-encoded. `Debug` shows none of it: a webhook secret may be in it.
pub struct QueryWriter {
    out: String,
    separator: char,
}

impl fmt::Debug for QueryWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryWriter").field("length", &self.out.len()).finish_non_exhaustive()
    }
}

impl QueryWriter {
    /// Adds a pair if there is a value.
    pub fn pair(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        if let Some(value) = value {
            self.out.push(self.separator);
            self.separator = '&';
            self.out.extend(utf8_percent_encode(name, ENCODED));
            self.out.push('=');
            self.out.extend(utf8_percent_encode(&value.to_string(), ENCODED));
        }
        self
    }

    /// Adds a pair for each field that a struct serialises; null is left out, and what is no text is written as JSON.
    pub fn fields(&mut self, fields: &impl Serialize) -> &mut Self {
        if let Ok(Value::Object(fields)) = serde_json::to_value(fields) {
            for (name, value) in fields {
                match value {
                    Value::Null => {}
                    Value::String(text) => {
                        self.pair(&name, Some(text));
                    }
                    other => {
                        self.pair(&name, Some(other));
                    }
                }
            }
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(ids: &[&str]) -> Result<String, InvalidInput> {
        let mut path = PathWriter::new("https://h/v1", "/a/{workspace_id}/b/{id}/c");
        for id in ids {
            path.id(id);
        }
        path.finish().map(QueryWriter::finish)
    }

    #[test]
    fn trap_06_ids_stay_one_segment_or_are_refused() {
        for (id, segment) in [
            ("a/b", "a%2Fb"),
            ("a?b=1#c", "a%3Fb%3D1%23c"),
            ("%2F", "%252F"),
            ("a b", "a%20b"),
            ("é", "%C3%A9"),
            ("a\nb", "a%0Ab"),
            ("...", "..."),
            ("a..b", "a..b"),
        ] {
            assert_eq!(path(&["ws_1", id]).unwrap(), format!("https://h/v1/a/ws_1/b/{segment}/c"));
        }
        for id in ["", ".", ".."] {
            assert_eq!(path(&["ws_1", id]).unwrap_err().field, "id");
            assert_eq!(path(&[id, "x"]).unwrap_err().field, "workspace_id");
        }
        assert_eq!(path(&["ws_1"]).unwrap_err().field, "id");
        assert_eq!(path(&["a", "b", "c"]).unwrap_err().field, "path");
    }

    #[test]
    fn query_values_are_encoded_and_absent_ones_left_out() {
        let mut query = PathWriter::new("", "/x").finish().unwrap();
        query.pair("status", Some("a&b=c")).pair("none", None::<&str>).pair("limit", Some(10));
        assert_eq!(query.finish(), "/x?status=a%26b%3Dc&limit=10");
    }
}
