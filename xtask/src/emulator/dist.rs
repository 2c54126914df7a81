use std::fs;
use std::process::Command;

use super::Emulator;
use crate::run::{capture_output, run_cargo, target_dir, workspace_root};

const TRIPLE: &str = "x86_64-unknown-linux-musl";

/// Builds a static binary of the emulator into `target/dist`, with a Dockerfile for it.
pub(crate) fn dist(_: &[String]) -> Result<(), String> {
    println!("\n== dist: a static binary of the emulator");
    let prints = |program: &str, arguments: &[&str], expected: &str| {
        let output = Command::new(program).args(arguments).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(expected))
    };
    if !prints("rustup", &["target", "list"], &format!("{TRIPLE} (installed)")) {
        return Err(format!("the target {TRIPLE} is not installed; run `rustup target add {TRIPLE}`"));
    }
    if !prints("musl-gcc", &["--version"], "Free Software") {
        return Err("musl-gcc is not installed; on Debian, install the package musl-tools".to_owned());
    }
    let arguments = format!("build --quiet --release -p fetch-hive-emulator --target {TRIPLE}");
    run_cargo("static binary", &arguments, &[("CARGO_PROFILE_RELEASE_STRIP", "symbols")])?;
    let dist = target_dir().join("dist");
    fs::create_dir_all(&dist).map_err(|error| error.to_string())?;
    let binary = dist.join("fetch-hive-emulator");
    let built = target_dir().join(TRIPLE).join("release/fetch-hive-emulator");
    fs::copy(built, &binary).map_err(|error| error.to_string())?;
    let dockerfile = workspace_root().join("crates/fetch-hive-emulator/Dockerfile");
    fs::copy(dockerfile, dist.join("Dockerfile")).map_err(|error| error.to_string())?;

    let linked = Command::new("ldd").arg(&binary).output().map_err(|error| format!("cannot run ldd: {error}"))?;
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned() + &String::from_utf8_lossy(&linked.stderr);
    if !linked.contains("statically linked") && !linked.contains("not a dynamic executable") {
        return Err(format!("the binary is not static: {linked}"));
    }
    let version = capture_output(Command::new(&binary).arg("--version").env_clear())?;
    drop(Emulator::start(&binary, &[])?);
    let size = fs::metadata(&binary).map_err(|error| error.to_string())?.len();
    println!("   {}: {}, {} KiB, {}", binary.display(), version.trim(), size / 1024, linked.trim());
    println!("   docker build -t fetch-hive-emulator {}", dist.display());
    Ok(())
}
