//! Tests of the command.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fetch-hive-emulator"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> (Output, String, String) {
    let output = command(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

/// Starts an emulator and returns its address.
fn start(arguments: &[&str]) -> (Child, String) {
    let mut child = command(&[&["--listen", "127.0.0.1:0"], arguments].concat()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("listening on http://").and_then(|rest| rest.trim().strip_suffix("/v1"));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    (child, address)
}

fn post(address: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = "POST /v1/workflow/invoke HTTP/1.1\r\nhost: x\r\nauthorization: Bearer fhk_x\r\nconnection: close\r\n";
    write!(stream, "{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn serves_declared_deployments_until_sigterm() {
    let file = std::env::temp_dir().join(format!("fetch-hive-{}.toml", std::process::id()));
    std::fs::write(&file, "[[workflow]]\ndeployment = \"report\"\noutput = { pages = 3 }\n").unwrap();
    let (mut child, address) = start(&["--config", file.to_str().unwrap()]);
    let response = post(&address, r#"{"deployment":"report"}"#);
    assert!(response.starts_with("HTTP/1.1 200") && response.contains(r#""output":{"pages":3}"#), "{response}");
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(&address).is_err());
    std::fs::remove_file(file).unwrap();
}

#[test]
fn invalid_requests_get_the_documented_errors() {
    let (mut child, address) = start(&[]);
    for (body, status, text) in [
        ("{}", "400", "Missing required field: deployment or variant"),
        ("not json", "400", "The body is not JSON."),
        (r#"{"deployment":"d","inputs":[1]}"#, "400", "(at /inputs)"),
        (r#"{"deployment":5}"#, "400", "(at /deployment)"),
        (r#"{"deployment":"d","tool_approval":"yes"}"#, "400", "invalid_tool_approval"),
        (r#"{"deployment":"d","async":{"enabled":true}}"#, "400", "callback_url is required when async is enabled"),
        (
            r#"{"deployment":"d","async":{"enabled":true,"callback_url":"nowhere"}}"#,
            "400",
            "callback_url must be a valid URL",
        ),
    ] {
        let response = post(&address, body);
        assert!(response.starts_with(&format!("HTTP/1.1 {status}")) && response.contains(text), "{body}: {response}");
    }
    for path in ["/v1workflow/invoke", "/v1//workflow/invoke", "/workflow/invoke"] {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 404"), "{path}: {response}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn invalid_options_and_files_exit_with_an_error() {
    let (help, out, _) = run(&["--help"]);
    assert!(help.status.success() && out.contains("--listen") && out.contains("Exit codes"), "{out}");
    let (version, out, _) = run(&["--version"]);
    assert!(version.status.success() && out.contains(env!("CARGO_PKG_VERSION")));
    let (invalid, _, err) = run(&["--lissen"]);
    assert!(invalid.status.code() == Some(2) && err.contains("--lissen") && err.contains("--help"), "{err}");

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (busy, _, err) = run(&["--listen", &address]);
    assert!(busy.status.code() == Some(1) && err.contains(&address), "{err}");

    let file = std::env::temp_dir().join(format!("fetch-hive-bad-{}.toml", std::process::id()));
    std::fs::write(&file, "[[workflow]]\ndeployment = \"report\"\ndelay = 3\n").unwrap();
    let (bad, _, err) = run(&["--config", file.to_str().unwrap()]);
    assert!(bad.status.code() == Some(2) && err.contains("line 3") && err.contains("delay"), "{err}");
    std::fs::remove_file(file).unwrap();
}

#[test]
fn faults_come_from_options_and_headers() {
    let (mut child, address) = start(&["--fault", "status=503 nth=2 body=not_now", "--fault-header"]);
    let body = r#"{"deployment":"d"}"#;
    assert!(post(&address, body).starts_with("HTTP/1.1 200"));
    let rejected = post(&address, body);
    assert!(rejected.starts_with("HTTP/1.1 503") && rejected.ends_with("not now"), "{rejected}");
    let mut stream = TcpStream::connect(&address).unwrap();
    let head = "POST /v1/workflow/invoke HTTP/1.1\r\nhost: x\r\nauthorization: Bearer fhk_x\r\nx-fetch-hive-fault: garbage\r\n";
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert_eq!(response, "220 mail.example.com ESMTP\r\n");
    child.kill().unwrap();
    child.wait().unwrap();
    for (fault, reason) in [
        ("explode", "invalid term \"explode\""),
        ("status=503 operation=invokeWorkflows", "there is no such operation; did you mean invokeWorkflow?"),
        ("status=503 cut-after=3", "the body has only 0 bytes"),
        ("expired-certificate", "start the emulator with --tls"),
        ("callback-lost nth=0", "the smallest value is 1"),
    ] {
        let (output, _, err) = run(&["--fault", fault]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err.contains(reason), "{err}");
    }
}

#[test]
fn listen_accepts_host_names_and_ports() {
    for address in ["localhost:0", ":0"] {
        let (mut child, listening) = start(&["--listen", address]);
        assert!(listening.starts_with("127.0.0.1:"), "{address}: {listening}");
        assert!(post(&listening, r#"{"deployment":"d"}"#).starts_with("HTTP/1.1 200"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    for (address, reason) in [
        ("localhost", "--listen localhost has no port; use IP:PORT, HOST:PORT or :PORT"),
        (":99999", "--listen :99999 has an invalid port"),
        ("bad host:1", "cannot resolve --listen bad host:1"),
    ] {
        let (output, _, err) = run(&["--listen", address]);
        assert!(output.status.code() == Some(2) && err.contains(reason), "{err}");
    }
}

#[test]
fn callback_faults_come_from_options() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/callbacks", receiver.local_addr().unwrap());
    let (mut child, address) = start(&["--fault", "callback-unsigned first-attempts=1 operation=invokeWorkflow"]);
    post(&address, &format!(r#"{{"deployment":"d","async":{{"enabled":true,"callback_url":"{url}"}}}}"#));
    let signed: Vec<bool> = ["401 Unauthorized", "200 OK"]
        .into_iter()
        .map(|status| {
            let (mut stream, _) = receiver.accept().unwrap();
            let mut delivery = Vec::new();
            let mut buffer = [0; 4096];
            while !delivery.ends_with(b"}") {
                let read = stream.read(&mut buffer).unwrap();
                delivery.extend_from_slice(&buffer[..read]);
            }
            write!(stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
            String::from_utf8_lossy(&delivery).contains("x-fetch-hive-signature: ")
        })
        .collect();
    assert_eq!(signed, [false, true]);
    child.kill().unwrap();
    child.wait().unwrap();
}
