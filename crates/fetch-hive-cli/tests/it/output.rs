//! Standard output has the result and nothing else.

use std::process::Stdio;

use fetch_hive_emulator::Fault;
use serde_json::Value;

use crate::support::Sandbox;

#[test]
fn result_and_notes_are_separated() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["workflow", "run", "weekly-report", "-i", "topic=AI"]);
    assert_eq!((run.stdout.as_str(), run.code), ("Report on AI\n", Some(0)));
    assert!(run.stderr.contains("req_"), "{}", run.stderr);
    let quiet = sandbox.run(&["-q", "workflow", "run", "weekly-report", "-i", "topic=AI"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("Report on AI\n", ""));
    let verbose = sandbox.run(&["-v", "workflow", "run", "weekly-report", "-i", "topic=AI"]);
    assert!(verbose.stderr.contains("POST invokeWorkflow: 200 in "), "{}", verbose.stderr);
}

#[test]
fn explicit_format_overrides_the_guess() {
    let sandbox = Sandbox::new();
    let json = sandbox.run(&["agent", "list"]).stdout;
    let agents = serde_json::from_str::<Value>(&json).unwrap();
    assert_eq!(agents["agents"].as_array().unwrap().len(), 3);
    let table = sandbox.run(&["agent", "list", "--output", "table"]).stdout;
    assert!(table.starts_with("ID ") && table.lines().count() == 4, "{table}");
    let text = sandbox.run(&["agent", "list", "--output", "text"]).stdout;
    assert!(text.lines().count() == 3 && text.contains("\tresearcher\t"), "{text}");
    let names = sandbox.run(&["agent", "list", "--jq", ".agents[].name"]).stdout;
    assert_eq!(names, "researcher\nthinker\nmailer\n");
    let run = sandbox.run(&["workflow", "run", "summary", "--json"]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&run).unwrap()["output"]["pages"], 3);
}

#[test]
fn stream_is_one_event_per_line_as_json() {
    let sandbox = Sandbox::new();
    let text = sandbox.run(&["prompt", "run", "tagline", "--stream"]);
    assert_eq!(text.stdout, "Workflows that pay off.\n");
    assert!(text.stderr.contains("tokens"), "{}", text.stderr);
    let events = sandbox.run(&["prompt", "run", "tagline", "--stream", "--json"]).stdout;
    assert!(events.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["type"].is_string()), "{events}");
    let tools = sandbox.run(&["agent", "run", "researcher", "news?", "--stream"]);
    assert_eq!(tools.stdout, "Nothing new.\n");
    assert!(tools.stderr.contains("tool search"), "{}", tools.stderr);
}

#[test]
fn exit_codes_of_runs() {
    let sandbox = Sandbox::with(|builder| builder.concurrency(1));
    let code = |arguments: &[&str]| sandbox.run(arguments).code;
    assert_eq!(code(&["workflow", "run", "weekly-report", "-i", "topic"]), Some(2));
    assert_eq!(code(&["workflow", "run", "broken"]), Some(3));
    assert_eq!(code(&["workflow", "run", "weekly-report"]), Some(7));
    assert_eq!(code(&["workflow", "run", "slow", "--timeout", "300ms"]), Some(6));
    assert_eq!(code(&["agent", "run", "mailer", "Send it"]), Some(9));
    // The slow run still occupies the only slot.
    let limited = sandbox.run(&["workflow", "run", "summary", "--timeout", "1s"]);
    assert_eq!(limited.code, Some(5), "{}", limited.stderr);
    assert!(limited.stderr.contains("--callback URL"), "{}", limited.stderr);
    let mut invalid = sandbox.command(&["workflow", "run", "summary"]);
    let invalid = invalid.env("FETCH_HIVE_API_KEY", "fhk_invalid").output().unwrap();
    assert_eq!(invalid.status.code(), Some(4));
    sandbox.emulator.add_fault("reset after-run operation=invokePrompt".parse::<Fault>().unwrap()).unwrap();
    assert_eq!(code(&["prompt", "run", "tagline"]), Some(6));
    let daily = Sandbox::with(|builder| builder.daily_cap(1));
    daily.run(&["workflow", "run", "summary"]);
    let capped = daily.run(&["workflow", "run", "summary"]);
    assert_eq!(capped.code, Some(5));
    assert!(capped.stderr.contains("00:00:00 UTC"), "{}", capped.stderr);
}

