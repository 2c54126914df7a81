//! Rust identifiers in the README and the guide.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{TextFile, markdown_lines};
use crate::run::{LIBRARIES, read_text};

/// The folder of the guide.
const GUIDE: &str = "crates/fetch-hive-client/docs/";

/// The comparison with the official Python SDK, which mentions its methods.
const PYTHON_PAGE: &str = "crates/fetch-hive-client/docs/python.md";

/// Names of the standard library, of common crates and of HTTP headers that the texts may mention.
const COMMON: &str = "block_on Accept Arc Authorization Box Clone Date Debug Default Display Drop Duration Err Error From Future \
                      Instant Into IntoFuture Iterator Location Mutex None Ok Option Path Result Self Send Some Stream \
                      String Sync SystemTime Vec as_str clone default drop expect from into main map_err new next \
                      to_owned to_string unwrap";

/// The names that the texts may use.
#[derive(Default)]
pub(crate) struct Known {
    /// The text of all public-API snapshots.
    api: String,
    /// The identifiers of the snapshots, the contract and the standard library.
    names: BTreeSet<String>,
    /// The names that the test of the Python SDK uses.
    python: BTreeSet<String>,
    /// The names of other crates.
    crates: BTreeSet<String>,
}

impl Known {
    /// Reads the public-API snapshots, the contract and the names of the dependencies.
    pub(crate) fn load(root: &Path) -> Result<Self, String> {
        let mut known = Self::default();
        for package in LIBRARIES {
            known.add_api(&read_text(&root.join("crates").join(package).join("public-api.txt"))?);
            known.names.insert(package.replace('-', "_"));
        }
        let contract = read_text(&root.join("crates/fetch-hive-emulator/contract/openapi.json"))?;
        let contract: Value = serde_json::from_str(&contract).map_err(|error| format!("openapi.json: {error}"))?;
        known.add_keys(&contract);
        known.names.extend(COMMON.split_whitespace().map(str::to_owned));
        known.python.extend(words(&read_text(&root.join("xtask/src/python_sdk/methods.py"))?).map(str::to_owned));
        let manifest = read_text(&root.join("Cargo.toml"))?;
        let dependencies = manifest.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
        known
            .crates
            .extend(dependencies.map(|name| name.replace('-', "_")).filter(|name| !name.starts_with("fetch_hive")));
        known.crates.extend(["alloc", "axum", "reqwest", "rusqlite", "smol", "std"].map(str::to_owned));
        Ok(known)
    }

    fn add_api(&mut self, api: &str) {
        self.names.extend(words(api).map(str::to_owned));
        self.api.push_str(api);
    }

    /// Adds the keys of a JSON value: the schemas and the fields of the contract.
    fn add_keys(&mut self, value: &Value) {
        match value {
            Value::Object(object) => object.iter().for_each(|(key, value)| {
                self.names.insert(key.clone());
                self.add_keys(value);
            }),
            Value::Array(array) => array.iter().for_each(|value| self.add_keys(value)),
            _ => {}
        }
    }

    /// Returns whether a path, a type or a function exists.
    fn contains(&self, identifier: &str) -> bool {
        let segments: Vec<&str> = identifier.split("::").collect();
        if segments.len() > 1 && (self.crates.contains(segments[0]) || is_common(segments[0])) {
            return true;
        }
        let is_known = |segment: &&str| self.names.contains(*segment);
        if !segments.iter().all(is_known) {
            return false;
        }
        // A member of a type must be declared by that type.
        segments.windows(2).all(|pair| !is_camel_case(pair[0]) || self.declares(pair[0], pair[1]))
    }

    fn declares(&self, owner: &str, member: &str) -> bool {
        let path = format!("{owner}::{member}");
        let generic = format!("::{member}");
        self.api.match_indices(&path).any(|(at, _)| !continues(&self.api[at + path.len()..]))
            || self.api.lines().any(|line| {
                line.contains(&format!("{owner}<")) && line.split(&generic).skip(1).any(|rest| !continues(rest))
            })
    }
}

/// Returns the unknown identifiers in the README and the guide.
pub(crate) fn check(files: &[TextFile], known: &Known) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path == "README.md" || is_guide(file)) {
        for (number, block, line) in markdown_lines(&file.text) {
            if block.is_some() || line.starts_with("| `cargo ") {
                continue;
            }
            let unknown = code_spans(line).flat_map(identifiers).filter(|identifier| {
                let is_python = file.path == PYTHON_PAGE && known.python.contains(identifier);
                !is_python && !known.contains(identifier)
            });
            findings
                .extend(unknown.map(|identifier| file.finding(number, &format!("unknown identifier {identifier}"))));
        }
    }
    findings
}

