//! The published forms of the command line: binaries, a Python wheel, manual pages and an image.

mod binaries;
mod image;
mod man;
mod wheel;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

pub(crate) use self::binaries::static_binary;
use crate::run::{Checks, capture_output, target_dir};

/// A name and the function that builds the part.
type Part = (&'static str, fn() -> Result<(), String>);

const PARTS: [Part; 5] = [
    ("linux", binaries::linux),
    ("windows", binaries::windows),
    ("man", man::man),
    ("wheel", wheel::wheel),
    ("image", image::image),
];

/// Builds all parts, or the named ones, into `target/dist`, and runs what it has built.
pub(crate) fn dist(arguments: &[String]) -> Result<(), String> {
    let names = PARTS.map(|part| part.0);
    if let Some(unknown) = arguments.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("unknown part {unknown}; the parts are {}", names.join(", ")));
    }
    let mut checks = Checks::default();
    for (name, build) in PARTS {
        if arguments.is_empty() || arguments.iter().any(|argument| argument == name) {
            checks.run_always(name, build);
        }
    }
    checks.finish()
}

/// Returns a path in `target/dist`, whose folder is created.
fn dist_path(path: &str) -> Result<PathBuf, String> {
    let path = target_dir().join("dist").join(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    Ok(path)
}

/// Returns an empty folder in `target/dist`.
fn empty_folder(name: &str) -> Result<PathBuf, String> {
    let folder = dist_path(name)?;
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => fs::create_dir(&folder).map(|()| folder.clone()).map_err(|error| format!("{}: {error}", folder.display())),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

/// Runs `fetch-hive --version` and an emulated run, and prints the version.
///
/// `command` creates the command that starts the program.
fn check_program(name: &str, command: impl Fn() -> Command) -> Result<(), String> {
    let version = capture_output(command().arg("--version"))?;
    if version.trim() != concat!("fetch-hive ", env!("CARGO_PKG_VERSION")) {
        return Err(format!("{name} prints {version:?} as its version"));
    }
    let run = ["--emulate", "--quiet", "workflow", "run", "weekly-report", "-i", "topic=AI", "--jq", ".run_status"];
    let status = capture_output(command().args(run))?;
    if status.trim() != "completed" {
        return Err(format!("an emulated run of {name} prints {status:?}"));
    }
    println!("   {name}: {}, an emulated run completed", version.trim());
    Ok(())
}
