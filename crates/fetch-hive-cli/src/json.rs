//! JSON texts, which are printed with the order and the numbers of the service.

use serde::de::IgnoredAny;

/// The fields that contain a secret.
const SECRETS: [&str; 3] = ["webhook_secret", "secret", "api_key"];

/// The text that replaces a secret.
pub(crate) const MASK: &str = "***";

/// Returns whether a text is JSON.
pub(crate) fn is_valid(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Formats JSON with an indent of two spaces. Returns `None` if the text is not JSON.
pub(crate) fn pretty(text: &[u8], show_secrets: bool) -> Option<String> {
    format(text, true, show_secrets)
}

/// Formats JSON on one line. Returns `None` if the text is not JSON.
pub(crate) fn compact(text: &[u8], show_secrets: bool) -> Option<String> {
    format(text, false, show_secrets)
}

fn format(text: &[u8], indent: bool, show_secrets: bool) -> Option<String> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    if !is_valid(text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let mut writer = Writer { out: String::with_capacity(text.len()), depth: 0, indent };
    // Whether the next string is the value of a secret field.
    let mut masks = false;
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let token = &rest[..token_len(rest)];
        rest = &rest[token.len()..];
        match first {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'{' | b'[' => {
                let is_empty = matches!(rest.trim_start().bytes().next(), Some(b'}' | b']'));
                writer.open(token, is_empty);
                masks = false;
            }
            b'}' | b']' => writer.close(token),
            b',' => writer.comma(),
            b':' => writer.out.push_str(if indent { ": " } else { ":" }),
            b'"' if rest.trim_start().starts_with(':') => {
                writer.out.push_str(token);
                masks = !show_secrets && SECRETS.iter().any(|name| token.get(1..token.len() - 1) == Some(*name));
            }
            b'"' if masks => {
                writer.out.push('"');
                writer.out.push_str(MASK);
                writer.out.push('"');
                masks = false;
            }
            _ => {
                writer.out.push_str(token);
                masks = false;
            }
        }
    }
    Some(writer.out)
}

struct Writer {
    out: String,
    depth: usize,
    indent: bool,
}

impl Writer {
    fn open(&mut self, token: &str, is_empty: bool) {
        self.out.push_str(token);
        self.depth += 1;
        if !is_empty {
            self.line();
        }
    }

    fn close(&mut self, token: &str) {
        self.depth = self.depth.saturating_sub(1);
        if !self.out.ends_with(['{', '[']) {
            self.line();
        }
        self.out.push_str(token);
    }

    fn comma(&mut self) {
        self.out.push(',');
        self.line();
    }

    fn line(&mut self) {
        if self.indent {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", self.depth));
        }
    }
}

/// Returns the length of the first token, which is at least 1.
fn token_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'"') => {
            let mut index = 1;
            while index < bytes.len() && bytes[index] != b'"' {
                index += if bytes[index] == b'\\' { 2 } else { 1 };
            }
            (index + 1).min(bytes.len())
        }
        Some(b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r') => 1,
        _ => text.find([',', '}', ']', ' ', '\t', '\n', '\r']).unwrap_or(text.len()).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_numbers_are_kept() {
        let text = br#" {"z":1.10,"a":[1e400,{}, []],"s":"a\"b,c:d {","n":null} "#;
        assert_eq!(
            pretty(text, false).unwrap(),
            "{\n  \"z\": 1.10,\n  \"a\": [\n    1e400,\n    {},\n    []\n  ],\n  \"s\": \"a\\\"b,c:d {\",\n  \"n\": null\n}"
        );
        assert_eq!(compact(text, false).unwrap(), r#"{"z":1.10,"a":[1e400,{},[]],"s":"a\"b,c:d {","n":null}"#);
        for text in ["1", "\"a\"", "[]", "{}", "true", "-1.5"] {
            assert_eq!(pretty(text.as_bytes(), false).unwrap(), text);
        }
        for text in ["", "{", "<html>", "{\"a\":}", "1 2"] {
            assert_eq!(pretty(text.as_bytes(), false), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_masked() {
        let text = br#"{"webhook_secret":"whsec_1","nested":[{"secret" : "x"},{"secret":null}],"other":"secret"}"#;
        assert_eq!(
            compact(text, false).unwrap(),
            r#"{"webhook_secret":"***","nested":[{"secret":"***"},{"secret":null}],"other":"secret"}"#
        );
        assert!(compact(text, true).unwrap().contains("whsec_1"));
    }
}
