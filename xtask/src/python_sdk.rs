use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::run::{output, root, step};

/// The official SDK, at the version whose behaviour the contract describes.
const SDK: &str = "fetch-hive-sdk==0.4.1";

/// Whether there is a Python to try it with.
pub(crate) fn is_possible() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Points the official Python SDK at the emulator's command.
pub(crate) fn python_sdk(_: &[String]) -> Result<(), String> {
    println!("\n== python-sdk: {SDK} against fetch-hive-emulator");
    let environment = root().join("target").join("python-sdk");
    let python = environment.join("bin").join("python");
    if !python.exists() {
        output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    output(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", SDK]))?;
    step("emulator", "build --quiet -p fetch-hive-emulator", &[])?;

    let unlimited = Emulator::start(&[])?;
    let capped = Emulator::start(&["--daily-cap", "1"])?;
    let script = root().join("xtask").join("src").join("python_sdk.py");
    let status = Command::new(&python)
        .arg(script)
        .args([&unlimited.url, &capped.url])
        .status()
        .map_err(|error| format!("cannot run Python: {error}"))?;
    if status.success() { Ok(()) } else { Err("the SDK did not get what the contract promises".to_owned()) }
}

/// The emulator's command, stopped when it is dropped.
struct Emulator {
    process: Child,
    url: String,
}

impl Emulator {
    fn start(options: &[&str]) -> Result<Self, String> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into);
        let mut process = Command::new(target.join("debug").join("fetch-hive-emulator"))
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .stdout(Stdio::piped())
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
