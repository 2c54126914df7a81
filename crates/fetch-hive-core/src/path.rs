use percent_encoding::utf8_percent_encode;

use crate::InvalidInput;
use crate::query::{ENCODED, QueryWriter};

/// A writer that fills the placeholders of [`Endpoint::PATH`](crate::Endpoint::PATH) in order.
#[derive(Debug)]
pub struct PathWriter {
    url: String,
    /// The part of the template that has not been written.
    template: &'static str,
    error: Option<InvalidInput>,
}

impl PathWriter {
    pub(crate) fn new(base: &str, template: &'static str) -> Self {
        // The length of a path without placeholders is known. Ids rarely need more than 64 bytes.
        let ids = if template.contains('{') { 64 } else { 0 };
        let mut url = String::with_capacity(base.len() + template.len() + ids);
        url.push_str(base);
        Self { url, template, error: None }
    }

    /// Fills the next placeholder with an id, percent-encoded as one path segment.
    ///
    /// Building the request fails if the id is empty, `.` or `..`, because these change the path
    /// even when they are encoded.
    pub fn id(&mut self, id: impl AsRef<str>) -> &mut Self {
        let id = id.as_ref();
        let Some((name, rest)) = self.next_placeholder() else {
            return self.reject("path", "has fewer placeholders than ids");
        };
        self.template = rest;
        match id {
            "" => self.reject(name, "must not be empty"),
            "." | ".." => self.reject(name, "must not be `.` or `..`, which would change the path"),
            _ => {
                self.url.extend(utf8_percent_encode(id, ENCODED));
                self
            }
        }
    }

    /// Writes the text before the next placeholder, and returns its name and the text after it.
    fn next_placeholder(&mut self) -> Option<(&'static str, &'static str)> {
        let (before, after) = self.template.split_once('{')?;
        self.url.push_str(before);
        after.split_once('}')
    }

    /// Stores the first error, which `finish` returns.
    fn reject(&mut self, field: &'static str, reason: &'static str) -> &mut Self {
        self.error.get_or_insert_with(|| InvalidInput::new(field, reason));
        self
    }

    pub(crate) fn finish(mut self) -> Result<QueryWriter, InvalidInput> {
        if let Some((name, _)) = self.next_placeholder() {
            self.reject(name, "is a placeholder that the endpoint did not fill");
        } else {
            self.url.push_str(self.template);
        }
        match self.error {
            Some(error) => Err(error),
            None => Ok(QueryWriter::new(self.url)),
        }
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
    fn ids_are_encoded_as_one_segment_or_rejected() {
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
}
