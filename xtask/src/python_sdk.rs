use std::process::Command;

use crate::emulator::{Emulator, build};
use crate::python;
use crate::run::workspace_root;

/// The official SDK, in the version that the contract describes.
pub(crate) const SDK: &str = "fetch-hive-sdk==0.4.1";

/// Tests the emulator with the official Python SDK.
pub(crate) fn python_sdk(_: &[String]) -> Result<(), String> {
    println!("\n== python-sdk: {SDK} against fetch-hive-emulator");
    let python = python::virtual_environment("python-sdk", &[SDK])?;
    let program = build(false)?;
    let scripts = workspace_root().join("xtask/src/python_sdk");
    let run = |script: &str, urls: &[&str]| {
        let status = Command::new(&python).arg(scripts.join(script)).args(urls).status();
        let status = status.map_err(|error| format!("cannot run Python: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("{script} failed with {status}")) }
    };

    let unlimited = Emulator::start(&program, &[])?;
    let capped = Emulator::start(&program, &["--daily-cap", "1"])?;
    run("invocations.py", &[&unlimited.url, &capped.url])?;

    let config = scripts.join("methods.toml").display().to_string();
    let emulator = Emulator::start(&program, &["--config", &config, "--indexing", "150"])?;
    run("methods.py", &[&emulator.url])
}
