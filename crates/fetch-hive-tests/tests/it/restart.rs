//! Waits that are taken up again after their process was killed.
#![cfg(unix)]
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use fetch_hive_client::Client;
use fetch_hive_client::callback::ResumeToken;
use fetch_hive_client::types::{ApprovalDecision, ApprovalFilter};
use fetch_hive_emulator::{DEFAULT_WORKSPACE, Emulator};

/// A process that waits, and what it says. It is killed when it is dropped.
struct Waiting {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Waiting {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_waiting"));
        let mut child = command.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap_or_else(|| panic!("it ended without a word")).unwrap()
    }

    /// Nothing of it runs after this.
    fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
        assert!(self.lines.next().is_none(), "it had not come to an end");
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that goes on until somebody decides; so nothing of this depends on time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_takes_its_wait_up_again_by_callback_and_by_looking() {
    let file = std::env::temp_dir().join(format!("fetch-hive-restart-{}.toml", std::process::id()));
    let step = "steps = [{ name = \"send\", human_in_the_loop = true }]";
    std::fs::write(&file, format!("[[workflow]]\ndeployment = \"review\"\noutput = \"sent\"\n{step}\n")).unwrap();
    let emulator = Emulator::builder().config(&file).delivery(1_000, Duration::from_millis(1)).start().await.unwrap();
    let base_url = emulator.base_url();
    // A port that is free for the processes to come; on Linux, of an address that nobody else takes ports of.
    let loopback = if cfg!(target_os = "linux") { "127.83.0.1:0" } else { "127.0.0.1:0" };
    let address = std::net::TcpListener::bind(loopback).unwrap().local_addr().unwrap().to_string();

    let mut started = Waiting::start(&["start", &base_url, &address]);
    let stored = started.line();
    let handle: ResumeToken = serde_json::from_str(&stored).unwrap();
    let id = handle.request_id.unwrap();
    let mut looking = Waiting::start(&["look", &base_url, id.as_str()]);
    assert_eq!(looking.line(), "waiting");
    started.kill();
    looking.kill();

    // The run ends while nobody is there, and its callback is tried in vain.
    let client = Client::builder().api_key("fhk_test").base_url(&base_url).build().unwrap();
    let approvals = client.workspace(DEFAULT_WORKSPACE).approvals();
    let mut pending = approvals.all(ApprovalFilter::new().request_id(&id));
    let approval = pending.next().await.unwrap().unwrap();
    approvals.decide(approval.id.unwrap(), ApprovalDecision::AllowOnce).await.unwrap();
    let in_vain = async {
        while emulator.deliveries().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), in_vain).await.unwrap();
    assert!(emulator.deliveries().iter().all(|delivery| delivery.outcome.is_err()));

    let mut looking = Waiting::start(&["look", &base_url, id.as_str()]);
    assert_eq!((looking.line(), looking.line()), ("waiting".to_owned(), "sent".to_owned()));
    let mut resumed = Waiting::start(&["resume", &base_url, &address, &stored]);
    assert_eq!((resumed.line(), resumed.line()), ("waiting".to_owned(), "sent".to_owned()));
    assert!(resumed.child.wait().unwrap().success() && looking.child.wait().unwrap().success());

    assert_eq!(emulator.runs().len(), 1, "it was not started again");
    std::fs::remove_file(file).unwrap();
}
