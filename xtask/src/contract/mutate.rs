//! A test of the check itself: it must fail when one field or endpoint is changed in a copy.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{cargo, read_text, target_dir, workspace_root};
use crate::structure::source_files;

/// A change to one line of the source.
struct Mutant {
    file: PathBuf,
    line: usize,
    replacement: String,
}

/// Changes COUNT random lines, one at a time, and expects the check to fail each time.
pub(crate) fn mutate(arguments: &[String]) -> Result<(), String> {
    let number = |n: usize, default| arguments.get(n).map_or(Ok(default), |text| text.parse::<u64>());
    let count = number(0, 20).map_err(|error| error.to_string())?;
    let mut seed = number(1, 1).map_err(|error| error.to_string())?;
    println!("\n== contract: {count} mutants, seed {seed}");

    let copy = target_dir().join("mutants");
    let _ = fs::remove_dir_all(copy.join("crates"));
    for part in ["Cargo.toml", "Cargo.lock", ".cargo", "crates", "examples", "xtask"] {
        copy_all(&workspace_root().join(part), &copy.join(part)).map_err(|error| format!("{part}: {error}"))?;
    }
    run(&copy).map_err(|output| format!("the unchanged copy fails:\n{output}"))?;
    let mut candidates = candidates(&copy)?;
    let mut survived = Vec::new();
    for n in 1..=count {
        // A linear congruential generator is random enough to choose lines.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let picked = usize::try_from(seed >> 33).unwrap_or_default() % candidates.len();
        let mutant = candidates.swap_remove(picked);
        let original = fs::read_to_string(&mutant.file).map_err(|error| error.to_string())?;
        let mut lines: Vec<_> = original.lines().map(str::to_owned).collect();
        let name = format!("{}:{}", mutant.file.strip_prefix(&copy).unwrap_or(&mutant.file).display(), mutant.line + 1);
        let from = std::mem::replace(&mut lines[mutant.line], mutant.replacement.clone());
        fs::write(&mutant.file, lines.join("\n") + "\n").map_err(|error| error.to_string())?;
        let outcome = run(&copy);
        fs::write(&mutant.file, original).map_err(|error| error.to_string())?;
        let change = format!("{name}: `{}` to `{}`", from.trim(), mutant.replacement.trim());
        match outcome {
            Err(output) if output.contains("FAILED ") => println!("   {n:>2} caught    {change}"),
            Err(output) => return Err(format!("{change} does not build:\n{output}")),
            Ok(()) => {
                println!("   {n:>2} SURVIVED  {change}");
                survived.push(name);
            }
        }
    }
    println!("   {count} mutants, {} survived", survived.len());
    if survived.is_empty() { Ok(()) } else { Err(format!("survived: {}", survived.join(", "))) }
}

/// Runs the check in the copy. The error contains its output.
fn run(copy: &Path) -> Result<(), String> {
    let output = cargo()
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .args(["run", "--quiet", "--package", "xtask", "--", "contract"])
        .output()
        .map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(printed.into_owned()) }
}

/// Returns mutants that rename or skip a field of a model, or change the path of an endpoint.
fn candidates(copy: &Path) -> Result<Vec<Mutant>, String> {
    let mut mutants = Vec::new();
    for directory in ["crates/fetch-hive-types/src", "crates/fetch-hive-core/src/endpoints"] {
        for file in source_files(&copy.join(directory))? {
            let text = read_text(&file)?;
            let mut within = "";
            for (line, text) in text.lines().enumerate() {
                within = match text.trim() {
                    "record! {" => "record",
                    "request! {" => "request",
                    "endpoint! {" => "endpoint",
                    "}" if !text.starts_with(' ') => "",
                    _ => within,
                };
                mutants.extend(mutate_line(within, text).map(|replacement| Mutant {
                    file: file.clone(),
                    line,
                    replacement,
                }));
            }
        }
    }
    Ok(mutants)
}

fn mutate_line(within: &str, line: &str) -> Option<String> {
    let trimmed = line.trim();
    if within == "endpoint" {
        let (before, quoted) = line.split_once("\"/")?;
        return Some(format!("{before}\"/mutant/{quoted}"));
    }
    let (name, kind) = trimmed.split_once(": ").filter(|_| !trimmed.starts_with('/') && trimmed.ends_with(','))?;
    let is_field = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    match within {
        // The length of the name decides whether the field is renamed or skipped.
        "record" if is_field && name.len() % 2 == 0 => Some(format!("#[serde(rename = \"mutant\")] {name}: {kind}")),
        "record" if is_field => Some(format!("#[serde(skip)] {name}: {kind}")),
        "request" if is_field && !kind.starts_with('[') => {
            Some(format!("#[serde(rename = \"mutant\")] {name}: {kind}"))
        }
        _ => None,
    }
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_all(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map(drop)
}