#[test]
fn filter_does_not_lose_a_paid_output() {
    let sandbox = Sandbox::new();
    let invalid = sandbox.run(&["workflow", "run", "summary", "--jq", ".output["]);
    assert_eq!((invalid.code, sandbox.emulator.requests().len()), (Some(2), 0), "{}", invalid.stderr);
    let failed = sandbox.run(&["workflow", "run", "summary", "--jq", ".output + 1"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""));
    assert!(failed.stderr.contains("\"title\": \"Weekly report\""), "{}", failed.stderr);
}

#[test]
fn inputs_arrive_as_they_were_written() {
    let sandbox = Sandbox::new();
    let arguments =
        ["workflow", "run", "any", "-i", "a=1", "-i", "b:=[1.50,true]", "-i", "c=@brief.md", "-i", r"d=\@x"];
    assert_eq!(sandbox.run(&arguments).code, Some(0));
    let request = sandbox.emulator.requests().pop().unwrap();
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    assert!(body.contains(r#""inputs":{"a":"1","b":[1.50,true],"c":"Keep it short.\n","d":"@x"}"#), "{body}");
    let mut piped = sandbox.command(&["workflow", "run", "any", "--inputs", "-"]);
    let row = std::fs::File::open(crate::support::fixtures().join("row.json")).unwrap();
    assert!(piped.stdin(Stdio::from(row)).output().unwrap().status.success());
    let body = sandbox.emulator.requests().pop().unwrap().body;
    assert!(String::from_utf8_lossy(&body).contains(r#""inputs":{"pages":2,"topic":"refunds"}"#));
}

#[cfg(unix)]
#[test]
fn closed_pipe_is_silent() {
    let sandbox = Sandbox::new();
    let command = format!("{} model list --json | head -n 1; echo code ${{PIPESTATUS[0]}}", crate::support::bin());
    let mut shell = std::process::Command::new("bash");
    let output = shell.args(["-c", &command]).env_clear().envs(sandbox.variables()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("code 0") && stderr.is_empty(), "{stdout} {stderr}");
}

#[test]
fn resources_are_created_changed_and_deleted() {
    let sandbox = Sandbox::new();
    let ok = |arguments: &[&str]| {
        let printed = sandbox.run(arguments);
        assert_eq!(printed.code, Some(0), "{arguments:?}: {}", printed.stderr);
        printed.stdout.trim().to_owned()
    };
    let agent =
        ok(&["agent", "create", "-f", "name=A", "-f", "llm_model=gpt-4o", "-f", "model_type=llm", "--jq", ".agent.id"]);
    ok(&["agent", "update", &agent, "-f", "temperature:=0.5"]);
    assert_eq!(ok(&["agent", "get", &agent, "--jq", ".agent.name"]), "A");
    let chat = ok(&["chat", "create", &agent, "-f", "name=C", "--jq", ".chat.id"]);
    ok(&["chat", "get", &agent, &chat]);
    ok(&["chat", "update", &agent, &chat, "-f", "name=D"]);
    ok(&["chat", "messages", &agent, &chat]);
    ok(&["chat", "clear", &agent, &chat, "--yes"]);
    ok(&["chat", "delete", &agent, &chat, "--yes"]);
    let kb = ok(&[
        "kb",
        "create",
        "-f",
        "name=K",
        "-f",
        "search_chunk_limit:=5",
        "-f",
        "search_score_threshold:=0.1",
        "--jq",
        ".knowledge_base.id",
    ]);
    ok(&["kb", "update", &kb, "-f", "description=x"]);
    ok(&["kb", "get", &kb]);
    ok(&["kb", "list"]);
    let item = ok(&[
        "kb-item",
        "create",
        &kb,
        "-f",
        "name=I",
        "-f",
        "item_type=custom",
        "-f",
        "data_content=refunds",
        "--jq",
        ".knowledge_base_item.id",
    ]);
    ok(&["kb-item", "get", &kb, &item]);
    ok(&["kb-item", "list", &kb]);
    ok(&["kb-item", "update", &kb, &item, "-f", "name=J"]);
    ok(&["kb-item", "regenerate", &kb, &item]);
    ok(&["kb", "search", &kb, "refunds"]);
    ok(&["kb-item", "delete", &kb, &item, "--yes"]);
    ok(&["kb", "delete", &kb, "--yes"]);
    ok(&["asset", "upload", "brief.md"]);
    ok(&["asset", "list"]);
    ok(&["agent", "run", "researcher", "read it", "--attach", "brief.md"]);
    ok(&["approval", "list"]);
    ok(&["model", "list"]);
    ok(&["country", "get", "bing_search"]);
    ok(&["error-code", "list", "--locale", "es"]);
    ok(&["delegation", "list", "thread-1"]);
    // Without --yes or a terminal, nothing is deleted.
    let refused = sandbox.run(&["agent", "delete", &agent]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("add --yes"), "{}", refused.stderr);
    ok(&["agent", "delete", &agent, "--yes"]);
}

#[test]
fn approval_is_decided_from_the_command_line() {
    let sandbox = Sandbox::new();
    let waiting = sandbox.run(&["agent", "run", "mailer", "Send it", "--json"]);
    assert_eq!(waiting.code, Some(9));
    let answer: Value = serde_json::from_str(&waiting.stdout).unwrap();
    let (run, approval) = (answer["request_id"].as_str().unwrap(), &answer["pending_tool_approvals"][0]["approval_id"]);
    let approval = approval.as_str().unwrap();
    assert_eq!(sandbox.run(&["approval", "get", approval]).code, Some(0));
    let still = sandbox.run(&["request", "wait", run, "--interval", "10ms"]);
    assert_eq!(still.code, Some(9), "{}", still.stderr);
    assert_eq!(sandbox.run(&["approval", "decide", approval, "allow_once"]).code, Some(0));
    let done = sandbox.run(&["request", "wait", run, "--interval", "10ms"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "Sent.\n"), "{}", done.stderr);
}

#[test]
fn every_command_can_be_emulated_without_a_key() {
    let sandbox = Sandbox::new();
    let mut command =
        sandbox.command(&["--emulate=deployments.toml", "workflow", "run", "weekly-report", "-i", "topic=AI"]);
    let output = command.env_remove("FETCH_HIVE_API_KEY").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Report on AI\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing is charged"));
    assert!(sandbox.emulator.requests().is_empty());
}

#[test]
fn help_of_a_misspelled_command_suggests_one() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["help", "agent", "list"]);
    assert!(help.code == Some(0) && help.stdout.starts_with("List the agents"), "{help:?}");
    let typo = sandbox.run(&["help", "agnt"]);
    assert!(typo.code == Some(2) && typo.stderr.contains("did you mean `agent`?"), "{}", typo.stderr);
}

#[test]
fn doctor_says_what_to_do() {
    let sandbox = Sandbox::new();
    let healthy = sandbox.run(&["doctor"]);
    assert_eq!(healthy.code, Some(0), "{}", healthy.stdout);
    assert!(!healthy.stdout.contains("fail"), "{}", healthy.stdout);
    let mut revoked = sandbox.command(&["doctor"]);
    let revoked = revoked.env("FETCH_HIVE_API_KEY", "fhk_revoked").output().unwrap();
    assert_eq!(revoked.status.code(), Some(4));
    let stdout = String::from_utf8_lossy(&revoked.stdout).into_owned();
    assert!(stdout.contains("fail  free call") && stdout.contains("→"), "{stdout}");
    let mut closed = sandbox.command(&["doctor", "--json", "--base-url", "http://127.0.0.1:9/v1"]);
    let closed = closed.output().unwrap();
    assert_eq!(closed.status.code(), Some(5));
    let checks: Value = serde_json::from_slice(&closed.stdout).unwrap();
    assert!(checks["checks"].as_array().unwrap().iter().any(|check| check["advice"].is_string()));
}

/// Returns what bash completes at the end of a command line.
#[cfg(unix)]
fn completed(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let script = sandbox.run(&["completion", "bash"]).stdout;
    let file = sandbox.folder.path().join("completion.bash");
    std::fs::write(&file, script).unwrap();
    let (current, previous) = (words[words.len() - 1], words[words.len() - 2]);
    let program = format!(
        "source {}; COMP_WORDS=({}); COMP_CWORD={}; _fetch__hive fetch-hive '{current}' '{previous}'\n\
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        file.display(),
        words.join(" "),
        words.len() - 1
    );
    let output = std::process::Command::new("bash").args(["-c", &program]).output().unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[cfg(unix)]
#[test]
fn bash_completes_commands_and_options() {
    let sandbox = Sandbox::new();
    assert_eq!(completed(&sandbox, &["fetch-hive", "agent", "r"]), ["run"]);
    assert_eq!(completed(&sandbox, &["fetch-hive", "agent", "run", "--str"]), ["--stream"]);
    assert_eq!(completed(&sandbox, &["fetch-hive", "hive-agent", "run", "--unat"]), ["--unattended"]);
    assert_eq!(completed(&sandbox, &["fetch-hive", "doct"]), ["doctor"]);
}
