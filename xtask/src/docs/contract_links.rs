//! Links to the headings of the wire contract.

use super::{TextFile, markdown_lines};

/// The contract, which is also the documentation of the module `fetch_hive_types::contract`.
const CONTRACT: &str = "crates/fetch-hive-types/docs/contract.md";

/// Returns the links to missing headings of the contract, and the citations that are not links.
pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let Some(contract) = files.iter().find(|file| file.path == CONTRACT) else {
        return vec![format!("{CONTRACT} is missing")];
    };
    let anchors: Vec<String> = headings(&contract.text).map(anchor).collect();
    let mut findings = Vec::new();
    // The samples in this program are not links.
    for file in files.iter().filter(|file| !file.path.starts_with("xtask/")) {
        for (number, line) in file.text.lines().enumerate() {
            for linked in linked_anchors(line).filter(|linked| !anchors.iter().any(|anchor| anchor == linked)) {
                findings.push(file.finding(number, &format!("the contract has no heading #{linked}")));
            }
            if line.contains("(contract, section") {
                findings.push(file.finding(number, "write a link to a heading of the contract"));
            }
        }
    }
    findings
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    let prose = markdown_lines(text).filter(|(_, block, _)| block.is_none());
    let headings = prose.map(|(_, _, line)| line).filter(|line| line.starts_with('#'));
    headings.map(|line| line.trim_start_matches('#').trim())
}

/// Returns the anchor that rustdoc generates for a heading.
fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}

/// Returns the anchors of the links to the contract in a line.
fn linked_anchors(line: &str) -> impl Iterator<Item = &str> {
    let links = ["contract#", "contract.md#", "contract/index.html#"].into_iter();
    links.flat_map(|link| line.split(link).skip(1)).map(|rest| {
        let end = rest.find(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '-' | '_'));
        &rest[..end.unwrap_or(rest.len())]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn links_to_missing_headings_and_old_citations_are_found() {
        let contract = file(CONTRACT, "# Contract\n## Errors, limits & more\n```\n# not a heading\n```\n");
        let source = "/// [contract](crate::contract#errors-limits--more)\n/// [contract](crate::contract#x_y)\n/// y (contract, section 4)\n";
        assert_eq!(
            check(&[contract, file("a.rs", source)]),
            ["a.rs:2: the contract has no heading #x_y", "a.rs:3: write a link to a heading of the contract"]
        );
    }

    #[test]
    fn missing_contract_is_found() {
        assert_eq!(check(&[file("a.rs", "")]).len(), 1);
    }
}
