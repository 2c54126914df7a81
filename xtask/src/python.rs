//! Python 3 and virtual environments.

use std::path::PathBuf;
use std::process::Command;

use crate::run::{capture_output, target_dir};

/// Returns whether Python 3 is installed.
pub(crate) fn is_installed() -> bool {
    Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Installs packages into a virtual environment below the target folder, and returns the path of
/// its Python.
pub(crate) fn virtual_environment(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let environment = target_dir().join(name);
    let python = environment.join("bin").join("python");
    if !python.exists() {
        capture_output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    capture_output(&mut install)?;
    Ok(python)
}
