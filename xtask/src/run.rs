//! Paths and processes that all commands use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The published crates with a library, which build with the oldest supported Rust.
pub(crate) const LIBRARIES: [&str; 7] = [
    "fetch-hive-types",
    "fetch-hive-core",
    "fetch-hive-client",
    "fetch-hive-store",
    "fetch-hive-batch",
    "fetch-hive-testing",
    "fetch-hive-emulator",
];

/// The published crates.
pub(crate) const PUBLISHED: [&str; 8] = {
    let [types, core, client, store, batch, testing, emulator] = LIBRARIES;
    [types, core, client, store, batch, testing, emulator, "fetch-hive-cli"]
};

/// Returns the root of the workspace.
pub(crate) fn workspace_root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}

/// Returns the folder that cargo builds in.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace_root().join("target"), |folder| workspace_root().join(folder))
}

/// Returns a command for the cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root());
    command
}

/// Builds in a separate folder below the target folder, so that a check does not evict the
/// contributor's own build.
pub(crate) fn use_own_target_dir(command: &mut Command, folder: &str) {
    command.env("CARGO_TARGET_DIR", target_dir().join(folder));
    // Incremental data and debug information would only fill the disk.
    command.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
}

/// Returns a command for the cargo of another toolchain, which rustup must have installed.
pub(crate) fn toolchain_cargo(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).current_dir(workspace_root());
    // The current toolchain sets these, and they would override the other one.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}

/// Runs cargo under a heading.
///
/// The error contains the command line that repeats the run.
pub(crate) fn run_cargo(heading: &str, arguments: &str, environment: &[(&str, &str)]) -> Result<(), String> {
    let mut command = cargo();
    command.args(arguments.split_whitespace()).envs(environment.iter().copied());
    let variables = environment.iter().fold(String::new(), |text, (name, value)| text + name + "='" + value + "' ");
    run_command(heading, &format!("{variables}cargo {arguments}"), &mut command)
}

/// Runs a command under a heading.
///
/// The error contains `command_line`, which a contributor can run to repeat the command.
pub(crate) fn run_command(heading: &str, command_line: &str, command: &mut Command) -> Result<(), String> {
    println!("\n== {heading}\n   {command_line}");
    let status = command.status().map_err(|error| format!("{heading}: cannot run `{command_line}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{heading}: `{command_line}` failed with {status}")) }
}

/// Runs a command and returns its standard output.
///
/// The error contains its standard error.
pub(crate) fn capture_output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Reads a text file; the error contains its path.
pub(crate) fn read_text(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// A list of checks with their results and durations.
#[derive(Default)]
pub(crate) struct Checks {
    results: Vec<CheckResult>,
    errors: Vec<String>,
}

struct CheckResult {
    name: String,
    duration: Duration,
    passed: bool,
}

impl Checks {
    /// Runs a check, unless an earlier one failed.
    pub(crate) fn run(&mut self, name: &str, check: impl FnOnce() -> Result<(), String>) {
        if self.errors.is_empty() {
            self.run_always(name, check);
        }
    }

    /// Runs a check, even if an earlier one failed.
    pub(crate) fn run_always(&mut self, name: &str, check: impl FnOnce() -> Result<(), String>) {
        let start = Instant::now();
        let result = check();
        self.results.push(CheckResult { name: name.to_owned(), duration: start.elapsed(), passed: result.is_ok() });
        self.errors.extend(result.err());
    }

    /// Prints the duration of each check. Returns an error if a check failed.
    pub(crate) fn finish(self) -> Result<(), String> {
        println!("\n== durations of the checks");
        for CheckResult { name, duration, passed } in &self.results {
            println!("   {:>6.1} s  {name}{}", duration.as_secs_f32(), if *passed { "" } else { "  FAILED" });
        }
        let total: Duration = self.results.iter().map(|result| result.duration).sum();
        println!("   {:>6.1} s  total", total.as_secs_f32());
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors.join("\n  ")) }
    }
}
