use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{check_program, copy, dist_path, empty_folder};
use crate::run::{capture_output, run_cargo, target_dir, workspace_root};

pub(super) const LINUX: &str = "x86_64-unknown-linux-musl";
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// Options of the compiler for Linux. Packed relocations save 0.6 MB.
pub(super) const LINUX_FLAGS: (&str, &str) =
    ("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS", "-C link-arg=-Wl,-z,pack-relative-relocs");

/// The maximum size of a binary of the command line, in bytes.
const MAX_SIZE: u64 = 16_000_000;

/// Builds the static binary of the command line, and runs the tests of the command line with it.
///
/// The tests show that nothing depends on unwinding, which the profile `dist` disables.
pub(super) fn linux() -> Result<(), String> {
    let binary = build_linux()?;
    let test = "test --quiet -p fetch-hive-cli --all-features --test it";
    run_cargo("tests of the static binary", test, &[("FETCH_HIVE_TEST_BIN", &binary.display().to_string())])
}

/// Builds and runs the static binary of the command line, and returns its path.
pub(super) fn build_linux() -> Result<PathBuf, String> {
    let binary = static_binary("fetch-hive-cli", "--all-features", "fetch-hive")?;
    check_size(&binary)?;
    check_program("the static binary", || {
        let mut command = Command::new(&binary);
        command.env_clear();
        command
    })?;
    Ok(binary)
}

/// Builds the binary for Windows. Runs it if Wine is installed.
pub(super) fn windows() -> Result<(), String> {
    let tool = "x86_64-w64-mingw32-objdump";
    require_target(WINDOWS, tool, "gcc-mingw-w64-x86-64")?;
    build("fetch-hive-cli", "--all-features", WINDOWS)?;
    let binary = dist_path("fetch-hive.exe")?;
    copy(&target_dir().join(WINDOWS).join("dist/fetch-hive.exe"), &binary)?;
    check_size(&binary)?;
    let headers = capture_output(Command::new(tool).arg("-p").arg(&binary))?;
    let mut libraries = headers.lines().filter_map(|line| line.trim().strip_prefix("DLL Name: "));
    // The libraries of the compiler are not part of Windows.
    if let Some(library) = libraries.find(|name| name.starts_with("lib")) {
        return Err(format!("{} needs {library}", binary.display()));
    }
    if Command::new("wine").arg("--version").output().is_err() {
        println!("   {}: NOT RUN, Wine is not installed", binary.display());
        return Ok(());
    }
    // A stand-in is next to the binary only in this folder, in case that Wine lacks the library.
    let folder = empty_folder("wine-test")?;
    let tested = folder.join("fetch-hive.exe");
    copy(&binary, &tested)?;
    let source = workspace_root().join("xtask/src/dist/bcryptprimitives.c");
    let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
    compiler.arg("-shared").arg(source).arg("-o").arg(folder.join("bcryptprimitives.dll")).arg("-ladvapi32");
    capture_output(&mut compiler)?;
    let prefix = dist_path("wine")?;
    check_program("the Windows binary in Wine", || {
        let mut command = Command::new("wine");
        command.arg(&tested).env("WINEPREFIX", &prefix).env("WINEDEBUG", "-all");
        command
    })
}

/// Builds a static binary of a package for Linux into `target/dist`, and returns its path.
pub(crate) fn static_binary(package: &str, options: &str, name: &str) -> Result<PathBuf, String> {
    require_target(LINUX, "musl-gcc", "musl-tools")?;
    build(package, options, LINUX)?;
    let binary = dist_path(name)?;
    // A program that runs cannot be overwritten, but it can be replaced.
    let _ = fs::remove_file(&binary);
    copy(&target_dir().join(LINUX).join("dist").join(name), &binary)?;
    let linked = Command::new("ldd").arg(&binary).output().map_err(|error| format!("cannot run ldd: {error}"))?;
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned() + &String::from_utf8_lossy(&linked.stderr);
    if !linked.contains("statically linked") && !linked.contains("not a dynamic executable") {
        return Err(format!("{} is not static: {linked}", binary.display()));
    }
    Ok(binary)
}

fn build(package: &str, options: &str, target: &str) -> Result<(), String> {
    let arguments = format!("build --quiet --profile dist -p {package} {options} --target {target}");
    run_cargo(package, &arguments, &[LINUX_FLAGS])
}

fn require_target(target: &str, tool: &str, package: &str) -> Result<(), String> {
    let mut rustup = Command::new("rustup");
    let installed = capture_output(rustup.args(["target", "list", "--installed"])).unwrap_or_default();
    if !installed.lines().any(|line| line == target) {
        return Err(format!("the target {target} is not installed; run `rustup target add {target}`"));
    }
    match Command::new(tool).arg("--version").output() {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("{tool} is not installed; on Debian, install the package {package}")),
    }
}

fn check_size(binary: &PathBuf) -> Result<(), String> {
    let size = fs::metadata(binary).map_err(|error| error.to_string())?.len();
    println!("   {}: {size} bytes of {MAX_SIZE}", binary.display());
    if size > MAX_SIZE {
        return Err(format!("{} has {size} bytes (limit: {MAX_SIZE})", binary.display()));
    }
    Ok(())
}
