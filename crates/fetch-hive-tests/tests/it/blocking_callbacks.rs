//! Tests of callbacks with the blocking client, over real sockets.

use std::io::{BufRead as _, BufReader, Error as IoError, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fetch_hive_client::blocking::Client;
use fetch_hive_client::callback::{Delivery, MemoryDedupStore, Receiver, ResumeToken, Verifier, signed_request};
use fetch_hive_client::types::{RequestId, RunStatus};
use fetch_hive_client::{BoxError, ErrorKind, RetryPolicy, WaitError};
use fetch_hive_emulator::{Deployment, Emulator, EmulatorBuilder, Fault};
use fetch_hive_tests::{Scripted, Step};
use http::{Method, Request};
use serde_json::json;
use tokio::runtime::Runtime;

const HANG: Duration = Duration::from_secs(60);
const SECRET: &str = "whsec_blocking";
const DONE: &str = r#"{"event_type":"workflow.completed","request_id":"req_1","data":{"output":1}}"#;

/// Creates the runtime of the emulator. The client and the receiver run without one.
fn emulator_runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn start(runtime: &Runtime, builder: EmulatorBuilder) -> (Emulator, Client) {
    let builder = builder.delivery(200, Duration::from_millis(5));
    let emulator = runtime.block_on(builder.start()).unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    (emulator, client)
}

/// A minimal blocking server with one thread and one request per connection.
fn serve(
    listener: TcpListener,
    receiver: Receiver,
    handler: impl Fn(Delivery) -> Result<(), BoxError> + Send + Sync + 'static,
) {
    let handler = Arc::new(handler);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (receiver, handler) = (receiver.clone(), Arc::clone(&handler));
            thread::spawn(move || answer(&stream.unwrap(), &receiver, &*handler));
        }
    });
}

fn answer(stream: &TcpStream, receiver: &Receiver, handler: impl Fn(Delivery) -> Result<(), BoxError>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split(' ');
    let mut request = Request::builder().method(words.next().unwrap()).uri(words.next().unwrap());
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.parse().unwrap();
        }
        request = request.header(name, value);
    }
    let request = request.body(reader.take(length)).unwrap();
    let response = receiver.receive_blocking(request, handler).unwrap();
    let (status, body) = (response.status(), response.body());
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}", body.len());
    let _ = write!(&mut &*stream, "{head}\r\n\r\n{body}");
}

/// Starts a receiver for pending runs on a loopback address.
fn start_receiver() -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = Receiver::with_callback_url(url(listener.local_addr().unwrap()));
    serve(listener, receiver.clone(), |delivery| Err(format!("the handler ran for {delivery:?}").into()));
    receiver
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/callbacks")
}

#[test]
fn concurrent_runs_get_their_own_outputs() {
    let runtime = emulator_runtime();
    let builder = Emulator::builder()
        .fault(Fault::callback_early().every(5))
        .fault(Fault::callback_bad_signature().every(7).first_attempts(1))
        .fault(Fault::callback_redeliver(1).every(3));
    let (emulator, client) = start(&runtime, builder);
    let receiver = start_receiver();
    let waits: Vec<_> = (0..20)
        .map(|n| {
            let (client, receiver) = (client.clone(), receiver.clone());
            thread::spawn(move || {
                client.invoke_workflow("good").input("n", n).run_and_wait(&receiver).timeout(HANG).send()
            })
        })
        .collect();
    for (n, wait) in waits.into_iter().enumerate() {
        let delivery = wait.join().unwrap().unwrap();
        assert_eq!(delivery.event.output_as::<String>().unwrap(), format!("good: n = {n}"));
    }
    assert!(
        emulator.deliveries().iter().any(|delivery| delivery.outcome == Ok(503)),
        "some callbacks arrived before the secret"
    );
}

