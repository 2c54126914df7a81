//! Tests that waiting for a run can be resumed after its process was killed.

#![cfg(unix)]

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use fetch_hive_client::Client;
use fetch_hive_client::callback::ResumeToken;
use fetch_hive_client::types::{ApprovalDecision, ApprovalFilter};
use fetch_hive_emulator::{DEFAULT_WORKSPACE, Emulator};

/// A `wait-for-run` process and its output. It is killed when it is dropped.
struct WaitProcess {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl WaitProcess {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wait-for-run"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap_or_else(|| panic!("the process ended without output")).unwrap()
    }

    /// Kills the process with SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
        assert!(self.lines.next().is_none(), "the process printed more output");
    }
}

impl Drop for WaitProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The run ends only after an approval, so the test does not depend on timing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_process_resumes_by_callback_and_by_polling() {
    let file = std::env::temp_dir().join(format!("fetch-hive-restart-{}.toml", std::process::id()));
    let step = "steps = [{ name = \"send\", human_in_the_loop = true }]";
    std::fs::write(&file, format!("[[workflow]]\ndeployment = \"review\"\noutput = \"sent\"\n{step}\n")).unwrap();
    let emulator = Emulator::builder().config(&file).delivery(1_000, Duration::from_millis(1)).start().await.unwrap();
    let base_url = emulator.base_url();
    // A free port for the processes. On Linux, it is on an address that nothing else uses.
    let loopback = if cfg!(target_os = "linux") { "127.83.0.1:0" } else { "127.0.0.1:0" };
    let address = std::net::TcpListener::bind(loopback).unwrap().local_addr().unwrap().to_string();

    let mut started = WaitProcess::start(&["start", &base_url, &address]);
    let stored = started.line();
    let token: ResumeToken = serde_json::from_str(&stored).unwrap();
    let id = token.request_id.unwrap();
    let mut polling = WaitProcess::start(&["poll", &base_url, id.as_str()]);
    assert_eq!(polling.line(), "waiting");
    started.kill();
    polling.kill();

    // The run ends while no process waits, so its callback cannot be delivered.
    let client = Client::builder().api_key("fhk_test").base_url(&base_url).build().unwrap();
    let approvals = client.workspace(DEFAULT_WORKSPACE).approvals();
    let mut pending = approvals.all(ApprovalFilter::new().request_id(&id));
    let approval = pending.next().await.unwrap().unwrap();
    approvals.decide(approval.id.unwrap(), ApprovalDecision::AllowOnce).await.unwrap();
    let failed_deliveries = async {
        while emulator.deliveries().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), failed_deliveries).await.unwrap();
    assert!(emulator.deliveries().iter().all(|delivery| delivery.outcome.is_err()));

    let mut polling = WaitProcess::start(&["poll", &base_url, id.as_str()]);
    assert_eq!((polling.line(), polling.line()), ("waiting".to_owned(), "sent".to_owned()));
    let mut resumed = WaitProcess::start(&["resume", &base_url, &address, &stored]);
    assert_eq!((resumed.line(), resumed.line()), ("waiting".to_owned(), "sent".to_owned()));
    assert!(resumed.child.wait().unwrap().success() && polling.child.wait().unwrap().success());

    assert_eq!(emulator.runs().len(), 1, "the run was not started again");
    std::fs::remove_file(file).unwrap();
}
