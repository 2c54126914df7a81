use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::Emulator;
use crate::run::{capture_output, run_cargo, target_dir, workspace_root};

/// Runs 200 callers and 100 streams on the emulator, then the same callers with one call on the
/// emulator and on wiremock.
pub(crate) fn load(arguments: &[String]) -> Result<(), String> {
    let seconds = arguments.first().map_or("60", String::as_str);
    println!("\n== load: 200 callers and 100 streams for {seconds} s");
    let program = super::build(true)?;
    let arguments = "build --quiet --release --manifest-path xtask/bench/Cargo.toml --target-dir target/bench \
                     --features load --bin load";
    run_cargo("load generator", arguments, &[])?;
    let generator = workspace_root().join("target/bench/release/load");
    let config = target_dir().join("load.toml");
    let chunks = "{ text = \"word \" }, { wait_ms = 100 }, ".repeat(20);
    let text = format!("[[prompt]]\ndeployment = \"slow-stream\"\nstream = [{chunks}{{ done = true }}]\n");
    std::fs::write(&config, text).map_err(|error| error.to_string())?;
    let config = config.display().to_string();

    let mut has_errors = false;
    for (title, options, mode) in [
        ("emulator, mixed calls and streams", vec!["--config", &config], "mixed"),
        ("emulator, one call", vec![], "fixed"),
        ("emulator, one call, no page", vec!["--no-page"], "fixed"),
    ] {
        let duration = if mode == "mixed" { seconds } else { "10" };
        let emulator = Emulator::start(&program, &options)?;
        let printed = capture_output(Command::new(&generator).args([&emulator.url, duration, mode]))?;
        println!("   {title}: {} peak memory {}", printed.trim(), peak_memory(emulator.process.id()));
        has_errors |= !printed.contains("\"errors\":0");
    }
    load_mock(&generator)?;
    if has_errors { Err("calls failed although no fault is configured".to_owned()) } else { Ok(()) }
}

fn load_mock(generator: &Path) -> Result<(), String> {
    let mut mock = Command::new(generator)
        .arg("mock")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the mock: {error}"))?;
    let mut line = String::new();
    if let Some(stdout) = mock.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).map_err(|error| error.to_string())?;
    }
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    let printed = capture_output(Command::new(generator).args([&url, "10", "fixed"]));
    let peak = peak_memory(mock.id());
    let _ = mock.kill();
    let _ = mock.wait();
    println!("   wiremock, one call: {} peak memory {peak}", printed?.trim());
    Ok(())
}

/// Returns the peak memory of a process, or `unknown` where there is no `/proc`.
fn peak_memory(process: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or_else(|| "unknown".to_owned(), |peak| peak.trim().to_owned())
}
