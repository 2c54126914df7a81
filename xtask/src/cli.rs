//! Tests of the command line.

use std::env;
use std::path::Path;

use crate::python;
use crate::run::{cargo, run_command};

/// Runs every command line of the guide and the other tests of the binary against the emulator.
///
/// The test of the MCP server uses the Python package `mcp`, which is installed with pip into a
/// virtual environment. Without Python 3, that test is skipped.
pub(crate) fn cli(_: &[String]) -> Result<(), String> {
    let mut command = cargo();
    let arguments = "test -p fetch-hive-cli";
    command.args(arguments.split(' '));
    if python::is_installed() {
        let python = python::virtual_environment("cli-python", &["mcp"])?;
        let folder = python.parent().map(Path::to_owned).unwrap_or_default();
        let others = env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(folder).chain(env::split_paths(&others));
        command.env("PATH", env::join_paths(paths).map_err(|error| error.to_string())?);
    } else {
        println!("   Python 3 is not installed, so the MCP server is not tested");
    }
    run_command("command line", &format!("cargo {arguments}"), &mut command)
}
