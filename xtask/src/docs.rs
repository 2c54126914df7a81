//! Checks of the documentation: its prose, its links and the commands that it lists.

mod commands;
mod contract_links;
mod identifiers;
mod line_length;
mod links;
mod readme;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{read_text, workspace_root};

/// A Rust or Markdown file of the workspace.
struct TextFile {
    /// The path relative to the workspace, with `/` as the separator.
    path: String,
    text: String,
}

impl TextFile {
    fn is_markdown(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "md")
    }

    /// Formats a finding in a line, which is counted from 0.
    fn finding(&self, line: usize, message: &str) -> String {
        format!("{}:{}: {message}", self.path, line + 1)
    }
}

/// Checks the prose and the links of the documentation. `--run` also runs the commands that it
/// lists.
pub(crate) fn docs(arguments: &[String]) -> Result<(), String> {
    let run = match arguments {
        [] => false,
        [option] if option == "--run" => true,
        _ => return Err("usage: cargo xtask docs [--run]".to_owned()),
    };
    println!("\n== docs: prose, links and identifiers");
    let root = workspace_root();
    let mut files = Vec::new();
    read_files(&root, &root, &mut files)?;
    let checks = [
        ("lines longer than 100 columns", line_length::check(&files)),
        ("broken links", links::check(&root, &files)),
        ("links to the contract", contract_links::check(&files)),
        ("unknown identifiers", identifiers::check(&files, &identifiers::Known::load(&root)?)),
        ("README", readme::check(&files)),
    ];
    let mut count = 0;
    for (name, findings) in &checks {
        println!("   {:>4} findings: {name}", findings.len());
        for finding in findings {
            println!("        {finding}");
        }
        count += findings.len();
    }
    if count > 0 {
        return Err(format!("{count} findings"));
    }
    if run { run::run() } else { Ok(()) }
}

/// Reads the Rust and Markdown files below a folder, sorted by path.
fn read_files(root: &Path, folder: &Path, files: &mut Vec<TextFile>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(failed)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries: Vec<PathBuf> = entries.collect::<Result<_, _>>().map_err(failed)?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        if entry.is_dir() {
            if name != "target" && !name.starts_with('.') {
                read_files(root, &entry, files)?;
            }
        } else if name.ends_with(".rs") || name.ends_with(".md") {
            let path = entry.strip_prefix(root).unwrap_or(&entry).to_string_lossy().replace('\\', "/");
            files.push(TextFile { path, text: read_text(&entry)? });
        }
    }
    Ok(())
}

/// Returns the numbered lines of a Markdown text, each with the language of its code block or
/// `None`.
///
/// The lines that open and close a code block belong to it.
fn markdown_lines(text: &str) -> impl Iterator<Item = (usize, Option<&str>, &str)> {
    let mut fence = None;
    text.lines().enumerate().map(move |(number, line)| {
        let Some(language) = line.trim_start().strip_prefix("```") else { return (number, fence, line) };
        let block = fence.or(Some(language));
        fence = if fence.is_some() { None } else { block };
        (number, block, line)
    })
}
