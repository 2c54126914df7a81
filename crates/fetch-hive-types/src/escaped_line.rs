use std::fmt::{self, Write as _};

/// Text of others as it may stand in a line of a log: control characters, line and paragraph separators and marks that turn the direction of
/// writing are written as escapes, so that nobody can forge a line or steer a terminal.
///
/// Every error of these crates prints the service's words so; its fields keep them as they came.
///
/// ```
/// use fetch_hive_types::EscapedLine;
///
/// assert_eq!(EscapedLine("no\nERROR \u{1b}[31mforged").to_string(), r"no\nERROR \u{1b}[31mforged");
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
    fn what_breaks_a_line_or_steers_a_terminal_is_escaped_and_all_else_is_left() {
        let steering = "\r\n\t\0\u{1b}]0;title\u{7}\u{9b}31m\u{2028}\u{202e}\u{2066}";
        let line = EscapedLine(steering).to_string();
        assert!(!line.chars().any(must_be_escaped), "{line:?}");
        assert!(line.starts_with(r"\r\n\t\u{0}\u{1b}]0;title"), "{line}");
        for text in ["", "größer als 1 \\ \"x\"", "日本語 🐝"] {
            assert_eq!(EscapedLine(text).to_string(), text);
        }
    }
}
