//! The length and the samples of the README.

use super::{TextFile, markdown_lines};

/// The maximum number of words outside of code blocks and tables.
const MAX_WORDS: usize = 600;

/// Returns the hidden lines in samples, and whether the README is too long.
pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let Some(readme) = files.iter().find(|file| file.path == "README.md") else {
        return vec!["README.md is missing".to_owned()];
    };
    let mut findings = Vec::new();
    let mut words = 0;
    for (number, block, line) in markdown_lines(&readme.text) {
        match block {
            Some(language) if language.starts_with("rust") => {
                let line = line.trim_start();
                if line == "#" || line.starts_with("# ") {
                    findings.push(readme.finding(number, "the line is hidden by rustdoc but visible elsewhere"));
                }
            }
            Some(_) => {}
            None if line.starts_with('|') => {}
            None => words += count_words(line),
        }
    }
    if words > MAX_WORDS {
        findings.push(format!("README.md has {words} words (limit: {MAX_WORDS})"));
    }
    findings
}

fn count_words(line: &str) -> usize {
    line.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        check(&[TextFile { path: "README.md".to_owned(), text: text.to_owned() }])
    }

    #[test]
    fn hidden_lines_are_found_in_rust_blocks_only() {
        let found = findings("# Title\n```rust\n# fn main() {\n#[tokio::main]\n#\n# }\n```\n```sh\n# comment\n```\n");
        assert_eq!(found.len(), 3);
        assert!(found[0].starts_with("README.md:3: "), "{found:?}");
    }

    #[test]
    fn words_outside_of_code_and_tables_are_counted() {
        assert!(findings(&format!("{}\n```sh\nx y\n```\n| x | y |\n", "word ".repeat(600))).is_empty());
        assert_eq!(findings(&"word ".repeat(601)), ["README.md has 601 words (limit: 600)"]);
    }
}
