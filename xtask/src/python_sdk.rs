use std::process::Command;

use crate::emulator::{self, Emulator};
use crate::run::root;

/// The official SDK, at the version whose behaviour the contract describes.
pub(crate) const SDK: &str = "fetch-hive-sdk==0.4.1";

/// Whether there is a Python to try it with.
pub(crate) fn is_possible() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Points the official Python SDK at the emulator's command.
pub(crate) fn python_sdk(_: &[String]) -> Result<(), String> {
    println!("\n== python-sdk: {SDK} against fetch-hive-emulator");
    let python = emulator::python("python-sdk", &[SDK])?;
    let command = emulator::build(false)?;

    let unlimited = Emulator::start(&command, &[])?;
    let capped = Emulator::start(&command, &["--daily-cap", "1"])?;
    let script = root().join("xtask").join("src").join("python_sdk.py");
    let status = Command::new(&python)
        .arg(script)
        .args([&unlimited.url, &capped.url])
        .status()
        .map_err(|error| format!("cannot run Python: {error}"))?;
    if !status.success() {
        return Err("the SDK did not get what the contract promises".to_owned());
    }
    let declared = root().join("xtask/src/python_methods.toml").display().to_string();
    let emulator = Emulator::start(&command, &["--config", &declared, "--indexing", "150"])?;
    let status = Command::new(&python)
        .arg(root().join("xtask/src/python_methods.py"))
        .arg(&emulator.url)
        .status()
        .map_err(|error| format!("cannot run Python: {error}"))?;
    if status.success() { Ok(()) } else { Err("the SDK's methods did not leave the state they should".to_owned()) }
}
