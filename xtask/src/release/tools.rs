use std::ffi::OsString;
use std::process::Command;

use crate::run::{capture_output, cargo, run_command, target_dir, workspace_root};

/// Checks that a nightly toolchain is installed, and prints its version.
pub(crate) fn require_nightly() -> Result<(), String> {
    let version = capture_output(Command::new("rustup").args(["run", "nightly", "rustc", "--version"]))
        .map_err(|error| format!("nightly Rust is not installed; run `rustup toolchain install nightly`\n  {error}"))?;
    println!("   {}", version.trim());
    Ok(())
}

/// Returns a cargo command that can run a tool, which is installed below the target folder on first
/// use.
pub(crate) fn tool_cargo(name: &str, version: &str) -> Result<Command, String> {
    let path = tool_path(name, version)?;
    let mut command = cargo();
    command.env("PATH", path);
    Ok(command)
}

/// Returns a search path that starts with the folder of a tool, and installs the tool on first use.
pub(crate) fn tool_path(name: &str, version: &str) -> Result<OsString, String> {
    let folder = target_dir().join("tools").join(format!("{name}-{version}"));
    let bin = folder.join("bin");
    // The programs of a package may have other names than the package.
    if !std::fs::read_dir(&bin).is_ok_and(|mut programs| programs.next().is_some()) {
        let arguments = format!("install --locked {name}@{version}");
        let mut command = cargo();
        // Outside the workspace, so that its cargo configuration does not apply.
        command.current_dir(std::env::temp_dir()).args(arguments.split(' ')).arg("--root").arg(&folder);
        command.arg("--target-dir").arg(target_dir().join("tools").join("build"));
        // A tool runs for seconds, and an optimized build takes minutes longer.
        command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0").env("CARGO_PROFILE_RELEASE_LTO", "off");
        run_command(&format!("install {name} {version}"), &format!("cargo {arguments}"), &mut command)
            .map_err(|error| format!("cannot install {name} {version}: {error}"))?;
        let _ = std::fs::remove_dir_all(target_dir().join("tools").join("build"));
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(workspace_root().join(bin)).chain(std::env::split_paths(&paths));
    std::env::join_paths(all).map_err(|error| error.to_string())
}
