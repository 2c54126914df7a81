use std::fs;
use std::process::Command;

use super::Emulator;
use crate::dist::static_binary;
use crate::run::{capture_output, workspace_root};

/// Builds a static binary of the emulator into `target/dist`, with a Dockerfile for it.
pub(crate) fn dist(_: &[String]) -> Result<(), String> {
    println!("\n== dist: a static binary of the emulator");
    let binary = static_binary("fetch-hive-emulator", "", "fetch-hive-emulator")?;
    let dockerfile = workspace_root().join("crates/fetch-hive-emulator/Dockerfile");
    fs::copy(dockerfile, binary.with_file_name("Dockerfile")).map_err(|error| error.to_string())?;

    let version = capture_output(Command::new(&binary).arg("--version").env_clear())?;
    drop(Emulator::start(&binary, &[])?);
    let size = fs::metadata(&binary).map_err(|error| error.to_string())?.len();
    println!("   {}: {}, {} KiB", binary.display(), version.trim(), size / 1024);
    if let Some(folder) = binary.parent() {
        println!("   docker build -t fetch-hive-emulator {}", folder.display());
    }
    Ok(())
}
