//! Tests of configuration files, plans and data files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

#[path = "support/caller.rs"]
mod caller;

use std::path::PathBuf;
use std::time::Duration;

use caller::Caller;
use fetch_hive_emulator::{CallbackReceiver, DEFAULT_WORKSPACE, Emulator, Plan, StartError, read_deployments};
use serde_json::{Value, json};

/// A file that is removed when the value is dropped.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("fetch-hive-{}-{name}", std::process::id())))
    }

    fn with(name: &str, text: &str) -> Self {
        let file = Self::new(name);
        std::fs::write(&file.0, text).unwrap();
        file
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const YAML: &str = r#"
workflow:
  - deployment: report
    variants: [short, long]
    inputs:
      topic: {type: string, required: true}
      tags: {type: array}
      pages: {type: integer, default: 3}
      tone: {options: [dry, warm]}
    output_template: '{"title": "On {{ inputs.topic }}", "pages": {{ inputs.pages }}, "who": "{{ user }}"}'
    output_format: json
  - deployment: review
    steps:
      - {name: draft, delay_ms: 5}
      - {name: sign-off, human_in_the_loop: true, summary: "Sign the draft off"}
      - {name: send, failure: "no mail server"}
"#;

#[cfg(all(feature = "templates", feature = "yaml"))]
#[tokio::test]
async fn declared_inputs_are_validated_and_rendered() {
    let file = File::with("declared.yaml", YAML);
    let emulator = Emulator::builder().config(&file.0).start().await.unwrap();
    let caller = Caller::new(&emulator);
    let run = |body: Value| caller.call("POST", "/workflow/invoke", body);
    let (status, response) =
        run(json!({"deployment": "report", "variant": "short", "user": "u1", "inputs": {"topic": "AI"}})).await;
    assert_eq!((status, &response["output"]), (200, &json!({"title": "On AI", "pages": 3, "who": "u1"})));
    for (inputs, status, text) in [
        (json!({}), 422, "inputs.topic"),
        (json!({"topic": null}), 422, "inputs.topic"),
        (json!({"topic": 5}), 400, "a string"),
        (json!({"topic": "x", "tags": "[1]"}), 400, "not a string that contains one"),
        (json!({"topic": "x", "pages": 1.5}), 400, "an integer"),
        (json!({"topic": "x", "tone": "loud"}), 400, "one of"),
    ] {
        let (got, response) = run(json!({"deployment": "report", "inputs": inputs})).await;
        assert!(got == status && response["error"].as_str().unwrap().contains(text), "{inputs}: {got} {response}");
    }
    assert_eq!(run(json!({"deployment": "report", "variant": "none", "inputs": {"topic": "x"}})).await.0, 422);
    // A template that does not render to JSON fails the run, but not the request.
    let (status, response) = run(json!({"deployment": "report", "inputs": {"topic": "\""}})).await;
    assert_eq!((status, &response["run_status"]), (200, &json!("failed")));
}

#[cfg(feature = "yaml")]
#[tokio::test]
async fn step_waits_for_a_decision_and_reports_its_failure() {
    let file = File::with("steps.yaml", YAML);
    let emulator = Emulator::builder().config(&file.0).start().await.unwrap();
    let caller = Caller::new(&emulator);
    let mut receiver = CallbackReceiver::start().await.unwrap();
    assert_eq!(caller.call("POST", "/workflow/invoke", json!({"deployment": "review"})).await.0, 422);
    let mode = json!({"enabled": true, "callback_url": receiver.url()});
    let approvals = format!("/public/workspaces/{DEFAULT_WORKSPACE}/tool_action_approvals");
    for (decision, error) in [("allow_once", "send: no mail server"), ("deny", "sign-off: the action was denied")] {
        let (_, run) = caller.call("POST", "/workflow/invoke", json!({"deployment": "review", "async": mode})).await;
        let list = format!("{approvals}?request_id={}", run["request_id"].as_str().unwrap());
        let approval = loop {
            let (_, list) = caller.call("GET", &list, Value::Null).await;
            match list["approvals"].get(0) {
                Some(approval) => break approval.clone(),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        assert_eq!(approval["summary"], "Sign the draft off");
        let decide = format!("{approvals}/{}/decide", approval["id"].as_str().unwrap());
        assert_eq!(caller.call("POST", &decide, json!({"decision": decision})).await.0, 200);
        let event: Value = serde_json::from_slice(receiver.next().await.unwrap().body()).unwrap();
        assert_eq!((&event["event_type"], &event["data"]["error"]), (&json!("workflow.failed"), &json!(error)));
    }
}

#[tokio::test]
async fn file_changes_are_applied_unless_invalid() {
    let file = File::with("reload.toml", "[[workflow]]\ndeployment = \"d\"\noutput = \"one\"\n");
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = std::sync::Arc::clone(&lines);
    let emulator = Emulator::builder()
        .config(&file.0)
        .logger(move |line| log.lock().unwrap().push(line.to_owned()))
        .start()
        .await
        .unwrap();
    let caller = Caller::new(&emulator);
    let output = async || caller.call("POST", "/workflow/invoke", json!({"deployment": "d"})).await.1["output"].clone();
    assert_eq!(output().await, "one");
    let text =
        "[[workflow]]\ndeployment = \"d\"\noutput = \"two\"\n\n[[fault]]\nrule = \"status=503 operation=listModels\"\n";
    std::fs::write(&file.0, text).unwrap();
    let changed = async {
        while output().await != "two" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changed).await.unwrap();
    assert_eq!(caller.call("GET", "/public/models", Value::Null).await.0, 503);
    std::fs::write(&file.0, "[[workflow]]\ndeployment = 5\n").unwrap();
    let rejected = async {
        while !lines.lock().unwrap().iter().any(|line| line.contains("line 2") && line.contains("stays")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), rejected).await.unwrap();
    assert_eq!(output().await, "two");
    assert!(lines.lock().unwrap().iter().any(|line| line.starts_with("POST /v1/workflow/invoke 200")));
}

#[test]
fn invalid_file_error_names_the_line() {
    for (name, text, line) in [
        ("bad.toml", "[[workflow]]\ndeployment = \"a\"\ndelay = 1\n", "line 3"),
        ("twice.toml", "[[prompt]]\ndeployment = \"a\"\n[[prompt]]\ndeployment = \"a\"\n", "line 4"),
        ("fault.toml", "[[fault]]\nrule = \"nonsense\"\n", "line 2"),
        #[cfg(feature = "templates")]
        ("template.toml", "[[prompt]]\ndeployment = \"a\"\nresponse_template = \"{{ x\"\n", "line 3"),
        #[cfg(feature = "templates")]
        ("variable.toml", "[[workflow]]\ndeployment = \"a\"\noutput_template = \"{{ input.x }}\"\n", "line 3"),
        ("event.toml", "[[fault]]\nrule = \"callback-lost event=agent.complete\"\n", "line 2"),
        #[cfg(feature = "yaml")]
        ("bad.yaml", "workflow:\n  - deployment: a\n    delay: 1\n", "line 3"),
    ] {
        let file = File::with(name, text);
        let error = read_deployments(&file.0).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(name), "{error}");
    }
}

#[cfg(feature = "templates")]
#[test]
fn misspelled_template_variables_are_rejected() {
    let declare = |template: &str| {
        let inputs = "inputs.topic = { type = \"string\" }";
        let text = format!("[[workflow]]\ndeployment = \"a\"\n{inputs}\noutput_template = \"{template}\"\n");
        let file = File::with("variables.toml", &text);
        read_deployments(&file.0).map_err(|error| error.to_string())
    };
    assert!(declare("{% for t in inputs.tags %}{{ loop.index }} {{ t.name }}{% endfor %} {{ range(2) }}").is_ok());
    assert!(declare("{{ inputs.topic }} {{ user }} {{ metadata.order }}").is_ok());
    for (template, part) in [
        ("{{ input.topic }}", "unknown variable \"input\"; did you mean inputs?"),
        ("{{ nothing }}", "use one of request_id, deployment"),
        ("{{ inputs.topics }}", "unknown input \"topics\"; did you mean topic?"),
    ] {
        let error = declare(template).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[cfg(feature = "store")]
#[tokio::test]
async fn records_survive_a_restart() {
    let file = File::new("records.redb");
    let path = "/public/workspaces/11111111-1111-4111-8111-111111111111";
    let (agents, assets) = (format!("{path}/agents"), format!("{path}/assets"));
    let emulator = Emulator::builder().data(&file.0).start().await.unwrap();
    let caller = Caller::new(&emulator);
    let agent = json!({"agent": {"name": "A", "llm_model": "gpt-4o", "model_type": "llm"}});
    let (_, created) = caller.call("POST", &agents, agent).await;
    let form = "--B\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nwords\r\n--B--\r\n";
    caller.send("POST", &assets, "multipart/form-data; boundary=B", form.into()).await;
    let (_, run) = caller.call("POST", "/workflow/invoke", json!({"deployment": "d"})).await;
    drop((caller, emulator));

    let emulator = Emulator::builder().data(&file.0).start().await.unwrap();
    let caller = Caller::new(&emulator);
    assert_eq!(caller.call("GET", &agents, Value::Null).await.1["agents"], json!([created["agent"]]));
    let request = format!("/public/requests/{}", run["request_id"].as_str().unwrap());
    assert_eq!(caller.call("GET", &request, Value::Null).await.1["data"]["output"], run["output"]);
    let (_, list) = caller.call("GET", &assets, Value::Null).await;
    assert_eq!(caller.download(list["assets"][0]["file_url"].as_str().unwrap()).await, (200, "words".into()));

    let other = File::with("no.redb", "this is no database");
    assert!(matches!(Emulator::builder().data(&other.0).start().await.unwrap_err(), StartError::Data(_)));
}

#[cfg(feature = "store")]
#[tokio::test]
async fn active_runs_fail_on_restart_and_pending_callbacks_arrive() {
    let (file, config) = (File::new("stopped.redb"), "[[workflow]]\ndeployment = \"slow\"\ndelay_ms = 60000\n");
    let config = File::with(
        "stopped.toml",
        &format!("{config}[[agent]]\nagent = \"a\"\ntools = [{{ tool = \"t\", approval = \"ask\" }}]\n"),
    );
    let start = || Emulator::builder().data(&file.0).config(&config.0).daily_cap(3).concurrency(1).start();
    let mut receiver = CallbackReceiver::start().await.unwrap();
    let emulator = start().await.unwrap();
    let caller = Caller::new(&emulator);
    let mode = json!({"enabled": true, "callback_url": receiver.url()});
    let run = json!({"deployment": "slow", "async": mode, "metadata": {"order": "7"}});
    let (_, running) = caller.call("POST", "/workflow/invoke", run.clone()).await;
    let (_, queued) = caller.call("POST", "/workflow/invoke", run).await;
    let (_, awaiting) = caller.call("POST", "/agent/invoke", json!({"agent": "a", "message": "m"})).await;
    assert_eq!((&running["run_status"], &queued["run_status"]), (&json!("running"), &json!("queued")));
    let approval = awaiting["pending_tool_approvals"][0]["approval_id"].as_str().unwrap();
    drop((caller, emulator));

    let emulator = start().await.unwrap();
    let caller = Caller::new(&emulator);
    let mut delivered = Vec::new();
    for _ in 0..2 {
        let event: Value = serde_json::from_slice(receiver.next().await.unwrap().body()).unwrap();
        assert_eq!(
            (&event["event_type"], &event["data"]["user_metadata"]["order"]),
            (&json!("workflow.failed"), &json!("7"))
        );
        delivered.push(event["request_id"].clone());
    }
    for run in [&running, &queued, &awaiting] {
        let path = format!("/public/requests/{}", run["request_id"].as_str().unwrap());
        let (_, record) = caller.call("GET", &path, Value::Null).await;
        assert_eq!(record["status"], "failed");
        assert!(record["message"].as_str().unwrap().contains("stopped"), "{record}");
        assert_eq!(delivered.contains(&run["request_id"]), run.get("webhook_secret").is_some());
    }
    let path = format!("/public/workspaces/{DEFAULT_WORKSPACE}/tool_action_approvals/{approval}");
    assert_eq!(caller.call("GET", &path, Value::Null).await.1["approval"]["status"], "expired");
    let (status, capped) = caller.call("POST", "/prompt/invoke", json!({"deployment": "d"})).await;
    assert_eq!((status, &capped["current"]), (429, &json!(3)), "the count survives the restart");
    while emulator.deliveries().len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop((caller, emulator));

    // A delivered callback is not delivered again.
    let emulator = start().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(emulator.deliveries().len(), 0);
}

#[tokio::test]
async fn plan_sets_concurrency_and_daily_cap() {
    let file = File::with("plan.toml", "[[workflow]]\ndeployment = \"slow\"\ndelay_ms = 60000\n");
    let emulator = Emulator::builder().config(&file.0).plan(Plan::Starter).daily_cap(5).start().await.unwrap();
    let caller = Caller::new(&emulator);
    assert_eq!("pro".parse::<Plan>(), Ok(Plan::Pro));
    assert!("free".parse::<Plan>().unwrap_err().contains("lite"));
    let run = json!({"deployment": "slow", "async": {"enabled": true, "callback_url": "http://127.0.0.1:9/"}});
    for expected in ["running", "running", "running", "queued"] {
        assert_eq!(caller.call("POST", "/workflow/invoke", run.clone()).await.1["run_status"], expected);
    }
    let (status, full) = caller.call("POST", "/workflow/invoke", json!({"deployment": "d"})).await;
    assert_eq!((status, full.get("error_code")), (429, None), "a direct run is not queued");
    let (status, capped) = caller.call("POST", "/prompt/invoke", json!({"deployment": "d"})).await;
    assert_eq!((status, &capped["error_code"], &capped["limit"]), (429, &json!("api_rate_limit_exceeded"), &json!(5)));
}
