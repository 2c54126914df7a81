use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{
    LIBRARIES, capture_output, run_command, target_dir, toolchain_cargo, use_own_target_dir, workspace_root,
};

/// The packages of Debian 12 that contain Rust 1.85. They are unpacked below the target folder and
/// not installed.
const DEBIAN: [&str; 7] = [
    "rustc-web=1.85.0+dfsg3-1~deb12u3",
    "cargo-web=1.85.0+dfsg3-1~deb12u3",
    "libstd-rust-web-dev=1.85.0+dfsg3-1~deb12u3",
    "libstd-rust-web-1.85=1.85.0+dfsg3-1~deb12u3",
    "libllvm19",
    "libpcre3",
    "libhttp-parser2.9",
];

const NOT_INSTALLED: &str =
    "Rust 1.85 is not installed; run `rustup toolchain install 1.85`, or use Debian 12, which has it as a package";

/// Builds the published crates and checks all targets with Rust 1.85 and the versions of
/// `Cargo.lock`.
pub(crate) fn rust_1_85() -> Result<(), String> {
    println!("\n== Rust 1.85");
    let folder = target_dir().join("rust-1.85");
    let compiler: Box<dyn Fn() -> Command> = if is_1_85(toolchain_cargo("1.85").arg("--version")) {
        Box::new(|| toolchain_cargo("1.85"))
    } else {
        unpack_debian_packages(&folder)?;
        let folder = folder.clone();
        Box::new(move || unpacked_cargo(&folder))
    };
    if !is_1_85(compiler().arg("--version")) {
        return Err(NOT_INSTALLED.to_owned());
    }
    let published = LIBRARIES.map(|package| format!("-p {package}")).join(" ");
    for arguments in [
        format!("build --locked {published}"),
        format!("check --locked {published} --all-features"),
        // rmcp needs a newer version.
        "check --locked --workspace --exclude fetch-hive-cli --all-targets".to_owned(),
    ] {
        let mut command = compiler();
        command.args(arguments.split(' '));
        use_own_target_dir(&mut command, "rust-1.85/build");
        run_command("Rust 1.85", &format!("cargo +1.85 {arguments}"), &mut command)?;
    }
    Ok(())
}

fn is_1_85(command: &mut Command) -> bool {
    capture_output(command).is_ok_and(|version| {
        println!("   {}", version.trim());
        version.starts_with("cargo 1.85.")
    })
}

/// Downloads and unpacks the packages of Debian 12, unless an earlier run has done so.
fn unpack_debian_packages(folder: &Path) -> Result<(), String> {
    if is_1_85(unpacked_cargo(folder).arg("--version")) {
        return Ok(());
    }
    let packages = folder.join("packages");
    fs::create_dir_all(&packages).map_err(|error| error.to_string())?;
    capture_output(Command::new("apt-get").current_dir(&packages).args(["download", "-q"]).args(DEBIAN))
        .map_err(|error| format!("{NOT_INSTALLED}\n  {error}"))?;
    for entry in fs::read_dir(&packages).map_err(|error| error.to_string())? {
        let package = entry.map_err(|error| error.to_string())?.path();
        capture_output(Command::new("dpkg").arg("-x").arg(&package).arg(folder))?;
    }
    let _ = fs::remove_dir_all(&packages);
    Ok(())
}

/// Returns a command for the cargo of the unpacked packages, with its compiler and libraries.
fn unpacked_cargo(folder: &Path) -> Command {
    let bin = folder.join("usr").join("bin");
    let mut command = Command::new(bin.join("cargo"));
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib"].map(|part| folder.join(part));
    let join = |paths: Vec<PathBuf>| std::env::join_paths(paths).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(bin.clone()).chain(std::env::split_paths(&path)).collect();
    command.current_dir(workspace_root()).env("RUSTC", bin.join("rustc")).env("RUSTDOC", bin.join("rustdoc"));
    command.env("PATH", join(path)).env("LD_LIBRARY_PATH", join(libraries.to_vec()));
    for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}
