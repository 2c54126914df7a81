use std::fs;
use std::path::Path;
use std::process::Command;

use crate::run::output;

/// A command that a text tells people to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Listed {
    pub(crate) command: String,
    /// A line that it prints, `…` for what differs each time: the last cell of a table's row that begins with the command.
    pub(crate) prints: Option<String>,
}

/// The commands of a text: the lines of its `sh` blocks, and what stands in backticks and begins with `cargo `. Each comes once.
pub(crate) fn commands(text: &str) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    let mut list = |command: &str, prints: Option<&str>| {
        let command = command.trim().to_owned();
        let prints = prints.map(|prints| prints.trim().trim_matches('`').to_owned());
        match listed.iter_mut().find(|listed| listed.command == command) {
            Some(known) => known.prints = prints.or(known.prints.take()),
            None => listed.push(Listed { command, prints }),
        }
    };
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
        } else if fence == Some("sh") {
            let command = line.split(" # ").next().unwrap_or_default().trim();
            if !command.is_empty() && !command.starts_with('#') {
                list(command, None);
            }
        } else if fence.is_none() {
            let cells: Vec<&str> = line.trim_matches(['|', ' ']).split('|').collect();
            let prints = if line.starts_with("| `cargo ") { cells.last().copied() } else { None };
            for span in line.split('`').skip(1).step_by(2).filter(|span| span.starts_with("cargo ")) {
                list(span, prints);
            }
        }
    }
    listed
}

/// Whether a line is as it was said to be; `…` stands for anything.
pub(crate) fn matches(said: &str, line: &str) -> bool {
    let mut parts = said.split('…');
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

/// The links of all texts that lead to a file that is not there.
pub(crate) fn dead_links(root: &Path) -> Result<Vec<String>, String> {
    let files = output(Command::new("find").arg(root).args(["-name", "*.md", "-not", "-path", "*/target/*"]))?;
    let mut dead = Vec::new();
    for file in files.lines() {
        let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        let folder = Path::new(file).parent().unwrap_or(root);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let path = link.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://") || path.contains("::") || path.contains(' ');
            if !elsewhere && !folder.join(path).exists() {
                dead.push(format!("{link} in {file}"));
            }
        }
    }
    Ok(dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_in_blocks_in_tables_and_in_sentences() {
        let text = "Run `cargo xtask ci`, or `not this`.\n\n```sh\n# a comment\ncargo run --example a   # another\ncurl x\n```\n\n```toml\nx = 1\n```\n\
            | `cargo run --example b` | what | `b: …` |\n| `cargo run --example a` | what | `a` |\n```rust\n// `cargo none`\n```\n";
        let listed = |command: &str, prints: Option<&str>| Listed {
            command: command.to_owned(),
            prints: prints.map(str::to_owned),
        };
        assert_eq!(
            commands(text),
            [
                listed("cargo xtask ci", None),
                listed("cargo run --example a", Some("a")),
                listed("curl x", None),
                listed("cargo run --example b", Some("b: …")),
            ]
        );
    }

    #[test]
    fn a_line_is_as_it_was_said_to_be() {
        assert!(matches("a … c", "a b c"));
        assert!(matches("a…", "a b c"));
        assert!(matches("…c", "a b c"));
        assert!(matches("a b c", "a b c "));
        assert!(!matches("a b", "a b c"));
        assert!(!matches("a … d", "a b c"));
        assert!(!matches("b…", "a b c"));
    }
}
