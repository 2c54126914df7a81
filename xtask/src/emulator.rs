//! The emulator's command, for the commands that need one.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::run::{step, target};

/// A running emulator, stopped when it is dropped.
pub(crate) struct Emulator {
    pub(crate) process: Child,
    /// The base URL for a client.
    pub(crate) url: String,
}

/// Builds the command, and gives its path.
pub(crate) fn build(release: bool) -> Result<PathBuf, String> {
    let (profile, words) = if release { ("release", " --release") } else { ("debug", "") };
    step("emulator", &format!("build --quiet -p fetch-hive-emulator{words}"), &[])?;
    Ok(target().join(profile).join("fetch-hive-emulator"))
}

impl Emulator {
    /// Starts the command on a free port.
    pub(crate) fn start(command: &Path, options: &[&str]) -> Result<Self, String> {
        Self::start_with(command, options, None)
    }

    /// As [`start`](Self::start), with the lines of its log.
    pub(crate) fn start_with(command: &Path, options: &[&str], log: Option<Stdio>) -> Result<Self, String> {
        let quiet: &[&str] = if log.is_some() { &[] } else { &["--quiet"] };
        let mut process = Command::new(command)
            .args(["--listen", "127.0.0.1:0", "--loopback-only"])
            .args(quiet)
            .args(options)
            .stdout(Stdio::piped())
            .stderr(log.unwrap_or_else(Stdio::inherit))
            .spawn()
            .map_err(|error| format!("cannot start the emulator: {error}"))?;
        let mut first = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut first).map_err(|error| error.to_string())?;
        }
        let url = first.trim().strip_prefix("listening on ").map(str::to_owned);
        let emulator = Self { process, url: url.unwrap_or_default() };
        if emulator.url.is_empty() { Err(format!("the emulator's first line is {first:?}")) } else { Ok(emulator) }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Python with these packages, in an environment of its own below `target`.
pub(crate) fn python(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let environment = target().join(name);
    let python = environment.join("bin").join("python");
    if !python.exists() {
        crate::run::output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    crate::run::output(&mut install)?;
    Ok(python)
}
