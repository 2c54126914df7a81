//! Messages of mistakes, and their next steps.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fetch_hive_emulator::Fault;

use crate::support::{Printed, Sandbox, fixtures};

/// Checks the exit code, and that standard error contains each text, or does not contain it after a
/// `!`.
fn check(printed: &Printed, code: i32, texts: &[&str]) {
    assert_eq!(printed.code, Some(code), "{}", printed.stderr);
    for text in texts {
        match text.strip_prefix('!') {
            Some(text) => assert!(!printed.stderr.contains(text), "{text}: {}", printed.stderr),
            None => assert!(printed.stderr.contains(text), "{text}: {}", printed.stderr),
        }
    }
}

#[test]
fn messages_name_options_and_files() {
    let sandbox = Sandbox::new();
    let bad = sandbox.folder.path().join("bad.json");
    std::fs::write(&bad, "{\"a\":").unwrap();
    let (bad, missing) = (bad.display().to_string(), "missing.txt");
    let input = format!("topic:=@{bad}");
    let cases: [(&[&str], &[&str]); 11] = [
        (&["agent", "run", "mailer", "hi", "--attach", "."], &[". is not a regular file", "!AssetFile"]),
        (&["agent", "run", "mailer", "hi", "--attach", missing], &["cannot read missing.txt", "check the path"]),
        (&["--base-url", "http://example.com/v1", "model", "list"], &["invalid --base-url", "!allow_plain_http"]),
        (&["workflow", "run", ""], &["nothing was sent", "!nothing was sent\n next: correct"]),
        (&["workflow", "run", "summary", "-i", &input], &["--input topic: ", "bad.json is not valid JSON"]),
        (&["workflow", "run", "summary", "--inputs", &bad], &["bad.json is not a JSON object: line 1"]),
        (&["callback", "listen", "--host", "1.2.3.4"], &["--host", "!--port"]),
        (&["callback", "listen", "--count", "0"], &["--count"]),
        (&["callback", "listen", "--forward-to", "nonsense"], &["is not a URL", "!listening"]),
        (&["callback", "listen", "--record", "/nonexistent/x"], &["--record /nonexistent/x", "!listening"]),
        (
            &["trigger", "agent", "a", "hi", "--secret-env", "WS", "--callback", "http://127.0.0.1:9"],
            &["WS", "not set"],
        ),
    ];
    for (arguments, texts) in cases {
        check(&sandbox.run(arguments), 2, texts);
    }
    assert!(sandbox.emulator.requests().is_empty());
    sandbox.emulator.add_fault("garbage".parse::<Fault>().unwrap()).unwrap();
    check(&sandbox.run(&["model", "list", "--timeout", "1s"]), 5, &["!max_headers"]);
}

#[test]
fn refused_keys_and_secrets_name_their_source() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| -> Printed {
        let mut command = sandbox.command(arguments);
        command.env("FETCH_HIVE_API_KEY", "fhk_invalid").env("WS", "whsec_wrong").output().unwrap().into()
    };
    check(&run(&["auth", "status"]), 4, &["set FETCH_HIVE_API_KEY to a valid key", "!auth status"]);
    let hook = "http://127.0.0.1:9/hooks";
    let trigger = ["trigger", "workflow", "weekly-report", "v", "--secret-env", "WS", "--callback", hook];
    check(&run(&trigger), 4, &["set WS, which `--secret-env` names", "!auth status"]);
    let mut login = sandbox.command(&["auth", "login"]);
    check(&login.output().unwrap().into(), 4, &["auth login --with-key < key.txt"]);
}

#[test]
fn standard_input_must_be_text() {
    let sandbox = Sandbox::new();
    let mut chat = sandbox.command(&["agent", "chat", "researcher"]);
    chat.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut chat = chat.spawn().unwrap();
    chat.stdin.take().unwrap().write_all(b"\xff\n").unwrap();
    check(&chat.wait_with_output().unwrap().into(), 2, &["not UTF-8"]);
}

#[test]
fn previews_show_attachments_and_variables() {
    let sandbox = Sandbox::new();
    let attach = ["--attach", "https://example.com/a.pdf", "--attach", "brief.md"];
    let shown = sandbox.run(&[&["agent", "run", "mailer", "hi", "--dry-run"], &attach[..]].concat());
    assert!(shown.stdout.contains("https://example.com/a.pdf"), "{}", shown.stdout);
    check(&shown, 0, &["brief.md is not in the request; it would be uploaded first"]);
    let missing = sandbox.run(&["agent", "run", "mailer", "hi", "--curl", "--attach", "missing.txt"]);
    check(&missing, 2, &["cannot read missing.txt"]);
    let curl = sandbox.run(&["--key-env", "MYKEY", "workflow", "run", "summary", "--curl"]).stdout;
    assert!(curl.contains("Bearer $MYKEY\""), "{curl}");
    let mut trigger = sandbox.command(&["trigger", "workflow", "e", "v", "--secret-env", "WS", "--curl"]);
    trigger.env("WS", "whsec_1").env("FETCH_HIVE_CALLBACK_URL", "https://example.com/hooks");
    let curl = Printed::from(trigger.output().unwrap()).stdout;
    assert!(curl.contains("webhook-secret: $WS\""), "{curl}");
}

#[test]
fn waiting_run_without_a_workspace_says_so() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["agent", "run", "mailer", "Send it"]);
    let printed = Printed::from(command.env_remove("FETCH_HIVE_WORKSPACE").output().unwrap());
    check(&printed, 9, &["allow_once --workspace ID`", "no workspace is configured"]);
    let configured = sandbox.run(&["agent", "run", "mailer", "Send it"]);
    check(&configured, 9, &["allow_once`, and then `fetch-hive request wait req_", "!workspace"]);
}

