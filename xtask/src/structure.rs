//! Checks of the structure of the crates: import cycles, the number of macros and the entries of a
//! source folder.

mod cycles;

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{read_text, workspace_root};

/// The maximum number of `macro_rules!` in the libraries.
const MAX_MACROS: usize = 8;

/// The crates whose macros are counted.
const LIBRARIES: [&str; 3] = ["fetch-hive-types", "fetch-hive-core", "fetch-hive-client"];

/// The maximum number of files and folders directly in `crates/fetch-hive-client/src`.
const MAX_CLIENT_ENTRIES: usize = 14;

/// Checks the structure of all crates.
pub(crate) fn structure(_: &[String]) -> Result<(), String> {
    println!("\n== structure: import cycles, macros and entries");
    let crates = workspace_root().join("crates");
    let mut findings = Vec::new();

    let mut macros = Vec::new();
    for library in LIBRARIES {
        for file in source_files(&crates.join(library).join("src"))? {
            let lines = count_macros(&read_text(&file)?).into_iter();
            macros.extend(lines.map(|line| format!("{}:{line}", display(&file))));
        }
    }
    println!("   {} macro_rules! in the libraries, at most {MAX_MACROS}", macros.len());
    if macros.len() > MAX_MACROS {
        findings.push(format!("{} macro_rules! (limit: {MAX_MACROS}): {}", macros.len(), macros.join(", ")));
    }

    let client = crates.join("fetch-hive-client/src");
    let entries = read_folder(&client)?.len();
    println!("   {entries} entries in {}, at most {MAX_CLIENT_ENTRIES}", display(&client));
    if entries > MAX_CLIENT_ENTRIES {
        findings.push(format!("{} has {entries} entries (limit: {MAX_CLIENT_ENTRIES})", display(&client)));
    }

    for folder in read_folder(&crates)? {
        let source = folder.join("src");
        if !source.is_dir() {
            continue;
        }
        let mut files = Vec::new();
        for file in source_files(&source)? {
            let relative = file.strip_prefix(&source).unwrap_or(&file).to_string_lossy().replace('\\', "/");
            files.push((relative, read_text(&file)?));
        }
        let cycles = cycles::find_cycles(&files);
        println!("   {} import cycles between {} files of {}", cycles.len(), files.len(), display(&source));
        findings.extend(cycles.into_iter().map(|cycle| format!("{}: import cycle {cycle}", display(&source))));
    }

    for finding in &findings {
        println!("   FAILED {finding}");
    }
    if findings.is_empty() { Ok(()) } else { Err(format!("{} findings", findings.len())) }
}

/// Returns the line numbers of the `macro_rules!` in a source file.
fn count_macros(text: &str) -> Vec<usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("macro_rules!"));
    lines.map(|(index, _)| index + 1).collect()
}

/// Returns the Rust files below a folder, sorted.
pub(crate) fn source_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for entry in read_folder(folder)? {
        if entry.is_dir() {
            files.extend(source_files(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    Ok(files)
}

/// Returns the entries of a folder, sorted.
fn read_folder(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut entries: Vec<_> = fs::read_dir(folder)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    entries.sort();
    Ok(entries)
}

/// Formats a path relative to the workspace.
fn display(path: &Path) -> String {
    path.strip_prefix(workspace_root()).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macro_definitions_are_counted() {
        assert_eq!(count_macros("macro_rules! a {}\n// macro_rules! b {}\n    macro_rules! c {}\na!();\n"), [1, 3]);
    }
}
