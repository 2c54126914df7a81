//! Links between files.

use std::path::Path;

use super::{TextFile, markdown_lines};

/// Returns the links in Markdown files that lead to a missing file.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_links_are_extracted() {
        let line = "[a](docs/a.md#x), [b](https://h/b), [c](#c), [d](crate::d) and [e](../e.md)";
        assert_eq!(relative_links(line).collect::<Vec<_>>(), ["docs/a.md", "../e.md"]);
    }

    #[test]
    fn missing_file_is_found() {
        let file = TextFile { path: "README.md".to_owned(), text: "x\n[a](no-such-file.md)\n".to_owned() };
        assert_eq!(check(Path::new("/"), &[file]), ["README.md:2: no-such-file.md does not exist"]);
    }
}
