//! Checks of the client in WebAssembly, and of the example `examples/transports/fetch`.

mod page;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use self::page::{MAX_GZIPPED_KB, build_page, gzipped_bytes};
use crate::emulator::{self, Emulator};
use crate::release::tools::tool_path;
use crate::run::{capture_output, cargo, read_text, run_command, target_dir, workspace_root};

pub(crate) const TRIPLE: &str = "wasm32-unknown-unknown";

/// Checks the client in WebAssembly, and tests it in Node.js.
///
/// With an argument, tests the example's page in Chromium, tests the transport in workerd, or
/// builds the page.
pub(crate) fn wasm(arguments: &[String]) -> Result<(), String> {
    match arguments {
        [] => client(),
        [argument] if argument == "page" => page::page(),
        [argument] if argument == "workerd" => workerd(),
        [argument] if argument == "build-page" => build_page().map(|page| println!("   {}", page.folder.display())),
        _ => Err("usage: cargo xtask wasm [page | workerd | build-page]".to_owned()),
    }
}

fn client() -> Result<(), String> {
    println!("\n== wasm: the client on {TRIPLE}");
    require_target()?;
    let config = workspace_root().join("xtask/src/wasm");
    let clippy = |what: &str, selection: &str| {
        let arguments = format!("clippy {selection} --target {TRIPLE} -- -D warnings");
        let mut command = cargo();
        command.args(arguments.split(' ')).env("CLIPPY_CONF_DIR", &config);
        run_command(what, &format!("CLIPPY_CONF_DIR=xtask/src/wasm cargo {arguments}"), &mut command)
    };
    clippy(
        "clippy: types, core and client",
        "-p fetch-hive-types -p fetch-hive-core -p fetch-hive-client --no-default-features",
    )?;
    clippy("clippy: example", "-p fetch-hive-example-fetch --all-targets --all-features")?;

    if Command::new("node").arg("--version").output().is_err() {
        if std::env::var_os("CI").is_some() {
            return Err("Node.js is not installed".to_owned());
        }
        println!("\n== tests in Node.js: SKIPPED, Node.js is not installed");
        return Ok(());
    }
    let tools = tool_path("wasm-bindgen-cli", &wasm_bindgen_version()?)?;
    let program = emulator::build(false)?;
    let emulator = Emulator::start(&program, &["--fault-header"])?;
    let arguments = format!("test -p fetch-hive-example-fetch --target {TRIPLE} --test emulator");
    let mut command = cargo();
    command.args(arguments.split(' ')).env("PATH", &tools).env("FETCH_HIVE_EMULATOR", &emulator.url);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", "wasm-bindgen-test-runner");
    run_command("tests in Node.js, against the emulator", &format!("cargo {arguments}"), &mut command)?;
    conformance("Node.js", &format!("node\n{}", build_bridge()?.display()))
}

/// Tests the transport in workerd, a runtime of edge workers.
fn workerd() -> Result<(), String> {
    require_target()?;
    let folder = target_dir().join("workerd");
    let program = folder.join("node_modules/.bin/workerd");
    if !program.exists() {
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        fs::write(folder.join("package.json"), "{\"private\":true}").map_err(|error| error.to_string())?;
        capture_output(Command::new("npm").args(["install", "--silent", "workerd@1"]).current_dir(&folder))?;
    }
    println!("   {}", capture_output(Command::new(&program).arg("--version"))?.trim());
    conformance("workerd", &format!("workerd\n{}\n{}", build_bridge()?.display(), program.display()))
}

/// Runs the conformance suite on the transport. `bridge` contains the arguments of `bridge.mjs`,
/// one per line.
fn conformance(platform: &str, bridge: &str) -> Result<(), String> {
    let arguments = "test -q -p fetch-hive-example-fetch --test conformance -- --nocapture";
    let mut command = cargo();
    command.args(arguments.split(' ')).env("FETCH_HIVE_BRIDGE", bridge);
    run_command(&format!("conformance suite in {platform}"), &format!("cargo {arguments}"), &mut command)
}

/// Builds the transport with the functions that the conformance suite uses, and returns its folder.
fn build_bridge() -> Result<PathBuf, String> {
    let arguments = format!("build -q -p fetch-hive-example-fetch --lib --features conformance --target {TRIPLE}");
    run_command("bridge", &format!("cargo {arguments}"), cargo().args(arguments.split(' ')))?;
    let folder = target_dir().join("wasm/bridge");
    wasm_bindgen(&target_dir().join(TRIPLE).join("debug/fetch_hive_example_fetch.wasm"), &folder)?;
    Ok(folder)
}

/// Generates the JavaScript of a built library in a folder.
pub(crate) fn wasm_bindgen(library: &Path, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let tools = tool_path("wasm-bindgen-cli", &wasm_bindgen_version()?)?;
    let mut command = Command::new("wasm-bindgen");
    command.env("PATH", tools).args(["--target", "web", "--out-dir"]).arg(folder).arg(library);
    let command_line = format!("wasm-bindgen --target web --out-dir {} {}", folder.display(), library.display());
    run_command("bindings", &command_line, &mut command)
}

fn require_target() -> Result<(), String> {
    let folder = capture_output(Command::new("rustc").args(["--print", "target-libdir", "--target", TRIPLE]))?;
    if Path::new(folder.trim()).exists() {
        Ok(())
    } else {
        Err(format!("the target is not installed; run `rustup target add {TRIPLE}`"))
    }
}

/// Returns the locked version of wasm-bindgen. The version of its tools must be the same.
fn wasm_bindgen_version() -> Result<String, String> {
    let lock = read_text(&workspace_root().join("Cargo.lock"))?;
    let rest = lock.split_once("name = \"wasm-bindgen\"\nversion = \"").map(|(_, rest)| rest);
    let version = rest.and_then(|rest| rest.split('"').next());
    version.map(str::to_owned).ok_or_else(|| "Cargo.lock does not contain wasm-bindgen".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_version_is_found() {
        assert!(wasm_bindgen_version().unwrap().starts_with("0.2."));
    }

    #[test]
    fn clippy_settings_contain_those_of_the_workspace() {
        let ours = read_text(&workspace_root().join("xtask/src/wasm/clippy.toml")).unwrap();
        let workspace = read_text(&workspace_root().join("clippy.toml")).unwrap();
        assert!(workspace.lines().all(|line| ours.lines().any(|ours| ours == line)));
    }

    #[test]
    fn transport_has_at_most_200_lines() {
        let text = read_text(&workspace_root().join("examples/transports/fetch/src/transport.rs")).unwrap();
        assert!(text.lines().count() <= 200, "{} lines", text.lines().count());
    }
}
