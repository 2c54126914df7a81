//! Repairs the text of JSON before it is parsed.

use std::borrow::Cow;
use std::fmt::Write;

use serde_json::Value;

use super::unreadable::UnreadableField;

/// The parts of a JSON text that are repaired.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// Unpaired surrogates, control characters in strings, and the literals `NaN` and `Infinity`.
    Text,
    /// The same, as well as numbers that are out of range and values that are nested too deeply.
    Values,
}

/// The number of levels that are kept. It is below the limit of the parser.
const MAX_DEPTH: usize = 120;

/// The number of levels below the root at which a value that is nested too deeply is removed.
const MAX_REMOVED_DEPTH: usize = 2;

/// The strings that mark removed values until the text is parsed.
const NUMBER_MARK: &str = "\u{1}fetch-hive\u{1}number\u{1}";
const DEPTH_MARK: &str = "\u{1}fetch-hive\u{1}depth\u{1}";

/// Converts the bytes of a body to text, whatever its encoding is.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let utf16 = |bytes: &[u8], from: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
        Cow::Owned(char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect())
    };
    // Programs that each add a byte-order mark or a line break may follow each other.
    let mut bytes = bytes;
    while let [0xef, 0xbb, 0xbf, rest @ ..] | [b'\r' | b'\n' | b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    match bytes {
        [0xff, 0xfe, text @ ..] => utf16(text, u16::from_le_bytes),
        [0xfe, 0xff, text @ ..] => utf16(text, u16::from_be_bytes),
        [b'{' | b'[', 0, ..] => utf16(bytes, u16::from_le_bytes),
        [0, b'{' | b'[', ..] => utf16(bytes, u16::from_be_bytes),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Repairs a JSON text. A text that needs no repair is borrowed.
pub(super) fn repair(text: &str, repair: Repair) -> Cow<'_, str> {
    let mut scanner = Scanner { text, at: 0, copied: 0, output: String::new() };
    let mut depth = 0_usize;
    while let Some(byte) = scanner.peek() {
        match byte {
            b'"' => scanner.string(),
            b'{' | b'[' if repair == Repair::Values && depth == MAX_DEPTH => {
                let start = scanner.at;
                scanner.skip_container();
                scanner.replace(start, DEPTH_MARK);
            }
            b'{' | b'[' => {
                depth += 1;
                scanner.at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                scanner.at += 1;
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                let start = scanner.at;
                let token = scanner.token();
                let is_out_of_range = || {
                    repair == Repair::Values
                        && token.ends_with(|last: char| last.is_ascii_digit())
                        && token.parse::<f64>().is_ok_and(f64::is_infinite)
                };
                if matches!(token, "NaN" | "-NaN" | "Infinity" | "-Infinity") || is_out_of_range() {
                    scanner.replace(start, NUMBER_MARK);
                }
            }
            _ => scanner.at += 1,
        }
    }
    scanner.finish()
}

/// A position in a text, and the repaired copy of the text before it.
struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// The end of the part of the text that is already in the output.
    copied: usize,
    output: String,
}

impl<'t> Scanner<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn token(&mut self) -> &'t str {
        let start = self.at;
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        self.at += self.text.as_bytes()[start..].iter().take_while(|byte| is_part(byte)).count();
        &self.text[start..self.at]
    }

    /// Copies the text up to `start`, and a mark instead of the text up to the position.
    fn replace(&mut self, start: usize, mark: &str) {
        self.output.push_str(&self.text[self.copied..start]);
        // A mark is a valid string, and its control characters are escaped.
        let _ = write!(self.output, "{}", Value::from(mark));
        self.copied = self.at;
    }

    /// Passes a string, and repairs it.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' => self.escape(),
                0..0x20 => {
                    self.output.push_str(&self.text[self.copied..self.at]);
                    let _ = write!(self.output, "\\u{byte:04x}");
                    self.at += 1;
                    self.copied = self.at;
                }
                _ => self.at += 1,
            }
        }
    }

    /// Passes an escape sequence, and replaces an unpaired surrogate.
    fn escape(&mut self) {
        let start = self.at;
        let unit = self.unit(start);
        self.at = (start + if unit.is_some() { 6 } else { 2 }).min(self.text.len());
        match unit {
            Some(0xd800..0xdc00) if matches!(self.unit(self.at), Some(0xdc00..0xe000)) => self.at += 6,
            Some(0xd800..0xe000) => {
                self.output.push_str(&self.text[self.copied..start]);
                self.output.push_str("\\ufffd");
                self.copied = self.at;
            }
            _ => {
                // The escaped character may have several bytes.
                while !self.text.is_char_boundary(self.at) {
                    self.at += 1;
                }
            }
        }
    }

    /// Returns the value of the escape sequence `\uXXXX` at a position.
    fn unit(&self, at: usize) -> Option<u32> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
    }

    /// Passes an object or an array with everything in it.
    fn skip_container(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                b'"' => self.skip_string(),
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'"' => return,
                b'\\' => self.at += 1,
                _ => {}
            }
        }
        self.at = self.text.len();
    }

    fn finish(mut self) -> Cow<'t, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.output.push_str(&self.text[self.copied..]);
        Cow::Owned(self.output)
    }
}