#[test]
fn timed_out_wait_is_resumed() {
    let runtime = emulator_runtime();
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("t").webhook_secret(SECRET))
        .fault(Fault::callback_late(Duration::from_millis(500)).operation("invokeWorkflow"));
    let (emulator, client) = start(&runtime, builder);
    let receiver = start_receiver();
    let mut started = client.invoke_workflow("d").input("n", 1).start(&receiver).unwrap();
    assert_eq!((started.response.status().as_u16(), &started.response.run_status), (202, &Some(RunStatus::Running)));
    let error = started.pending.timeout(Duration::from_millis(20)).event().unwrap_err();
    let ErrorKind::Wait(wait) = error.kind() else { panic!("{error:?}") };
    assert!(matches!(**wait, WaitError::Timeout { .. }) && error.request_id() == started.response.request_id);

    let stored = serde_json::to_string(started.pending.resume_token()).unwrap();
    drop(started);
    let token: ResumeToken = serde_json::from_str(&stored).unwrap();
    let mut resumed = client.resume(&receiver, token).unwrap();
    assert_eq!(resumed.timeout(HANG).event().unwrap().event.output_as::<String>().unwrap(), "d: n = 1");
    assert!(resumed.event().is_err(), "the event is returned once");

    let trigger = client.trigger_workflow("t", "v", SECRET, "https://replaced.example.com");
    let delivery = trigger.run_and_wait(&receiver).timeout(HANG).send().unwrap();
    assert!(delivery.event.output().is_some());
    let invalid = client.invoke_workflow("d").start(&Receiver::new(Verifier::new([SECRET]))).unwrap_err();
    assert!(invalid.to_string().contains("`callback_url`"), "{invalid}");
    assert_eq!(emulator.runs().len(), 2);
}

#[test]
fn handler_runs_once_per_event_and_may_call_the_client() {
    let runtime = emulator_runtime();
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("d").webhook_secret(SECRET).output("made"))
        .fault(Fault::callback_bad_signature().first_attempts(1))
        .fault(Fault::callback_redeliver(2));
    let (emulator, client) = start(&runtime, builder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = url(listener.local_addr().unwrap());
    let receiver = Receiver::new(Verifier::new([SECRET])).dedup(MemoryDedupStore::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (handler_client, handled, runs) = (client.clone(), Arc::clone(&seen), AtomicUsize::new(0));
    serve(listener, receiver, move |delivery| {
        // The first call fails, so that the event is redelivered.
        if runs.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err("the database is down".into());
        }
        let record = handler_client.requests().get(delivery.event.request_id.as_ref().ok_or("no id")?).send()?;
        handled.lock().unwrap().push((record.into_value().request_id, delivery.event.output_as::<String>()?));
        Ok(())
    });
    let run = client.invoke_workflow("d").callback_url(url).send().unwrap();
    let deliveries = || emulator.deliveries().iter().map(|delivery| delivery.outcome.clone()).collect::<Vec<_>>();
    while deliveries().len() < 5 {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(deliveries(), [401, 500, 200, 200, 200].map(Ok));
    assert_eq!(*seen.lock().unwrap(), [(run.request_id.clone(), "made".to_owned())]);
}

/// A body that panics when it is read.
struct Unread;

impl Read for Unread {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("the body was read")
    }
}

/// A body whose connection breaks.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(IoError::other("gone"))
    }
}

