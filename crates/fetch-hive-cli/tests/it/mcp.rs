//! `fetch-hive mcp` with the Python package `mcp` as the client.

use std::process::Command;

use crate::support::{Sandbox, bin};

#[test]
fn python_client_lists_calls_and_cancels_tools() {
    let has_package =
        Command::new("python3").args(["-c", "import mcp"]).output().is_ok_and(|output| output.status.success());
    if !has_package {
        println!("skipped: Python has no package `mcp`; install it with `pip install mcp`");
        return;
    }
    let sandbox = Sandbox::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut client = Command::new("python3");
    client
        .arg(folder.join("mcp_client.py"))
        .arg(bin())
        .arg(folder.join("tools.toml"))
        .env_clear()
        .envs(sandbox.variables());
    let output = client.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("7 checks passed"), "{stdout}\n{stderr}");
    // The call that was cancelled is in the history too.
    let listed = sandbox.run(&["history", "list", "--jq", "[.history[].verdict] | sort | join(\",\")"]);
    assert!(listed.stdout.contains("interrupted") && listed.stdout.contains("run failed"), "{}", listed.stdout);
}
