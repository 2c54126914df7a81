use std::process::Command;

use crate::emulator::{self, Emulator};
use crate::run::{output, root};

/// Drives the emulator's page in headless Chromium.
pub(crate) fn page(_: &[String]) -> Result<(), String> {
    println!("\n== page: the emulator's page in headless Chromium");
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
        .ok_or("there is no Chromium here: install Debian's package chromium")?;
    let browser = output(Command::new("which").arg(browser))?;
    let work = crate::run::target().join("page");
    std::fs::create_dir_all(&work).map_err(|error| error.to_string())?;
    if !work.join("node_modules/playwright-core").exists() {
        std::fs::write(work.join("package.json"), "{\"private\":true}").map_err(|error| error.to_string())?;
        output(Command::new("npm").args(["install", "--silent", "playwright-core@1"]).current_dir(&work))?;
    }
    let command = emulator::build(false)?;
    let file = work.join("deployments.toml");
    let text = "[[agent]]\nagent = \"support\"\nresponse = \"It left the warehouse this morning.\"\ntools = [{ tool = \
                \"find_order\", input = { customer = \"c-17\" }, observation = { status = \"shipped\" } }]\n";
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let emulator = Emulator::start(&command, &["--config", &file.display().to_string()])?;
    let status = Command::new("node")
        .arg(root().join("xtask/src/page.mjs"))
        .args([&emulator.url, &work.display().to_string(), browser.trim()])
        .status()
        .map_err(|error| format!("cannot run Node.js: {error}"))?;
    println!("   screenshots: {}", work.display());
    if status.success() { Ok(()) } else { Err("the page does not do what it should".to_owned()) }
}
