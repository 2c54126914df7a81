//! One binary of the emulator that runs where no Rust is installed, and a Dockerfile for it.

use std::process::Command;

use crate::emulator::Emulator;
use crate::run::target;
use crate::run::{output, root, step};

const TRIPLE: &str = "x86_64-unknown-linux-musl";

/// Builds a static binary into `target/dist`, and looks whether it is one.
pub(crate) fn dist(_: &[String]) -> Result<(), String> {
    println!("\n== dist: one static binary of the emulator");
    let has = |words: [&str; 3], wanted: &str| {
        Command::new(words[0])
            .args(words[1..].iter().filter(|word| !word.is_empty()))
            .output()
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(wanted))
    };
    if !has(["rustup", "target", "list"], &format!("{TRIPLE} (installed)")) {
        return Err(format!("the target {TRIPLE} is not installed: rustup target add {TRIPLE}"));
    }
    if !has(["musl-gcc", "--version", ""], "Free Software") {
        return Err("there is no musl-gcc, which builds the parts in C: install Debian's package musl-tools".to_owned());
    }
    let words = format!("build --quiet --release -p fetch-hive-emulator --target {TRIPLE}");
    step("static binary", &words, &[("CARGO_PROFILE_RELEASE_STRIP", "symbols")])?;
    let dist = target().join("dist");
    std::fs::create_dir_all(&dist).map_err(|error| error.to_string())?;
    let binary = dist.join("fetch-hive-emulator");
    std::fs::copy(target().join(TRIPLE).join("release/fetch-hive-emulator"), &binary)
        .map_err(|error| error.to_string())?;
    let dockerfile = root().join("crates/fetch-hive-emulator/Dockerfile");
    std::fs::copy(dockerfile, dist.join("Dockerfile")).map_err(|error| error.to_string())?;

    let linked = Command::new("ldd").arg(&binary).output().map_err(|error| format!("cannot run ldd: {error}"))?;
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned() + &String::from_utf8_lossy(&linked.stderr);
    if !linked.contains("statically linked") && !linked.contains("not a dynamic executable") {
        return Err(format!("the binary needs libraries: {linked}"));
    }
    let version = output(Command::new(&binary).arg("--version").env_clear())?;
    drop(Emulator::start(&binary, &[])?);
    let size = std::fs::metadata(&binary).map_err(|error| error.to_string())?.len();
    println!("   {}: {}, {} KiB, {}", binary.display(), version.trim(), size / 1024, linked.trim());
    println!("   docker build -t fetch-hive-emulator {}", dist.display());
    Ok(())
}
