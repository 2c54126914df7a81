//! The conformance suite for the transport, which runs in Node.js, Chromium or workerd.
//!
//! `cargo xtask wasm` builds the transport and runs the suite in Node.js. `cargo xtask wasm page`
//! runs it in Chromium, and `cargo xtask wasm workerd` in workerd.

#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::pin::Pin;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fetch_hive_client::{RequestBody, ResponseBody, Transport, TransportError};
use fetch_hive_testing::conformance::{Capability, Check, Suite};
use http::{Request, Response};
use http_body::{Body, Frame};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The standard input of the process, until it is closed.
type Commands = Arc<Mutex<Option<ChildStdin>>>;
type Exchanges = Arc<Mutex<HashMap<u64, UnboundedSender<Value>>>>;

/// A transport that passes each request to the transport in another process.
struct Bridge {
    process: Mutex<Child>,
    commands: Commands,
    exchanges: Exchanges,
    last_id: AtomicU64,
}

impl Bridge {
    /// Starts the process. `arguments` are those of `bridge.mjs`.
    fn start(arguments: &str) -> Self {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bridge.mjs");
        let mut process = Command::new("node")
            .arg(script)
            .args(arguments.split('\n'))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = Arc::new(Mutex::new(process.stdin.take()));
        let mut events = BufReader::new(process.stdout.take().unwrap()).lines();
        assert_eq!(events.next().unwrap().unwrap(), r#"{"ready":true}"#);
        let exchanges = Exchanges::default();
        let running = Arc::clone(&exchanges);
        std::thread::spawn(move || {
            for event in events.map_while(Result::ok) {
                let event: Value = serde_json::from_str(&event).unwrap();
                if let Some(exchange) = running.lock().unwrap().get(&event["id"].as_u64().unwrap()) {
                    let _ = exchange.send(event);
                }
            }
            // The exchanges end with an error.
            running.lock().unwrap().clear();
        });
        Self { process: Mutex::new(process), commands, exchanges, last_id: AtomicU64::new(0) }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        drop(self.commands.lock().unwrap().take());
        let _ = self.process.get_mut().unwrap().wait();
    }
}

#[async_trait]
impl Transport for Bridge {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let (parts, body) = fetch_hive_client::buffer_request(request)?.into_parts();
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (sender, events) = unbounded_channel();
        self.exchanges.lock().unwrap().insert(id, sender);
        let mut exchange =
            Exchange { id, events, commands: Arc::clone(&self.commands), exchanges: Arc::clone(&self.exchanges) };
        let headers: Vec<_> =
            parts.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        exchange.command(&json!({
            "id": id, "method": parts.method.as_str(), "url": parts.uri.to_string(), "headers": headers,
            "body": STANDARD.encode(body),
        }));
        let head = std::future::poll_fn(|cx| exchange.poll_event(cx)).await?;
        let mut response = Response::builder().status(u16::try_from(head["status"].as_u64().unwrap()).unwrap());
        for header in head["headers"].as_array().unwrap() {
            response = response.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
        }
        Ok(response.body(ResponseBody::streaming(exchange)).unwrap())
    }
}

/// A request and its response. Dropping it drops the response in the other process.
struct Exchange {
    id: u64,
    events: UnboundedReceiver<Value>,
    commands: Commands,
    exchanges: Exchanges,
}

impl Exchange {
    fn command(&self, command: &Value) {
        if let Some(commands) = &mut *self.commands.lock().unwrap() {
            writeln!(commands, "{command}").unwrap();
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<Value, TransportError>> {
        self.events.poll_recv(cx).map(|event| {
            let event = event.ok_or_else(|| TransportError::may_have_run("the process has ended"))?;
            match event["error"].as_str() {
                None => Ok(event),
                Some(error) if event["not_sent"] == true => Err(TransportError::not_sent(error)),
                Some(error) => Err(TransportError::may_have_run(error)),
            }
        })
    }
}

impl Body for Exchange {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let event = std::task::ready!(self.poll_event(cx))?;
        let chunk = event["chunk"].as_str().map(|chunk| STANDARD.decode(chunk).unwrap());
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk.into()))))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.exchanges.lock().unwrap().remove(&self.id);
        self.command(&json!({"id": self.id, "drop": true}));
    }
}

#[test]
fn transport_meets_the_contract() {
    let arguments = std::env::var("FETCH_HIVE_BRIDGE").unwrap();
    let suite = Suite::new(Bridge::start(&arguments))
        .unsupported(Capability::ConnectTimeout, "fetch has no connect timeout")
        .expect_failure(Check::RepeatedHeaders, "fetch joins the values of a header");
    let suite = match arguments.split('\n').next() {
        Some("node") => in_node(suite),
        Some("chromium") => in_chromium(suite),
        _ => in_workerd(suite),
    };
    let report = pollster::block_on(suite.run());
    println!("{report}");
    assert!(report.is_success());
}

fn in_node(suite: Suite) -> Suite {
    suite.expect_failure(Check::Informational, "Node.js rejects a response with 100 that it did not ask for")
}

fn in_workerd(suite: Suite) -> Suite {
    suite
        .expect_failure(Check::Encoding, "workerd rejects an empty body that is announced as compressed")
        .expect_failure(Check::ConnectionRefused, "workerd does not state why a request failed")
}

/// The guide explains why `retries` and `lost-response` fail, and how a server prevents the damage.
fn in_chromium(suite: Suite) -> Suite {
    suite
        .expect_failure(Check::Redirects, "a browser hides redirects")
        .expect_failure(Check::RequestHead, "Chromium sends its own user agent")
        .expect_failure(Check::Concurrency, "Chromium opens 6 connections per host")
        .expect_failure(Check::ConnectionRefused, "a browser does not state why a request failed")
        .expect_failure(Check::LostResponse, "Chromium accepts a response whose head is cut")
        .expect_failure(Check::Retries, "Chromium sends a request again if a reused connection is closed")
}
