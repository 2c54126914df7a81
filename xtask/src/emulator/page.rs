use std::fs;
use std::path::Path;
use std::process::Command;

use super::Emulator;
use crate::run::{capture_output, target_dir, workspace_root};

const DEPLOYMENTS: &str = r#"
[[agent]]
agent = "support"
response = "It left the warehouse this morning."
tools = [{ tool = "find_order", input = { customer = "c-17" }, observation = { status = "shipped" } }]
"#;

/// Returns the path of Chromium, and installs its driver in a folder.
pub(crate) fn chromium(folder: &Path) -> Result<String, String> {
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
        .ok_or("Chromium is not installed; on Debian, install the package chromium")?;
    let browser = capture_output(Command::new("which").arg(browser))?;
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    if !folder.join("node_modules/playwright-core").exists() {
        fs::write(folder.join("package.json"), "{\"private\":true}").map_err(|error| error.to_string())?;
        capture_output(Command::new("npm").args(["install", "--silent", "playwright-core@1"]).current_dir(folder))?;
    }
    Ok(browser.trim().to_owned())
}

/// Tests the emulator's page in headless Chromium.
pub(crate) fn page(_: &[String]) -> Result<(), String> {
    println!("\n== page: the emulator's page in headless Chromium");
    let folder = target_dir().join("page");
    let browser = chromium(&folder)?;
    let program = super::build(false)?;
    let config = folder.join("deployments.toml");
    fs::write(&config, DEPLOYMENTS).map_err(|error| error.to_string())?;
    let emulator = Emulator::start(&program, &["--config", &config.display().to_string()])?;
    let status = Command::new("node")
        .arg(workspace_root().join("xtask/src/emulator/page.mjs"))
        .args([&emulator.url, &folder.display().to_string(), &browser])
        .status()
        .map_err(|error| format!("cannot run Node.js: {error}"))?;
    println!("   screenshots: {}", folder.display());
    if status.success() { Ok(()) } else { Err(format!("page.mjs failed with {status}")) }
}
