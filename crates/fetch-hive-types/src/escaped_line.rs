use std::fmt::{self, Write as _};

/// A wrapper that displays untrusted text safely in one line of a log.
///
/// Control characters, line and paragraph separators and marks that change the direction of text
/// are displayed as escapes, so that the text cannot forge a line or control a terminal. All errors
/// of these crates display the service's texts in this way; their fields keep the original text.
///
/// ```
/// use fetch_hive_types::EscapedLine;
///
/// let line = EscapedLine("no\nERROR \u{1b}[31mforged").to_string();
/// assert_eq!(line, r"no\nERROR \u{1b}[31mforged");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscapedLine<T>(pub T);

impl<T: fmt::Display> fmt::Display for EscapedLine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some((at, found)) = rest.char_indices().find(|(_, c)| must_be_escaped(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", found.escape_default())?;
            rest = &rest[at + found.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

fn must_be_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_control_and_direction_characters_are_escaped() {
        let control = "\r\n\t\0\u{1b}]0;title\u{7}\u{9b}31m\u{2028}\u{202e}\u{2066}";
        let line = EscapedLine(control).to_string();
        assert!(!line.chars().any(must_be_escaped), "{line:?}");
        assert!(line.starts_with(r"\r\n\t\u{0}\u{1b}]0;title"), "{line}");
        for text in ["", "größer als 1 \\ \"x\"", "日本語 🐝"] {
            assert_eq!(EscapedLine(text).to_string(), text);
        }
    }
}
