//! The fuzz targets, which are next to the code that they test: `crates/*/fuzz`.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use crate::release::tools;
use crate::run::{Checks, capture_output, cargo, read_text, run_command, target_dir, toolchain_cargo, workspace_root};

/// A fuzz target and the crate that contains it.
struct Target {
    name: String,
    folder: PathBuf,
}

/// Runs each fuzz target, or one of them, and continues after a finding.
pub(crate) fn fuzz(arguments: &[String]) -> Result<(), String> {
    tools::require_nightly()?;
    let (seconds, names): (Vec<_>, Vec<_>) = arguments.iter().partition(|argument| argument.parse::<u32>().is_ok());
    let seconds = seconds.first().map_or("600", |seconds| seconds);
    let targets = targets()?;
    if let Some(unknown) = names.iter().find(|name| targets.iter().all(|target| target.name != ***name)) {
        let list: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        return Err(format!("unknown fuzz target {unknown}; the targets are {}", list.join(", ")));
    }
    let mut checks = Checks::default();
    for target in targets.iter().filter(|target| names.is_empty() || names.contains(&&target.name)) {
        checks.run_always(&target.name, || run(target, seconds));
    }
    checks.finish()
}

/// Builds all fuzz targets.
pub(crate) fn build() -> Result<(), String> {
    tools::require_nightly()?;
    let mut folders: Vec<_> = targets()?.into_iter().map(|target| target.folder).collect();
    folders.dedup();
    for folder in folders {
        let (line, mut command) = cargo_fuzz("build", &folder)?;
        run_command("fuzz targets", &line, &mut command)?;
    }
    Ok(())
}

/// Returns the fuzz targets of all crates, those of a crate next to each other.
fn targets() -> Result<Vec<Target>, String> {
    let entries = |folder: PathBuf| -> Vec<PathBuf> {
        let mut entries: Vec<_> =
            fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        entries
    };
    let mut targets = Vec::new();
    for package in entries(workspace_root().join("crates")) {
        for file in entries(package.join("fuzz").join("fuzz_targets")) {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            targets.push(Target { name, folder: package.join("fuzz") });
        }
    }
    if targets.is_empty() { Err("no crate has a fuzz target".to_owned()) } else { Ok(targets) }
}

/// Returns a command of cargo-fuzz, and its command line.
///
/// Without a sanitizer, a target runs ten times as often. The workspace contains no unsafe code.
fn cargo_fuzz(action: &str, folder: &std::path::Path) -> Result<(String, Command), String> {
    let folder = folder.strip_prefix(workspace_root()).unwrap_or(folder);
    let line = format!("fuzz {action} --sanitizer none --fuzz-dir {}", folder.display());
    let mut command = toolchain_cargo("nightly");
    command.args(line.split(' ')).arg("--target-dir").arg(target_dir().join("fuzz"));
    // Any installed version of cargo-fuzz works.
    if capture_output(cargo().args(["fuzz", "--version"])).is_err() {
        command.env("PATH", tools::tool_path("cargo-fuzz", "0.13.1")?);
    }
    Ok((format!("cargo +nightly {line}"), command))
}

/// Runs one target, starting with its seeds and with the inputs that earlier runs have found.
fn run(Target { name, folder }: &Target, seconds: &str) -> Result<(), String> {
    let output = target_dir().join("fuzz");
    let (corpus, log) = (output.join("corpus").join(name), output.join(format!("{name}.log")));
    fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let (line, mut command) = cargo_fuzz("run", folder)?;
    command.arg(name).arg(&corpus).arg(folder.join("seeds").join(name)).arg("--");
    command.args([&format!("-max_total_time={seconds}"), "-timeout=10"]);
    run_command(&format!("{name} for {seconds} s"), &format!("{line} {name}"), command.stderr(file))
        .map_err(|error| format!("{error}; the finding is in {}", log.display()))?;
    let log = read_text(&log)?;
    let done = log.lines().rev().find(|line| line.starts_with("Done ")).ok_or("the target reports no runs")?;
    println!("   {done}");
    Ok(())
}
