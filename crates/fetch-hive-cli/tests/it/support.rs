//! An emulator, and a home folder for the commands that call it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use fetch_hive_emulator::{DEFAULT_WORKSPACE, Emulator, EmulatorBuilder};

/// Returns the path of the binary. `cargo xtask dist` sets the variable to test a published one.
pub(crate) fn bin() -> String {
    std::env::var("FETCH_HIVE_TEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_fetch-hive").to_owned())
}

pub(crate) const KEY: &str = "fhk_it_0123456789_last";

/// The fixtures of the guide.
pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guide")
}

pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) struct Sandbox {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) emulator: Emulator,
    _runtime: tokio::runtime::Runtime,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
        }
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Starts an emulator with the deployments of the guide.
    pub(crate) fn with(change: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let builder = change(Emulator::builder().config(fixtures().join("deployments.toml")));
        let emulator = runtime.block_on(builder.start()).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), emulator, _runtime: runtime }
    }

    /// The variables of a command, apart from which its environment is empty.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let home = self.folder.path().join("home");
        std::fs::create_dir_all(&home).unwrap();
        let home = home.display().to_string();
        [
            ("HOME", home.as_str()),
            ("PATH", &std::env::var("PATH").unwrap_or_default()),
            ("FETCH_HIVE_BASE_URL", &self.emulator.base_url()),
            ("FETCH_HIVE_API_KEY", KEY),
            ("FETCH_HIVE_WORKSPACE", DEFAULT_WORKSPACE),
            ("NO_COLOR", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(bin());
        command.args(arguments).env_clear().envs(self.variables()).current_dir(fixtures()).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Printed {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command in a pseudo-terminal of the program `script`, and types a text. Returns
    /// `None` if the program is not installed.
    pub(crate) fn in_terminal(&self, arguments: &[&str]) -> Option<Command> {
        let has_script = Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success());
        if !has_script {
            println!("skipped: the program `script` is not installed");
            return None;
        }
        let quoted = arguments.iter().map(|argument| format!("'{argument}'")).collect::<Vec<_>>().join(" ");
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{} {quoted}", bin()), "/dev/null"]);
        command.env_clear().envs(self.variables()).env("TERM", "xterm").current_dir(fixtures());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Some(command)
    }
}