#[test]
fn blocking_receiver_answers_like_the_async_one() {
    let receiver = Receiver::new(Verifier::new([SECRET])).max_body_bytes(200);
    let unreachable = |delivery: Delivery| -> Result<(), IoError> { panic!("the handler ran for {delivery:?}") };
    let status = |request: Request<_>| receiver.receive_bytes_blocking(request, unreachable).unwrap().status().as_u16();
    let good = || signed_request(SECRET, DONE);
    assert_eq!(status(signed_request("whsec_other", DONE)), 401);
    let not_json = receiver.receive_bytes_blocking(signed_request(SECRET, "no event"), |delivery| {
        assert_eq!((delivery.raw.as_ref(), delivery.unreadable.len()), (&b"no event"[..], 1));
        Ok::<_, IoError>(())
    });
    assert_eq!(not_json.unwrap().status(), 200);
    assert_eq!(status(signed_request(SECRET, "x".repeat(201))), 413);
    let mut get = good();
    *get.method_mut() = Method::GET;
    assert_eq!(status(get), 405);
    let handled = receiver.receive_bytes_blocking(good(), |delivery| {
        assert_eq!((delivery.raw.as_ref(), delivery.event.output()), (DONE.as_bytes(), Some(&json!(1))));
        Ok::<_, IoError>(())
    });
    assert_eq!(handled.unwrap().status(), 200);
    let failing = receiver.receive_bytes_blocking(good(), |_| Err(IoError::other("no")));
    assert_eq!(failing.unwrap().status(), 500);

    // An endless body is read up to the limit. A body with a larger content length is not read.
    let endless = good().map(|_| std::io::repeat(b'x'));
    assert_eq!(receiver.receive_blocking(endless, unreachable).unwrap().status(), 413);
    let mut too_long = good().map(|_| Unread);
    too_long.headers_mut().insert("content-length", 201.into());
    assert_eq!(receiver.receive_blocking(too_long, unreachable).unwrap().status(), 413);
    assert_eq!(receiver.receive_blocking(good().map(|_| Broken), unreachable).unwrap().status(), 400);
}

#[test]
fn call_in_an_async_task_fails_before_anything_is_sent() {
    let runtime = emulator_runtime();
    let (emulator, client) = start(&runtime, Emulator::builder());
    let receiver = Receiver::new(Verifier::new([SECRET])).callback_url("http://127.0.0.1:1/callbacks");
    runtime.block_on(async {
        let unreachable = |delivery: Delivery| -> Result<(), IoError> { panic!("the handler ran for {delivery:?}") };
        let error = receiver.receive_bytes_blocking(signed_request(SECRET, DONE), unreachable).unwrap_err();
        assert!(error.to_string().contains("async task"), "{error}");
        for error in [
            client.requests().wait("req_1").send().unwrap_err(),
            client.invoke_workflow("d").run_and_wait(&receiver).send().unwrap_err(),
            client.invoke_workflow("d").start(&receiver).unwrap_err(),
        ] {
            assert!(error.to_string().contains("async task") && !error.may_have_run(), "{error}");
        }
    });
    assert_eq!(emulator.requests().len(), 0);
}

#[test]
fn polling_ends_with_the_run_or_the_timeout() {
    let record = |status: &str| {
        let body = json!({"request_id": "req_1", "status": status, "data": {"output": "done"}});
        Step::respond("200 OK", "content-type: application/json\r\n", body.to_string())
    };
    let runtime = emulator_runtime();
    let scripted = |steps: Vec<Step>| {
        let script = steps.into_iter().flat_map(|step| [Step::Read, step]).collect();
        let server = runtime.block_on(Scripted::start(vec![script])).unwrap();
        let builder = Client::builder().api_key("fhk_test").base_url(server.base_url());
        (server, builder.retry(RetryPolicy::never()).build().unwrap())
    };
    let short = Duration::from_millis(2);
    let busy = Step::respond("503 Service Unavailable", "", "<html>busy</html>");
    let (server, client) =
        scripted(vec![record("queued"), busy, record("running"), record("awaiting_approval"), record("completed")]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let poll = || client.requests().wait("req_1").interval(short, short);
    let poll_to_approval = poll().until_approval().on_progress(move |record| {
        statuses.lock().unwrap().push(record.status.as_ref().unwrap().as_str().to_owned());
    });
    assert!(poll_to_approval.send().unwrap().is_awaiting_approval());
    assert_eq!(*seen.lock().unwrap(), ["queued", "running", "awaiting_approval"]);
    assert_eq!(poll().send().unwrap().to_run().into_output().unwrap(), "done");
    assert_eq!(server.requests().len(), 5);

    let (_server, client) = scripted(vec![record("running"); 500]);
    let poll = client.requests().wait("req_1").interval(short, short * 5).timeout(Duration::from_millis(100));
    let error = poll.send().unwrap_err();
    assert!(error.to_string().contains("running"), "{error}");
    assert_eq!(error.request_id(), Some(RequestId::from("req_1")));
}
