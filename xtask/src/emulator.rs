//! The emulator's program: starting it, and the commands that test and package it.

mod crash;
mod dist;
mod http;
mod load;
mod page;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub(crate) use self::crash::crash;
pub(crate) use self::dist::dist;
pub(crate) use self::load::load;
pub(crate) use self::page::{chromium, page};
use crate::run::{run_cargo, target_dir};

/// Builds the emulator, and returns the path of its program.
pub(crate) fn build(release: bool) -> Result<PathBuf, String> {
    let (profile, option) = if release { ("release", " --release") } else { ("debug", "") };
    run_cargo("emulator", &format!("build --quiet -p fetch-hive-emulator{option}"), &[])?;
    Ok(target_dir().join(profile).join("fetch-hive-emulator"))
}

/// A running emulator, which is stopped when it is dropped.
pub(crate) struct Emulator {
    pub(crate) process: Child,
    /// The base URL for a client.
    pub(crate) url: String,
}

impl Emulator {
    /// Starts the program on a free port, without a log.
    pub(crate) fn start(program: &Path, options: &[&str]) -> Result<Self, String> {
        Self::spawn(Command::new(program).arg("--quiet").args(options))
    }

    /// Starts the program on a free port, and writes its log to `log`.
    pub(crate) fn start_with_log(program: &Path, options: &[&str], log: Stdio) -> Result<Self, String> {
        Self::spawn(Command::new(program).args(options).stderr(log))
    }

    fn spawn(command: &mut Command) -> Result<Self, String> {
        let process = command.args(["--listen", "127.0.0.1:0", "--loopback-only"]).stdout(Stdio::piped()).spawn();
        let process = process.map_err(|error| format!("cannot start the emulator: {error}"))?;
        let mut emulator = Self { process, url: String::new() };
        let mut first_line = String::new();
        if let Some(stdout) = emulator.process.stdout.take() {
            BufReader::new(stdout).read_line(&mut first_line).map_err(|error| error.to_string())?;
        }
        let Some(url) = first_line.trim().strip_prefix("listening on ") else {
            return Err(format!("the emulator printed {first_line:?} instead of its address"));
        };
        url.clone_into(&mut emulator.url);
        Ok(emulator)
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
