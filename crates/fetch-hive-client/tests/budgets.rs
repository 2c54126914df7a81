//! Budgets for the allocations of calls and events, and for the sizes of common types.
//!
//! No times are measured, so a busy machine does not change the results.

#![allow(clippy::unwrap_used, reason = "this is a test with its helpers")]

use std::alloc::System;
use std::future::{Future, IntoFuture, poll_fn};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fetch_hive_client::types::{InvokeAgent, InvokeWorkflow, InvokeWorkflowResponse, StreamEvent};
use fetch_hive_client::{ApiResponse, Call, Client, Error, EventStream, HyperTransport, RequestBody, Transport};
use fetch_hive_core::stream::EventReader;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Makes sure that only one test counts allocations at a time, because they are counted per
/// process.
fn exclusive() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

const RUN: &str = r#"{"request_id":"req_0123456789abcdef","run_status":"completed","output":"ok"}"#;

/// Starts a server that allocates nothing while it responds, so that only the client is counted.
fn server() -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: 3f0c2b9e\r\ncontent-length:";
    let response = format!("{head} {}\r\n\r\n{RUN}", RUN.len());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        let mut filled = 0;
        loop {
            let read = stream.read(&mut buffer[filled..]).unwrap();
            if read == 0 {
                return;
            }
            filled += read;
            // Only the end of the request body contains "}}".
            if buffer[..filled].ends_with(b"}}") {
                filled = 0;
                stream.write_all(response.as_bytes()).unwrap();
            }
        }
    });
    url
}

fn call(client: &Client) -> Call<InvokeWorkflow> {
    client.invoke_workflow("weekly-report").input("topic", "enterprise AI").input("audience", "board")
}

#[test]
fn allocations_of_call() {
    const CALLS: usize = 200;
    let _guard = exclusive();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(server()).build().unwrap();
    let change = runtime.block_on(async {
        for _ in 0..50 {
            call(&client).await.unwrap();
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..CALLS {
            assert_eq!(call(&client).await.unwrap().output_text(), Some("ok"));
        }
        region.change()
    });
    let (allocations, bytes) = ((change.allocations + change.reallocations) / CALLS, change.bytes_allocated / CALLS);
    println!("a call: {allocations} allocations, {bytes} bytes");
    // Each input is kept as its JSON text, which costs one allocation more than a small value and
    // saves the tree of a large one.
    assert!(allocations <= 32, "{allocations} allocations in a call");
    assert!(bytes <= 17_200, "{bytes} bytes allocated in a call");
}

/// Starts a server that sends one event each time it is told to.
fn stream_server() -> (String, SyncSender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (next, is_awaited) = sync_channel(1);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let event = "data: {\"type\":\"response\",\"response\":\" a word\"}\n\n";
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        while is_awaited.recv().is_ok() {
            stream.write_all(chunk.as_bytes()).unwrap();
        }
    });
    (url, next)
}

/// Awaits a future, and lets the server send an event when the future waits.
async fn await_event<T>(server: &SyncSender<()>, next: impl Future<Output = T>) -> T {
    let mut next = pin!(next);
    poll_fn(|cx| {
        let poll = next.as_mut().poll(cx);
        if poll.is_pending() {
            let _ = server.try_send(());
        }
        poll
    })
    .await
}

