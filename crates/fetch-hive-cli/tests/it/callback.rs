//! `callback listen` and `callback verify`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::support::Sandbox;

/// A `callback listen` process and the URL it listens on.
struct Listening {
    child: Child,
    url: String,
    stderr: BufReader<std::process::ChildStderr>,
}

fn listen(sandbox: &Sandbox, arguments: &[&str]) -> Listening {
    let mut command = sandbox.command(&[&["callback", "listen", "--port", "0"], arguments].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("listening on ").expect("the first line is the address").to_owned();
    Listening { child, url, stderr }
}

impl Listening {
    /// Waits for the end, and returns standard output and standard error.
    fn finish(mut self) -> (String, String) {
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        assert!(self.child.wait().unwrap().success(), "{stderr}");
        (stdout, stderr)
    }
}

/// Answers the requests of a connection each with one of the statuses.
fn server(statuses: &'static [u16]) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        statuses
            .iter()
            .map(|status| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut received = Vec::new();
                let mut buffer = [0; 4096];
                loop {
                    let count = stream.read(&mut buffer).unwrap();
                    received.extend_from_slice(&buffer[..count]);
                    let text = String::from_utf8_lossy(&received).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .lines()
                        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0usize) {
                        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                        stream.write_all(answer.as_bytes()).unwrap();
                        break text;
                    }
                }
            })
            .collect()
    });
    (url, thread)
}

#[test]
fn event_is_verified_recorded_and_forwarded() {
    let sandbox = Sandbox::with(|builder| builder.delivery(5, std::time::Duration::from_millis(200)));
    // The first forward fails, so the service redelivers the event.
    let (forward, received) = server(&[500, 204]);
    let record = sandbox.folder.path().join("events.jsonl");
    let record_path = record.display().to_string();
    let listening = listen(&sandbox, &["--count", "1", "--json", "--forward-to", &forward, "--record", &record_path]);
    let run = ["workflow", "run", "weekly-report", "-i", "topic=AI", "--callback", &listening.url];
    let started = sandbox.run(&run);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    assert!(started.stdout.starts_with("req_") && started.stdout.lines().count() == 1, "{}", started.stdout);
    let (stdout, stderr) = listening.finish();
    let event: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    assert_eq!(event["data"]["output"], "Report on AI");
    assert_eq!(event["request_id"], started.stdout.trim());
    assert!(stderr.contains("redelivers it"), "{stderr}");
    let forwarded = received.join().unwrap();
    assert!(forwarded.iter().all(|request| request.to_lowercase().contains("x-fetch-hive-signature: ")));
    let recorded = std::fs::read_to_string(&record).unwrap();
    assert_eq!(recorded.lines().count(), 1);
    // What was recorded verifies again.
    let line: Value = serde_json::from_str(&recorded).unwrap();
    let body = sandbox.folder.path().join("body.json");
    std::fs::write(&body, line["body"].as_str().unwrap()).unwrap();
    let body = body.display().to_string();
    let signature = line["signature"].as_str().unwrap();
    let mut verify =
        sandbox.command(&["callback", "verify", "--secret-env", "SECRET", "--signature", signature, &body]);
    let genuine = verify.env("SECRET", "whsec_guide").output().unwrap();
    assert!(String::from_utf8_lossy(&genuine.stdout).starts_with("genuine: workflow.completed of req_"));
    let forged = verify.env("SECRET", "whsec_other").output().unwrap();
    assert_eq!(forged.status.code(), Some(1));
    let unset = sandbox.run(&["callback", "verify", "--secret-env", "UNSET", "--signature", signature, &body]);
    assert_eq!(unset.code, Some(2), "{}", unset.stderr);
}

/// The signature of `body.json` with the secret of the guide.
const SIGNATURE: &str = "23517af39d08047883e8aa838fe34d13a199ffbba7347081c0e96ce5bce6799a";

/// Sends `body.json`, and returns the response.
fn send(url: &str, signature: &str) -> String {
    let body = std::fs::read_to_string(crate::support::fixtures().join("body.json")).unwrap();
    let mut stream = std::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nx-fetch-hive-signature: {signature}\r\nconnection: \
         close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn closed_standard_output_does_not_refuse_an_event() {
    let sandbox = Sandbox::new();
    let callback = ["--callback", "http://127.0.0.1:9/hooks"];
    sandbox.run(&[&["workflow", "run", "weekly-report", "-i", "topic=AI"], &callback[..]].concat());
    let record = sandbox.folder.path().join("events.jsonl");
    let mut recording = listen(&sandbox, &["--record", &record.display().to_string()]);
    drop(recording.child.stdout.take());
    assert!(send(&recording.url, SIGNATURE).starts_with("HTTP/1.1 200"));
    assert_eq!(std::fs::read_to_string(&record).unwrap().lines().count(), 1);
    assert!(recording.child.try_wait().unwrap().is_none(), "it still records");
    recording.child.kill().unwrap();
    recording.child.wait().unwrap();
    // Without another use of the events, the command stops.
    let mut listening = listen(&sandbox, &[]);
    drop(listening.child.stdout.take());
    assert!(send(&listening.url, SIGNATURE).starts_with("HTTP/1.1 200"));
    assert_eq!(listening.child.wait().unwrap().code(), Some(0));
}

#[test]
fn forged_event_is_refused() {
    let sandbox = Sandbox::new();
    let listening = listen(&sandbox, &["--count", "1"]);
    let url = listening.url.clone();
    let send = |signature: &str| send(&url, signature);
    // The store has no secret yet.
    assert!(send("00").starts_with("HTTP/1.1 500"));
    let callback = ["--callback", "http://127.0.0.1:9/hooks"];
    sandbox.run(&[&["workflow", "run", "weekly-report", "-i", "topic=AI"], &callback[..]].concat());
    assert!(send("00").starts_with("HTTP/1.1 401"));
    assert!(send(SIGNATURE).starts_with("HTTP/1.1 200"));
    let (stdout, stderr) = listening.finish();
    assert_eq!(stdout, "workflow.completed req_1 done\n");
    assert!(stderr.contains("refused with 401"), "{stderr}");
}
