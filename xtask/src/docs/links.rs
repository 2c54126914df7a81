//! Links between files, and paths in backticks.

use std::path::Path;

use super::{TextFile, markdown_lines};

/// Folders whose paths in backticks are checked.
const FOLDERS: [&str; 5] = ["crates/", "examples/", "xtask/", ".ci/", ".github/"];

/// Returns the links and the paths in backticks, in Markdown files, that lead to a missing file.
pub(crate) fn check(root: &Path, files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.is_markdown()) {
        let location = root.join(&file.path);
        let folder = location.parent().unwrap_or(root);
        for (number, block, line) in markdown_lines(&file.text) {
            if block.is_some() {
                continue;
            }
            for path in relative_links(line).filter(|path| !folder.join(path).exists()) {
                findings.push(file.finding(number, &format!("{path} does not exist")));
            }
            for path in quoted_paths(line).filter(|path| !root.join(path).exists()) {
                findings.push(file.finding(number, &format!("{path} does not exist")));
            }
        }
    }
    findings
}

/// Returns the files that a line links to, without URLs and rustdoc paths.
fn relative_links(line: &str) -> impl Iterator<Item = &str> {
    let links = line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link);
    let paths = links.map(|link| link.split('#').next().unwrap_or_default());
    paths.filter(|path| !path.is_empty() && !path.contains(':') && !path.contains(' '))
}

/// Returns the paths in backticks that begin with a folder of the workspace.
fn quoted_paths(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|text| FOLDERS.iter().any(|folder| text.starts_with(folder)) && !text.contains([' ', '*', '{']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_paths_are_extracted() {
        let line = "`crates/a/b.rs`, `crates/*/public-api.txt`, `.ci/run` and `client.rs` in crates/c";
        assert_eq!(quoted_paths(line).collect::<Vec<_>>(), ["crates/a/b.rs", ".ci/run"]);
    }

    #[test]
    fn relative_links_are_extracted() {
        let line = "[a](docs/a.md#x), [b](https://h/b), [c](#c), [d](crate::d) and [e](../e.md)";
        assert_eq!(relative_links(line).collect::<Vec<_>>(), ["docs/a.md", "../e.md"]);
    }

    #[test]
    fn missing_file_is_found() {
        let file = TextFile { path: "README.md".to_owned(), text: "x\n[a](no-such-file.md)\n".to_owned() };
        assert_eq!(check(Path::new("/"), &[file]), ["README.md:2: no-such-file.md does not exist"]);
        let file = TextFile { path: "README.md".to_owned(), text: "in `xtask/no-such-file.rs`\n".to_owned() };
        assert_eq!(check(Path::new("/"), &[file]), ["README.md:1: xtask/no-such-file.rs does not exist"]);
    }
}
