//! Runs what the documentation tells people to run: every command of the README and every example, from a fresh clone.

mod markdown;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use self::markdown::{Listed, commands, dead_links, matches};
use crate::run::{cargo, output, root, target};

/// The commands that are left out, and why.
const SKIPPED: [(&str, &str); 3] = [
    ("cargo test --workspace", "it is CI itself"),
    ("cargo xtask ci", "it is CI itself"),
    ("cargo xtask bench", "it measures, and wants an idle machine"),
];

/// What every command finds at its standard input; the example `chat` asks for it.
const TYPED: &str = "What is new?\n";

/// The longest time for one command, its build included.
const LIMIT: Duration = Duration::from_secs(900);

pub(crate) fn docs(arguments: &[String]) -> Result<(), String> {
    if arguments != ["--run"] {
        return Err("say `cargo xtask docs --run`".to_owned());
    }
    println!("\n== docs: the commands of the README and the examples, from a fresh clone");
    let clone = fresh_clone()?;
    let readme = fs::read_to_string(clone.join("README.md")).map_err(|error| format!("README.md: {error}"))?;
    let dead = dead_links(&clone)?;
    if !dead.is_empty() {
        return Err(format!("links that lead nowhere: {}", dead.join(", ")));
    }
    let listed = commands(&readme);
    let names: BTreeSet<&str> = listed.iter().filter_map(|listed| example(&listed.command)).collect();
    let missing: Vec<String> = examples(&clone)?.into_iter().filter(|name| !names.contains(name.as_str())).collect();
    if !missing.is_empty() {
        return Err(format!("the README does not list these examples: {}", missing.join(", ")));
    }
    let mut run = 0;
    for listed in &listed {
        if let Some((skipped, why)) = SKIPPED.iter().find(|skipped| listed.command == skipped.0) {
            println!("   left out: {skipped} ({why})");
            continue;
        }
        self::run(listed, &clone)?;
        run += 1;
    }
    let unlisted = SKIPPED.iter().find(|skipped| !listed.iter().any(|listed| listed.command == skipped.0));
    if let Some((unlisted, _)) = unlisted {
        return Err(format!("`{unlisted}` is to be left out, and the README does not list it"));
    }
    println!("   {run} commands ran, {} examples among them", names.len());
    Ok(())
}

/// The example that a command runs.
fn example(command: &str) -> Option<&str> {
    command.split_once("--example ")?.1.split_whitespace().next()
}

/// Every example of the workspace.
fn examples(clone: &Path) -> Result<BTreeSet<String>, String> {
    let metadata =
        output(cargo().current_dir(clone).args(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|error| error.to_string())?;
    let targets =
        metadata["packages"].as_array().into_iter().flatten().filter_map(|package| package["targets"].as_array());
    let examples = targets.flatten().filter(|target| target["kind"] == serde_json::json!(["example"]));
    Ok(examples.filter_map(|target| target["name"].as_str().map(str::to_owned)).collect())
}

/// Runs one command, and checks that it prints what the README says.
fn run(listed: &Listed, clone: &Path) -> Result<(), String> {
    let command = &listed.command;
    println!("   {command}");
    let failed = |what: &str| format!("the README's `{command}` {what}");
    let path = |name: &str| target().join("docs").join(name);
    fs::write(path("typed"), TYPED).map_err(|error| error.to_string())?;
    let open = File::open(path("typed")).and_then(|typed| Ok((typed, File::create(path("printed"))?)));
    let (typed, printed) = open.map_err(|error| error.to_string())?;
    let mut shell = Command::new("sh");
    shell.args(["-ec", command]).current_dir(clone).stdin(Stdio::from(typed)).stdout(Stdio::from(printed));
    shell.env("CARGO_TARGET_DIR", target()).env("CARGO_TERM_QUIET", "true");
    // What a user has set must not send an example to the service.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FETCH_HIVE_")) {
        shell.env_remove(name);
    }
    let began = Instant::now();
    let mut child = shell.spawn().map_err(|error| failed(&format!("cannot be run: {error}")))?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if began.elapsed() > LIMIT {
            let _ = child.kill();
            return Err(failed("does not end"));
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let printed = fs::read(path("printed")).map_err(|error| error.to_string())?;
    let printed = String::from_utf8_lossy(&printed);
    printed.lines().for_each(|line| println!("      {line}"));
    if !status.success() {
        return Err(failed(&format!("failed: {status}")));
    }
    match &listed.prints {
        Some(line) if !printed.lines().any(|printed| matches(line, printed)) => {
            Err(failed(&format!("did not print the line that stands beside it: {line}")))
        }
        _ => Ok(()),
    }
}

/// A clone of what is committed; or this folder itself, where it holds nothing else but what was built, as in CI, or where there is no
/// repository, as in a source archive.
fn fresh_clone() -> Result<PathBuf, String> {
    let folder = target().join("docs");
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    if !root().join(".git").exists() {
        println!("   there is no repository here, so this folder is taken as it is");
        return Ok(root());
    }
    let git = |words: &[&str]| output(Command::new("git").arg("-C").arg(root()).args(words));
    let head = git(&["rev-parse", "HEAD"])?;
    let others = git(&["status", "--porcelain", "--ignored"])?.lines().filter(|line| *line != "!! target/").count();
    if others == 0 {
        println!("   this folder is as a clone of {} is", head.trim());
        return Ok(root());
    }
    println!("   {others} files here are not as they are in the clone");
    let clone = folder.join("clone");
    let _ = fs::remove_dir_all(&clone);
    output(Command::new("git").args(["clone", "--quiet", "--no-checkout"]).arg(root()).arg(&clone))?;
    output(Command::new("git").arg("-C").arg(&clone).args(["checkout", "--quiet", "--detach", head.trim()]))?;
    Ok(clone)
}