fn is_common(name: &str) -> bool {
    COMMON.split_whitespace().any(|common| common == name)
}

fn is_guide(file: &TextFile) -> bool {
    file.path.starts_with(GUIDE) && file.is_markdown()
}

/// Returns the texts in backticks, without commands, paths, JSON and URLs.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.filter(|span| {
        let is_other = span.starts_with("cargo ") || span.starts_with(['{', '-', '<']) || span.contains("curl ");
        !is_other && !span.contains('/')
    })
}

/// Returns the parts of a code span that look like a Rust path, a type or a function.
fn identifiers(span: &str) -> Vec<String> {
    let code = without_strings(span);
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(start) = rest.find(|character: char| character.is_ascii_alphabetic() || character == '_') {
        let before = &rest[..start];
        rest = &rest[start..];
        let length = rest.find(|character: char| !is_identifier(character) && character != ':').unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        rest = after;
        let path = word.trim_end_matches(':');
        let is_hyphenated = before.ends_with('-') || after.starts_with('-');
        let is_file = [".toml", ".lock", ".md", ".rs"].iter().any(|suffix| after.starts_with(suffix));
        let is_function = after.starts_with('(');
        let is_path = path.contains("::");
        if !is_hyphenated && !is_file && (is_path || is_function || path.split("::").any(is_camel_case)) {
            found.push(path.to_owned());
        }
    }
    found
}

/// Removes the contents of string literals.
fn without_strings(code: &str) -> String {
    code.split('"').step_by(2).collect::<Vec<_>>().join("\"\"")
}

/// Returns whether a word looks like the name of a type.
fn is_camel_case(word: &str) -> bool {
    word.starts_with(|character: char| character.is_ascii_uppercase())
        && word.contains(|character: char| character.is_ascii_lowercase())
        && word.chars().all(|character| character.is_ascii_alphanumeric())
}

fn is_identifier(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Returns whether a text starts with more characters of an identifier.
fn continues(text: &str) -> bool {
    text.starts_with(is_identifier)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|character: char| !is_identifier(character)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let mut known = Known::default();
        known.add_api("pub fn fetch_hive_client::Client::call<R>(&self)\npub struct fetch_hive_core::Timeouts\npub fn fetch_hive_client::CallBuilder<'c, E>::timeout(self)\n");
        known.crates.insert("http".to_owned());
        known.add_keys(&serde_json::json!({"schemas": {"AgentList": {"thread_id": {}}}}));
        known
    }

    #[test]
    fn unknown_identifiers_are_found_with_their_lines() {
        let text = "`Client::call`, `http::Anything` and `Timeouts`\n\n`Limits`, `.repeat(2)`, `Client::send` and `AgentList`\n```rust\n// `Other`\n```\n";
        let readme = TextFile { path: "README.md".to_owned(), text: text.to_owned() };
        assert_eq!(
            check(&[readme], &known()),
            [
                "README.md:3: unknown identifier Limits",
                "README.md:3: unknown identifier repeat",
                "README.md:3: unknown identifier Client::send",
            ]
        );
    }

    #[test]
    fn members_of_generic_types_are_known() {
        assert!(known().contains("CallBuilder::timeout"));
        assert!(!known().contains("Timeouts::timeout"));
    }

    #[test]
    fn identifiers_are_extracted_from_code() {
        assert_eq!(identifiers("client.call(Request::new(\"Text here()\"))"), ["call", "Request::new"]);
        assert_eq!(identifiers("Option<Vec<T>>"), ["Option", "Vec"]);
        assert!(identifiers("Retry-After").is_empty());
        assert!(identifiers("Cargo.toml").is_empty());
        assert!(identifiers("FETCH_HIVE_API_KEY").is_empty());
        assert!(identifiers("request_id").is_empty());
    }

    #[test]
    fn commands_paths_and_json_are_no_code() {
        assert_eq!(code_spans("`cargo run Xy()`, `docs/Xy.md`, `{\"Xy\": 1}`, `Xy`").collect::<Vec<_>>(), ["Xy"]);
    }
}
