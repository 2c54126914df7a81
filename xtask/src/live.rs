//! The contract against the running command.

use std::process::{Command, Stdio};

use crate::emulator::{self, Emulator};
use crate::run::root;

/// Runs schemathesis with the contract against the emulator's command.
pub(crate) fn live() -> Result<(), String> {
    println!("\n== contract --live: schemathesis against fetch-hive-emulator");
    let python = emulator::python("schemathesis", &["schemathesis==4.32.5", "httpx"])?;
    let command = emulator::build(false)?;
    let work = crate::run::target().join("schemathesis");
    let failed = |error: std::io::Error| error.to_string();
    let declared = work.join("deployments.toml");
    let secret = "webhook_secret = \"whsec_live\"";
    let text = format!(
        "[[workflow]]\ndeployment = \"live\"\n{secret}\n[[prompt]]\ndeployment = \"live\"\n{secret}\n[[agent]]\nagent = \
         \"11111111-1111-4111-8111-111111111111\"\n{secret}\n"
    );
    std::fs::write(&declared, text).map_err(failed)?;
    let log = work.join("emulator.log");
    let lines = Stdio::from(std::fs::File::create(&log).map_err(failed)?);
    let options = ["--config", &declared.display().to_string(), "--indexing", "0"];
    let emulator = Emulator::start_with(&command, &options, Some(lines))?;
    let status = Command::new(&python)
        .arg(root().join("xtask/src/live.py"))
        .arg(root().join("crates/fetch-hive-emulator/contract/openapi.json"))
        .arg(&emulator.url)
        .args([&log, &work, &work.join("schemathesis.toml")])
        .status()
        .map_err(failed)?;
    if status.success() { Ok(()) } else { Err("the emulator's replies are not the contract's".to_owned()) }
}