#[test]
fn wait_looks_up_at_once_and_reports_an_unknown_run() {
    let sandbox = Sandbox::new();
    let waiting = sandbox.run(&["agent", "run", "mailer", "Send it", "--jq", ".request_id"]);
    let started = Instant::now();
    let printed = sandbox.run(&["request", "wait", waiting.stdout.trim(), "--interval", "30s"]);
    assert!(started.elapsed() < Duration::from_secs(20));
    check(&printed, 9, &["approval decide ", "allow_once`, and then `fetch-hive request wait req_"]);
    let unknown = ["-v", "request", "wait", "req_unknown", "--timeout", "500ms", "--interval", "100ms"];
    check(&sandbox.run(&unknown), 6, &["the service has no record of req_unknown yet", "!attempt 1"]);
}

#[test]
fn background_run_names_its_id() {
    let sandbox = Sandbox::new();
    let run = ["workflow", "run", "summary", "--callback", "http://127.0.0.1:9/hooks"];
    check(&sandbox.run(&run), 0, &["`fetch-hive request wait req_"]);
}

#[test]
fn embedded_emulator_promises_nothing_after_its_end() {
    let sandbox = Sandbox::new();
    let emulate = |arguments: &[&str]| sandbox.run(&[&["--emulate=deployments.toml"], arguments].concat());
    let absent = ["!charged", "!history", "!approval decide", "!request get", "!dashboard", "!continues"];
    let texts = [&absent[..], &["the emulator has ended with this command"]].concat();
    check(&emulate(&["workflow", "run", "broken"]), 3, &texts[2..]);
    check(&emulate(&["agent", "run", "mailer", "Send it"]), 9, &texts[1..]);
    check(&emulate(&["workflow", "run", "slow", "--timeout", "300ms"]), 6, &texts[1..]);
    let bad = sandbox.folder.path().join("bad.toml");
    std::fs::write(&bad, "a = = 1\n").unwrap();
    let option = format!("--emulate={}", bad.display());
    check(&sandbox.run(&[&option, "model", "list"]), 2, &["line 1, column 5\n", "emulator --help"]);
}

#[test]
fn help_states_exceptions_and_formats() {
    let sandbox = Sandbox::new();
    let help = |arguments: &[&str]| sandbox.run(&[arguments, &["--help"]].concat()).stdout;
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let agent = words(&help(&["agent", "run"]));
    assert!(agent.contains("except for approvals of tool actions: see --auto-approve"), "{agent}");
    assert!(agent.contains("a table or text on a terminal and JSON elsewhere"), "{agent}");
    assert!(help(&["api"]).starts_with("Send a request to any path of the API\n"));
    let emulator = help(&["emulator"]);
    for text in ["[[workflow]]", "[[prompt]]", "approval = \"ask\"", "nth=N", "FETCH_HIVE_WORKSPACE="] {
        assert!(emulator.contains(text), "{text}: {emulator}");
    }
    let mcp = help(&["mcp"]);
    assert!(["title", "variant", "timeout", "object or array"].iter().all(|text| mcp.contains(text)), "{mcp}");
}

#[test]
fn emulator_prints_its_workspace() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["-q", "emulator", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let lines: Vec<String> = lines.take(3).map(Result::unwrap).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(lines[2], format!("workspace {}", fetch_hive_emulator::DEFAULT_WORKSPACE));
}

/// Returns the id and the tokens of the last entry of the history.
fn last_entry(sandbox: &Sandbox) -> String {
    sandbox.run(&["history", "list", "--jq", ".history[0] | [.request_id[:4], (.tokens > 0), .error == null]"]).stdout
}

#[cfg(target_os = "linux")]
#[test]
fn result_that_cannot_be_written_is_in_the_history() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["prompt", "run", "tagline"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let printed = Printed::from(command.stdout(full).output().unwrap());
    check(&printed, 1, &["cannot write to standard output", "fetch-hive request get req_"]);
    assert_eq!(last_entry(&sandbox).split_whitespace().collect::<String>(), "[\"req_\",true,false]");
}

#[test]
fn closed_pipe_leaves_the_id_in_the_history() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["-q", "prompt", "run", "tagline"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    check(&child.wait_with_output().unwrap().into(), 0, &["!error"]);
    assert_eq!(last_entry(&sandbox).split_whitespace().collect::<String>(), "[\"req_\",true,true]");
}

#[test]
fn secrets_in_json_inputs_are_not_in_the_history() {
    let sandbox = Sandbox::new();
    sandbox.run(&["workflow", "run", "summary", "-i", r#"cfg:={"password":"pw123","api_key":"zz9"}"#]);
    let inputs = r#"inputs:={"db":[{"password":"pw123"}]}"#;
    sandbox.run(&["api", "POST", "/workflow/invoke", "-f", "deployment=summary", "-f", inputs]);
    let shown = sandbox.run(&["history", "list", "--json"]).stdout;
    assert!(!shown.contains("pw123") && !shown.contains("zz9") && shown.contains("db"), "{shown}");
}

#[test]
fn mcp_reports_lines_that_are_not_json() {
    let sandbox = Sandbox::new();
    let tools = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/tools.toml");
    let mut command: Command = sandbox.command(&["mcp", "--config", &tools.display().to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).current_dir(fixtures());
    let mut child = command.spawn().unwrap();
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    child.stdin.take().unwrap().write_all(format!("oops\n{hello}\n").as_bytes()).unwrap();
    let printed = Printed::from(child.wait_with_output().unwrap());
    assert!(printed.stderr.contains("not JSON") && printed.stdout.contains("serverInfo"), "{printed:?}");
}
