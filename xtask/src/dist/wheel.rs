use std::fs;
use std::process::Command;

use super::{binaries, check_program, empty_folder};
use crate::python;
use crate::run::{capture_output, run_command, workspace_root};

/// Builds the Python wheel, and runs its program from a new virtual environment.
pub(super) fn wheel() -> Result<(), String> {
    let python = python::virtual_environment("dist-python", &["maturin>=1.9,<2"])?;
    let wheels = empty_folder("wheels")?;
    let manifest = workspace_root().join("crates/fetch-hive-cli/Cargo.toml");
    let mut maturin = Command::new(python.with_file_name("maturin"));
    maturin.args(["build", "--quiet", "--profile", "dist", "--all-features", "--locked"]);
    maturin.args(["--target", binaries::LINUX, "--compatibility", "manylinux2014", "musllinux_1_2"]);
    maturin.arg("--manifest-path").arg(manifest).arg("--out").arg(&wheels);
    maturin.env(binaries::LINUX_FLAGS.0, binaries::LINUX_FLAGS.1);
    run_command("Python wheel", "maturin build", &mut maturin)?;
    let wheel = fs::read_dir(&wheels).map_err(|error| error.to_string())?.next();
    let wheel = wheel.ok_or("maturin built no wheel")?.map_err(|error| error.to_string())?.path();

    let environment = empty_folder("wheel-test")?;
    capture_output(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let mut install = Command::new(environment.join("bin/pip"));
    install.args(["install", "--quiet", "--disable-pip-version-check", "--no-index"]);
    capture_output(install.arg(&wheel))?;
    check_program(&wheel.display().to_string(), || Command::new(environment.join("bin/fetch-hive")))
}
