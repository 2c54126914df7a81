//! The commands that a Markdown text lists.

/// A command that a text asks the reader to run.
#[derive(Debug, PartialEq)]
pub(crate) struct ListedCommand {
    pub(crate) command: String,
    /// A line of the expected output, with `…` for the parts that vary.
    ///
    /// It is the last cell of a table row whose first cell is the command.
    pub(crate) output: Option<String>,
}

/// Returns the distinct commands of a text.
///
/// These are the lines of its `sh` blocks and the texts in backticks that start with `cargo `.
pub(crate) fn listed_commands(text: &str) -> Vec<ListedCommand> {
    let mut listed: Vec<ListedCommand> = Vec::new();
    let mut add = |command: &str, output: Option<&str>| {
        let command = command.trim().to_owned();
        let output = output.map(|output| output.trim().trim_matches('`').to_owned());
        match listed.iter_mut().find(|listed| listed.command == command) {
            Some(known) => known.output = output.or(known.output.take()),
            None => listed.push(ListedCommand { command, output }),
        }
    };
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
        } else if fence == Some("sh") {
            let command = line.split(" # ").next().unwrap_or_default().trim();
            if !command.is_empty() && !command.starts_with('#') {
                add(command, None);
            }
        } else if fence.is_none() {
            let cells: Vec<&str> = line.trim_matches(['|', ' ']).split('|').collect();
            let output = if line.starts_with("| `cargo ") { cells.last().copied() } else { None };
            for span in line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("cargo ")) {
                add(span, output);
            }
        }
    }
    listed
}

/// Returns whether a line matches a pattern, in which `…` matches any text.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.trim_end().strip_prefix(first)) else { return false };
    let mut open = false;
    for part in parts {
        open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    open || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_blocks_tables_and_sentences() {
        let text = "Run `cargo xtask ci`, or `not this`.\n\n```sh\n# a comment\ncargo run --example a   # another\ncurl x\n```\n\n```toml\nx = 1\n```\n\
            | `cargo run --example b` | what | `b: …` |\n| `cargo run --example a` | what | `a` |\n```rust\n// `cargo none`\n```\n";
        let listed = |command: &str, output: Option<&str>| ListedCommand {
            command: command.to_owned(),
            output: output.map(str::to_owned),
        };
        assert_eq!(
            listed_commands(text),
            [
                listed("cargo xtask ci", None),
                listed("cargo run --example a", Some("a")),
                listed("curl x", None),
                listed("cargo run --example b", Some("b: …")),
            ]
        );
    }

    #[test]
    fn pattern_matches_lines() {
        assert!(matches("a … c", "a b c"));
        assert!(matches("a…", "a b c"));
        assert!(matches("…c", "a b c"));
        assert!(matches("a b c", "a b c "));
        assert!(!matches("a b", "a b c"));
        assert!(!matches("a … d", "a b c"));
        assert!(!matches("b…", "a b c"));
    }
}
