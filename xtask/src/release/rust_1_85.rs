use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{PUBLISHED, apart, cargo_of, output, root, shown, target};

/// Debian 12 has the compiler as packages; they are unpacked below the target folder, and nothing is installed.
const DEBIAN: [&str; 7] = [
    "rustc-web=1.85.0+dfsg3-1~deb12u3",
    "cargo-web=1.85.0+dfsg3-1~deb12u3",
    "libstd-rust-web-dev=1.85.0+dfsg3-1~deb12u3",
    "libstd-rust-web-1.85=1.85.0+dfsg3-1~deb12u3",
    "libllvm19",
    "libpcre3",
    "libhttp-parser2.9",
];

const HOW: &str = "a Rust 1.85 is needed: get it with `rustup toolchain install 1.85`, or run this on Debian 12, whose packages are used";

/// Builds with a real Rust 1.85, in a folder of its own and with the versions of Cargo.lock.
pub(crate) fn rust_1_85() -> Result<(), String> {
    println!("\n== Rust 1.85");
    let folder = target().join("rust-1.85");
    let compiler: Box<dyn Fn() -> Command> = if is_1_85(cargo_of("1.85").arg("--version")) {
        Box::new(|| cargo_of("1.85"))
    } else {
        debian(&folder)?;
        let folder = folder.clone();
        Box::new(move || unpacked(&folder))
    };
    if !is_1_85(compiler().arg("--version")) {
        return Err(HOW.to_owned());
    }
    let published = PUBLISHED.map(|package| format!("-p {package}")).join(" ");
    for words in [
        format!("build --locked {published}"),
        format!("check --locked {published} --all-features"),
        "check --locked --workspace --all-targets".to_owned(),
    ] {
        let mut command = compiler();
        command.args(words.split(' '));
        apart(&mut command, "rust-1.85/build");
        shown("Rust 1.85", &format!("cargo +1.85 {words}"), &mut command)?;
    }
    Ok(())
}

fn is_1_85(command: &mut Command) -> bool {
    output(command).is_ok_and(|version| {
        println!("   {}", version.trim());
        version.starts_with("cargo 1.85.")
    })
}

/// Loads and unpacks the packages of Debian 12, the first time.
fn debian(folder: &Path) -> Result<(), String> {
    if is_1_85(unpacked(folder).arg("--version")) {
        return Ok(());
    }
    let packages = folder.join("packages");
    fs::create_dir_all(&packages).map_err(|error| error.to_string())?;
    output(Command::new("apt-get").current_dir(&packages).args(["download", "-q"]).args(DEBIAN))
        .map_err(|error| format!("{HOW}\n  {error}"))?;
    for entry in fs::read_dir(&packages).map_err(|error| error.to_string())? {
        let package = entry.map_err(|error| error.to_string())?.path();
        output(Command::new("dpkg").arg("-x").arg(&package).arg(folder))?;
    }
    let _ = fs::remove_dir_all(&packages);
    Ok(())
}

/// The cargo of the unpacked packages, with its compiler and libraries.
fn unpacked(folder: &Path) -> Command {
    let bin = folder.join("usr").join("bin");
    let mut command = Command::new(bin.join("cargo"));
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib"].map(|part| folder.join(part));
    let join = |paths: Vec<PathBuf>| std::env::join_paths(paths).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::iter::once(bin.clone()).chain(std::env::split_paths(&path)).collect();
    command.current_dir(root()).env("RUSTC", bin.join("rustc")).env("RUSTDOC", bin.join("rustdoc"));
    command.env("PATH", join(path)).env("LD_LIBRARY_PATH", join(libraries.to_vec()));
    for variable in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command
}
