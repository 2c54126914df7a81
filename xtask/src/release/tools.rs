use std::ffi::OsString;
use std::process::Command;

use crate::run::{cargo, output, root, shown, target};

/// The nightly that some checks need.
pub(crate) fn nightly() -> Result<(), String> {
    let version = output(Command::new("rustup").args(["run", "nightly", "rustc", "--version"])).map_err(|error| {
        format!("a nightly Rust is needed: get it with `rustup toolchain install nightly`\n  {error}")
    })?;
    println!("   with {}", version.trim());
    Ok(())
}

/// A cargo that finds a tool of a fixed version, which is installed below the target folder the first time.
pub(crate) fn tool(name: &str, version: &str) -> Result<Command, String> {
    let path = tool_path(name, version)?;
    let mut command = cargo();
    command.env("PATH", path);
    Ok(command)
}

/// The search path with that tool on it.
pub(crate) fn tool_path(name: &str, version: &str) -> Result<OsString, String> {
    let folder = target().join("tools").join(format!("{name}-{version}"));
    let bin = folder.join("bin");
    if !bin.join(name).exists() {
        let words = format!("install --locked {name}@{version}");
        let mut command = cargo();
        // From outside the workspace, so that none of its settings apply.
        command.current_dir(std::env::temp_dir()).args(words.split(' ')).arg("--root").arg(&folder);
        command.arg("--target-dir").arg(target().join("tools").join("build"));
        shown(&format!("{name} {version} is not here yet"), &format!("cargo {words}"), &mut command)
            .map_err(|error| format!("{name} {version} is needed, and could not be had: {error}"))?;
        // Built once; what it was built of is of no more use.
        let _ = std::fs::remove_dir_all(target().join("tools").join("build"));
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(root().join(bin)).chain(std::env::split_paths(&paths));
    std::env::join_paths(all).map_err(|error| error.to_string())
}
