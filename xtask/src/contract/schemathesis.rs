use std::fs;
use std::process::{Command, Stdio};

use crate::emulator::{Emulator, build};
use crate::python;
use crate::run::{target_dir, workspace_root};

const DEPLOYMENTS: &str = r#"
[[workflow]]
deployment = "known"
webhook_secret = "whsec_known"
[[prompt]]
deployment = "known"
webhook_secret = "whsec_known"
[[agent]]
agent = "11111111-1111-4111-8111-111111111111"
webhook_secret = "whsec_known"
"#;

/// Tests the emulator's program with schemathesis.
pub(crate) fn schemathesis() -> Result<(), String> {
    println!("\n== contract --emulator: schemathesis against fetch-hive-emulator");
    let python = python::virtual_environment("schemathesis", &["schemathesis==4.32.5", "httpx"])?;
    let program = build(false)?;
    let folder = target_dir().join("schemathesis");
    let config = folder.join("deployments.toml");
    fs::write(&config, DEPLOYMENTS).map_err(|error| error.to_string())?;
    let log = folder.join("emulator.log");
    let log_file = fs::File::create(&log).map_err(|error| error.to_string())?;
    let options = ["--config", &config.display().to_string(), "--indexing", "0"];
    let emulator = Emulator::start_with_log(&program, &options, Stdio::from(log_file))?;
    let status = Command::new(&python)
        .arg(workspace_root().join("xtask/src/contract/schemathesis.py"))
        .arg(workspace_root().join("crates/fetch-hive-emulator/contract/openapi.json"))
        .arg(&emulator.url)
        .args([&log, &folder, &folder.join("schemathesis.toml")])
        .status()
        .map_err(|error| format!("cannot run Python: {error}"))?;
    if status.success() { Ok(()) } else { Err("the emulator's responses violate the contract".to_owned()) }
}
