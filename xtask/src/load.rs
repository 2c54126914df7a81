//! Load on the emulator, and on wiremock for comparison.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::emulator::{self, Emulator};
use crate::run::{output, step};

/// 200 callers and 100 streams for a minute, then the same callers with one call, of the emulator and of wiremock.
pub(crate) fn load(arguments: &[String]) -> Result<(), String> {
    let seconds = arguments.first().map_or("60", String::as_str);
    println!("\n== load: 200 callers and 100 streams for {seconds} s");
    let command = emulator::build(true)?;
    let build = "build --quiet --release --manifest-path xtask/bench/Cargo.toml --target-dir target/bench --features load --bin load";
    step("load generator", build, &[])?;
    let caller = crate::run::root().join("target/bench/release/load");
    let declared = crate::run::target().join("load.toml");
    let pieces = "{ text = \"word \" }, { wait_ms = 100 }, ".repeat(20);
    let text = format!("[[prompt]]\ndeployment = \"slow-stream\"\nstream = [{pieces}{{ done = true }}]\n");
    std::fs::write(&declared, text).map_err(|error| error.to_string())?;
    let declared = declared.display().to_string();

    let mut asked_for = true;
    for (name, options, mode) in [
        ("emulator, mixed calls and streams", vec!["--config", &declared], "mixed"),
        ("emulator, one call", vec![], "fixed"),
        ("emulator, one call, no page", vec!["--no-page"], "fixed"),
    ] {
        let time = if mode == "mixed" { seconds } else { "10" };
        let emulator = Emulator::start(&command, &options)?;
        let printed = output(Command::new(&caller).args([&emulator.url, time, mode]))?;
        println!("   {name}: {} peak memory {}", printed.trim(), memory(emulator.process.id()));
        asked_for &= printed.contains("\"errors\":0");
    }
    mock(&caller)?;
    if asked_for { Ok(()) } else { Err("there were errors that nobody asked for".to_owned()) }
}

fn mock(caller: &Path) -> Result<(), String> {
    let mut mock = Command::new(caller)
        .arg("mock")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the mock: {error}"))?;
    let mut line = String::new();
    if let Some(out) = mock.stdout.take() {
        BufReader::new(out).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    let printed = output(Command::new(caller).args([&url, "10", "fixed"]));
    let peak = memory(mock.id());
    let _ = mock.kill();
    let _ = mock.wait();
    println!("   wiremock, one call: {} peak memory {peak}", printed?.trim());
    Ok(())
}

/// The most memory that a process has had, where the system says.
fn memory(process: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or_else(|| "unknown".to_owned(), |peak| peak.trim().to_owned())
}
