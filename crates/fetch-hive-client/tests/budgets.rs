//! Budgets: allocations of a call and of an event, and sizes of what is moved around. Counts and sizes, and never times, so that a busy
//! machine changes nothing.

#![allow(clippy::unwrap_used, reason = "a test, its helpers included")]

use std::alloc::System;
use std::future::IntoFuture;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fetch_hive_client::types::{InvokeAgent, InvokeWorkflow, InvokeWorkflowResponse, StreamEvent};
use fetch_hive_client::{ApiResponse, Call, Client, Error, EventStream};
use fetch_hive_core::stream::EventReader;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Counts are of the whole process, so that no two tests may count at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

const RUN: &str = r#"{"request_id":"req_0123456789abcdef","run_status":"completed","output":"ok"}"#;

/// A server that allocates nothing while it answers, so that what is counted is the client's.
fn server() -> String {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: 3f0c2b9e\r\ncontent-length:";
    let reply = format!("{head} {}\r\n\r\n{RUN}", RUN.len());
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
            // The body of the one request ends in "}}", and nothing before it does.
            if buffer[..filled].ends_with(b"}}") {
                filled = 0;
                stream.write_all(reply.as_bytes()).unwrap();
            }
        }
    });
    url
}

fn call(client: &Client) -> Call<InvokeWorkflow> {
    client.invoke_workflow("weekly-report").input("topic", "enterprise AI").input("audience", "board")
}

#[test]
fn allocations_of_a_call() {
    const CALLS: usize = 200;
    let _alone = alone();
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
    assert!(allocations <= 30, "{allocations} allocations in a call");
    assert!(bytes <= 18_000, "{bytes} bytes allocated in a call");
}

#[test]
fn allocations_of_an_event() {
    const EVENTS: usize = 1_000;
    let _alone = alone();
    let frame = "data: {\"type\":\"response\",\"response\":\" a word\",\"model\":\"gpt-4.1-mini\"}\n\n";
    let stream = Bytes::from(frame.repeat(EVENTS) + "data: [DONE]\n\n");
    // An event that lies in one chunk keeps a part of it; one that lies in two is put together, which is what the caller keeps of it.
    for (size, budget) in [(stream.len(), 8), (1_400, 200), (64, EVENTS + EVENTS / 8)] {
        let chunks: Vec<_> =
            (0..stream.len()).step_by(size).map(|at| stream.slice(at..stream.len().min(at + size))).collect();
        // The test's own runner may allocate meanwhile, so the least of some rounds counts.
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
fn sizes_of_what_is_moved() {
    let _alone = alone();
    let client = Client::builder().api_key("fhk_test").base_url("http://127.0.0.1:9").build().unwrap();
    let reply = call(&client).into_future();
    let stream = client.invoke_agent("researcher", "What is new?").stream();
    for (what, size, budget) in [
        ("the client's error", size_of::<Error>(), 8),
        ("the core's error", size_of::<fetch_hive_core::Error>(), 16),
        ("a call that is put together", size_of::<Call<InvokeWorkflow>>(), 640),
        ("the future of a reply", size_of_val(&*reply), 4_224),
        ("the future of a stream", size_of_val(&stream), 5_632),
        ("a stream of events", size_of::<EventStream<InvokeAgent>>(), 704),
        ("a reply", size_of::<ApiResponse<InvokeWorkflowResponse>>(), 200),
    ] {
        println!("{what}: {size} of {budget} bytes");
        assert!(size <= budget, "{what} has {size} bytes, its budget is {budget}");
    }
}