#[test]
fn stream_allocates_nothing_when_it_waits() {
    const EVENTS: usize = 1_000;
    const WARM_UP: usize = 10;
    let _guard = exclusive();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let raw = runtime.block_on(async {
        let (url, server) = stream_server();
        let request = http::Request::post(url + "/prompt/invoke").body(RequestBody::from("{}")).unwrap();
        let mut body = HyperTransport::builder().build().unwrap().send(request).await.unwrap().into_body();
        let mut region = Region::new(ALLOCATOR);
        for n in 0..EVENTS + WARM_UP {
            if n == WARM_UP {
                region.reset();
            }
            let frame = poll_fn(|cx| http_body::Body::poll_frame(Pin::new(&mut body), cx));
            assert!(await_event(&server, frame).await.unwrap().is_ok());
        }
        region.change()
    });
    let ours = runtime.block_on(async {
        let (url, server) = stream_server();
        let client = Client::builder().api_key("fhk_test").base_url(url).build().unwrap();
        let mut stream = client.invoke_prompt("researcher").stream().await.unwrap();
        let mut region = Region::new(ALLOCATOR);
        for n in 0..EVENTS + WARM_UP {
            if n == WARM_UP {
                region.reset();
            }
            assert!(await_event(&server, stream.next()).await.unwrap().is_ok());
        }
        region.change()
    });
    let [raw, ours] = [raw, ours].map(|change| change.allocations + change.reallocations);
    println!("{EVENTS} events in one chunk each: {ours} allocations, {raw} of them for the body");
    assert!(ours <= raw + EVENTS / 50, "{ours} allocations for {EVENTS} events, and {raw} for their body");
}

#[test]
fn roots_are_not_loaded_without_a_handshake() {
    let _guard = exclusive();
    let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
    if variables.iter().any(|name| std::env::var_os(name).is_some()) {
        // Roots that the environment names are validated when the client is built.
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "roots_are_not_loaded_without_a_handshake"]);
        for name in variables {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let region = Region::new(ALLOCATOR);
    let client = Client::builder().api_key("fhk_test").build().unwrap();
    let bytes = region.change().bytes_allocated;
    drop(client);
    println!("a client: {bytes} bytes");
    assert!(bytes <= 18_900, "{bytes} bytes allocated by building a client");
}

#[test]
fn allocations_of_event() {
    const EVENTS: usize = 1_000;
    let _guard = exclusive();
    let frame = "data: {\"type\":\"response\",\"response\":\" a word\",\"model\":\"gpt-4.1-mini\"}\n\n";
    let stream = Bytes::from(frame.repeat(EVENTS) + "data: [DONE]\n\n");
    // An event within one chunk borrows from it. An event in several chunks needs one allocation.
    for (size, budget) in [(stream.len(), 0), (1_400, 52), (64, EVENTS + EVENTS / 40)] {
        let chunks: Vec<_> =
            (0..stream.len()).step_by(size).map(|at| stream.slice(at..stream.len().min(at + size))).collect();
        // The test runner may allocate at the same time, so the smallest of several counts is used.
        let count = || {
            let mut kept = Vec::with_capacity(EVENTS);
            let mut reader = EventReader::new(1 << 20);
            let region = Region::new(ALLOCATOR);
            for chunk in &chunks {
                reader.push(chunk.clone());
                while let Some(event) = reader.next_event() {
                    kept.push(event.unwrap());
                }
            }
            let change = region.change();
            assert_eq!(kept.len(), EVENTS);
            assert!(kept.iter().all(|event| matches!(event.event, StreamEvent::Response(_))));
            change.allocations + change.reallocations
        };
        let allocations = [count(), count(), count()].into_iter().min().unwrap();
        println!("{EVENTS} events in chunks of {size} bytes: {allocations} allocations");
        assert!(allocations <= budget, "{allocations} allocations in {EVENTS} events in chunks of {size} bytes");
    }
}

#[test]
fn sizes_of_types() {
    let _guard = exclusive();
    let client = Client::builder().api_key("fhk_test").base_url("http://127.0.0.1:9").build().unwrap();
    let response = call(&client).into_future();
    let stream = client.invoke_agent("researcher", "What is new?").stream();
    for (name, size, budget) in [
        ("the client's error", size_of::<Error>(), 8),
        ("the core's error", size_of::<fetch_hive_core::Error>(), 16),
        ("a call", size_of::<Call<InvokeWorkflow>>(), 640),
        ("the future of a response", size_of_val(&*response), 1_424),
        ("the future of a stream", size_of_val(&stream), 2_688),
        ("a stream of events", size_of::<EventStream<InvokeAgent>>(), 712),
        ("a response", size_of::<ApiResponse<InvokeWorkflowResponse>>(), 200),
    ] {
        println!("{name}: {size} of {budget} bytes");
        assert!(size <= budget, "{name} has {size} bytes, its budget is {budget}");
    }
}
