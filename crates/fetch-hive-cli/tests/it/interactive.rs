//! Commands in a pseudo-terminal, and Ctrl-C.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use fetch_hive_emulator::Deployment;

use crate::support::{Sandbox, wait_until};

fn finish(mut child: Child) -> (String, Option<i32>) {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    (text, child.wait().unwrap().code())
}

#[cfg(unix)]
#[test]
fn ctrl_c_says_that_the_run_continues() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["workflow", "run", "slow"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("the run starts", || sandbox.emulator.active_runs() > 0);
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("continues on the service, and is charged"), "{stderr}");
    let listed = sandbox.run(&["history", "list", "--jq", ".history[0].verdict"]);
    assert_eq!(listed.stdout, "interrupted\n");
}

#[test]
fn ctrl_c_in_a_terminal_names_the_run_of_a_stream() {
    let sandbox = Sandbox::new();
    let Some(mut command) = sandbox.in_terminal(&["agent", "run", "thinker", "Why?", "--stream"]) else { return };
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The id is stored as soon as it is known.
    wait_until("the id is in the history", || {
        sandbox.run(&["history", "list", "--jq", ".history[0].request_id"]).stdout == "req_thinking\n"
    });
    stdin.write_all(b"\x03").unwrap();
    let (text, code) = finish(child);
    drop(stdin);
    assert_eq!(code, Some(130), "{text}");
    assert!(text.contains("Let me think") && text.contains("request get req_thinking"), "{text}");
    assert!(text.contains("\nerror: interrupted"), "the line of the answer has ended: {text}");
}

#[test]
fn chat_in_a_terminal() {
    let sandbox = Sandbox::new();
    let Some(mut command) = sandbox.in_terminal(&["agent", "chat", "researcher", "--thread", "t1"]) else { return };
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let messages =
        || sandbox.emulator.requests().iter().filter(|request| request.path.ends_with("/agent/invoke")).count();
    stdin.write_all(b"What is new?\n").unwrap();
    wait_until("the first message", || messages() == 1);
    stdin.write_all(b"And now?\n").unwrap();
    wait_until("the second message", || messages() == 2);
    stdin.write_all(b"\n").unwrap();
    drop(stdin);
    let (text, code) = finish(child);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(text.matches("Nothing new.").count(), 2, "{text}");
    assert!(text.contains("> ") && text.contains("tool search"), "{text}");
    for request in sandbox.emulator.requests() {
        assert!(String::from_utf8_lossy(&request.body).contains(r#""thread_id":"t1""#));
    }
}

#[test]
fn batch_shows_its_progress_in_a_terminal() {
    let sandbox = Sandbox::with(|builder| builder.deployment(Deployment::workflow("steady").delay_ms(400)));
    let rows = sandbox.folder.path().join("rows.csv");
    std::fs::write(&rows, "text\na\nb\nc\nd\n").unwrap();
    let out = sandbox.folder.path().join("out.csv");
    let [rows, out] = [rows, out].map(|path| path.display().to_string());
    let arguments = ["batch", "run", &rows, "--workflow", "steady", "--map", "text=text", "--out", &out];
    let options = ["--slots", "1", "--max-runs-per-day", "1500", "--yes"];
    let Some(mut command) = sandbox.in_terminal(&[&arguments[..], &options].concat()) else { return };
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let (text, code) = finish(child);
    drop(stdin);
    assert_eq!(code, Some(0), "{text}");
    for shown in ["2/4  ok 2  failed 0  unknown 0  1 running", " left  today 3/1,500"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(!text.contains(" B/"), "{text}");
}

#[test]
fn approval_is_decided_at_the_prompt() {
    let sandbox = Sandbox::new();
    let Some(mut command) = sandbox.in_terminal(&["agent", "run", "mailer", "Send it"]) else { return };
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"a\n").unwrap();
    let (text, code) = finish(child);
    drop(stdin);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("[a]llow once") && text.contains("Sent."), "{text}");
}

#[test]
fn ctrl_c_stops_the_question_about_an_approval() {
    let sandbox = Sandbox::new();
    let Some(mut command) = sandbox.in_terminal(&["agent", "run", "mailer", "Send it"]) else { return };
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let is_listed = || sandbox.emulator.requests().iter().any(|request| request.path.contains("tool_action_approvals"));
    wait_until("the approvals are listed", is_listed);
    // The question follows at once.
    std::thread::sleep(std::time::Duration::from_millis(300));
    stdin.write_all(b"\x03").unwrap();
    // The end of the input answers a question that is still open.
    std::thread::sleep(std::time::Duration::from_secs(1));
    drop(stdin);
    let (text, code) = finish(child);
    assert_eq!(code, Some(130), "{text}");
}

#[test]
fn later_decision_names_the_approval() {
    let sandbox = Sandbox::new();
    let Some(mut command) = sandbox.in_terminal(&["agent", "run", "mailer", "Send it"]) else { return };
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"l\n").unwrap();
    let (text, code) = finish(child);
    drop(stdin);
    assert_eq!(code, Some(9), "{text}");
    let approval = sandbox.run(&["approval", "list", "--jq", ".approvals[0].id"]).stdout;
    assert!(text.contains(&format!("approval decide {} allow_once`", approval.trim())), "{text}");
}

#[test]
fn approval_needs_a_workspace_in_a_terminal() {
    let sandbox = Sandbox::new();
    let Some(mut command) = sandbox.in_terminal(&["agent", "run", "mailer", "Send it"]) else { return };
    let mut child = command.env_remove("FETCH_HIVE_WORKSPACE").spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    let (text, code) = finish(child);
    drop(stdin);
    assert_eq!(code, Some(9), "{text}");
    assert!(text.contains("not asked for here, because no workspace is configured"), "{text}");
}

#[test]
fn chat_reads_lines_without_a_terminal() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["-q", "agent", "chat", "researcher"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\n").unwrap();
    let (text, code) = finish(child);
    assert_eq!((text.as_str(), code), ("Nothing new.\nNothing new.\n", Some(0)));
}
