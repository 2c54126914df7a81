//! The length of comments and prose. rustfmt checks comments only on nightly.

use super::{TextFile, markdown_lines};

/// The maximum number of columns.
const LIMIT: usize = 100;

/// Returns the comments in Rust files and the prose in Markdown files that are too long.
///
/// Tables, code blocks and lines with nothing but a URL may be longer.
pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files {
        let long: Vec<(usize, usize)> = if file.is_markdown() {
            let prose = markdown_lines(&file.text).filter(|(_, block, line)| block.is_none() && !is_exempt(line));
            prose.filter_map(|(number, _, line)| Some((number, excess(line)?))).collect()
        } else {
            let comments = file.text.lines().enumerate().filter(|(_, line)| is_comment(line));
            comments.filter_map(|(number, line)| Some((number, excess(line)?))).collect()
        };
        let messages = long.into_iter();
        findings.extend(
            messages.map(|(number, length)| file.finding(number, &format!("{length} columns (limit: {LIMIT})"))),
        );
    }
    findings
}

/// Returns the length of a line that is too long.
fn excess(line: &str) -> Option<usize> {
    Some(line.chars().count()).filter(|length| *length > LIMIT)
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") && !is_url(line.trim_start_matches(['/', '!']))
}

/// Returns whether a Markdown line is part of a table or has nothing but a URL.
fn is_exempt(line: &str) -> bool {
    line.trim_start().starts_with('|') || is_url(line)
}

/// Returns whether a text is a URL, a link or a link definition that cannot be wrapped.
fn is_url(text: &str) -> bool {
    let text = text.trim().trim_start_matches("- ");
    let target = match text.split_once("]: ") {
        Some((label, target)) if label.starts_with('[') => target,
        _ => text,
    };
    !target.contains(' ') && (target.contains("://") || target.contains("]("))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> usize {
        check(&[TextFile { path: path.to_owned(), text: text.to_owned() }]).len()
    }

    #[test]
    fn long_comments_are_found_and_long_code_is_not() {
        let long = "word ".repeat(21);
        assert_eq!(lines("a.rs", &format!("    /// {long}\n//! {long}\n// {long}\nlet x = \"{long}\";\n")), 3);
        assert_eq!(lines("a.rs", &format!("/// {}\n", "é".repeat(96))), 0);
    }

    #[test]
    fn long_prose_is_found_outside_of_tables_code_and_urls() {
        let long = "word ".repeat(21);
        assert_eq!(lines("a.md", &format!("{long}\n- {long}\n| {long} |\n```sh\n{long}\n```\n{long}\n")), 3);
        assert_eq!(lines("a.md", &format!("[x]: https://h/{}\n<https://h/{0}>\n", "a".repeat(100))), 0);
    }
}