/// Replaces each mark by null, and returns the paths of the removed values.
pub(super) fn take_marks(value: &mut Value) -> Vec<UnreadableField> {
    let mut removed = Vec::new();
    let _ = take_marks_below(value, &mut Vec::new(), &mut removed);
    removed
}

/// Returns whether a parent of the value has to be removed.
fn take_marks_below(value: &mut Value, path: &mut Vec<String>, removed: &mut Vec<UnreadableField>) -> bool {
    let too_deep = match value {
        Value::String(text) if text == NUMBER_MARK => {
            *value = Value::Null;
            removed.push(unreadable(path, "the number is out of range"));
            false
        }
        Value::String(text) => text == DEPTH_MARK,
        Value::Array(elements) => elements.iter_mut().enumerate().any(|(index, element)| {
            path.push(format!("[{index}]"));
            let too_deep = take_marks_below(element, path, removed);
            path.pop();
            too_deep
        }),
        Value::Object(fields) => fields.iter_mut().any(|(key, field)| {
            path.push(if path.is_empty() { key.clone() } else { format!(".{key}") });
            let too_deep = take_marks_below(field, path, removed);
            path.pop();
            too_deep
        }),
        _ => false,
    };
    if too_deep && path.len() <= MAX_REMOVED_DEPTH {
        *value = Value::Null;
        removed.push(unreadable(path, "the value is nested too deeply"));
        return false;
    }
    too_deep
}

fn unreadable(path: &[String], reason: &str) -> UnreadableField {
    UnreadableField { path: path.concat(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intact_text_is_borrowed() {
        for text in [r#"{"a":"\ud83d\ude00 \n \" \\","b":[-1.5e3,true,null]}"#, "", "<html>", "\"open", "\"open\\"] {
            assert!(matches!(repair(text, Repair::Values), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn unpaired_surrogates_are_replaced() {
        for (text, want) in [
            (r#""cut \ud83d""#, r#""cut \ufffd""#),
            (r#""\ude00 rest""#, r#""\ufffd rest""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83dx\\ud83d""#, r#""\ufffdx\\ud83d""#),
            (r#"{"\uDFFF":1}"#, r#"{"\ufffd":1}"#),
        ] {
            assert_eq!(repair(text, Repair::Text), want);
        }
    }

    #[test]
    fn control_characters_and_python_literals_are_repaired() {
        assert_eq!(repair("\"a\nb\"", Repair::Text), r#""a\u000ab""#);
        let mut value =
            serde_json::from_str(&repair(r#"{"a":NaN,"b":[1,-Infinity],"c":"NaN"}"#, Repair::Text)).unwrap();
        let paths: Vec<_> = take_marks(&mut value).into_iter().map(|field| field.path).collect();
        assert_eq!(paths, ["a", "b[1]"]);
        assert_eq!(value, serde_json::json!({"a": null, "b": [1, null], "c": "NaN"}));
    }

    #[test]
    fn deep_and_large_values_are_removed_with_their_field() {
        let deep = "[".repeat(200) + &"]".repeat(200);
        let text = format!(r#"{{"id":"r","data":{{"output":{deep},"n":1e999,"ok":1}},"x":[{deep},2]}}"#);
        let mut value = serde_json::from_str(&repair(&text, Repair::Values)).unwrap();
        let paths: Vec<_> = take_marks(&mut value).into_iter().map(|field| field.path).collect();
        assert_eq!(paths, ["data.n", "data.output", "x[0]"]);
        let want = serde_json::json!({"id": "r", "data": {"output": null, "n": null, "ok": 1}, "x": [null, 2]});
        assert_eq!(value, want);
    }
}
