use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// The crates that are published.
pub(crate) const PUBLISHED: [&str; 5] =
    ["fetch-hive-types", "fetch-hive-core", "fetch-hive-client", "fetch-hive-testing", "fetch-hive-emulator"];

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// The cargo that runs this.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds for a check alone, below the target folder: small, and apart from what contributors build.
pub(crate) fn apart(command: &mut Command, folder: &str) {
    command.env("CARGO_TARGET_DIR", target().join(folder));
    command.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_TEST_DEBUG", "0");
}

/// A cargo of another toolchain, found by rustup. What this toolchain put into the environment is taken out.
pub(crate) fn cargo_of(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]).current_dir(root());
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}

/// Runs a step of cargo under a heading; fails with the words that repeat it.
pub(crate) fn step(heading: &str, words: &str, environment: &[(&str, &str)]) -> Result<(), String> {
    let mut command = cargo();
    command.args(words.split_whitespace()).envs(environment.iter().copied());
    let variables = environment.iter().fold(String::new(), |text, (name, value)| text + name + "='" + value + "' ");
    shown(heading, &format!("{variables}cargo {words}"), &mut command)
}

/// Runs a command under a heading; fails with the words that repeat it.
pub(crate) fn shown(heading: &str, words: &str, command: &mut Command) -> Result<(), String> {
    println!("\n== {heading}\n   {words}");
    let status = command.status().map_err(|error| format!("{heading}: cannot run `{words}`: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{heading}; again with: {words}")) }
}

/// Runs a command and gives what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

/// Checks that were made, and how long each took.
#[derive(Default)]
pub(crate) struct Checks {
    made: Vec<(String, Duration, bool)>,
    failures: Vec<String>,
}

impl Checks {
    /// Makes a check, unless an earlier one failed.
    pub(crate) fn next(&mut self, name: &str, check: impl FnOnce() -> Result<(), String>) {
        if self.failures.is_empty() {
            self.also(name, check);
        }
    }

    /// Makes a check, even if an earlier one failed.
    pub(crate) fn also(&mut self, name: &str, check: impl FnOnce() -> Result<(), String>) {
        let began = Instant::now();
        let result = check();
        self.made.push((name.to_owned(), began.elapsed(), result.is_ok()));
        self.failures.extend(result.err());
    }

    /// Prints what was made; fails if anything did.
    pub(crate) fn end(self) -> Result<(), String> {
        println!("\n== checks, and how long each took");
        for (name, took, passed) in &self.made {
            println!("   {:>6.1} s  {name}{}", took.as_secs_f32(), if *passed { "" } else { "  FAILED" });
        }
        let total: Duration = self.made.iter().map(|made| made.1).sum();
        println!("   {:>6.1} s  together", total.as_secs_f32());
        if self.failures.is_empty() { Ok(()) } else { Err(self.failures.join("\n  ")) }
    }
}
