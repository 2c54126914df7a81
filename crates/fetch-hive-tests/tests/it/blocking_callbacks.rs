//! The blocking client's callbacks: received without async, and waited for, over real sockets.

use std::io::{BufRead as _, BufReader, Error as IoError, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fetch_hive_client::blocking::Client;
use fetch_hive_client::callback::{MemoryDedupStore, Received, Receiver, Verifier, ResumeToken, signed_request};
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

/// The runtime of the emulator; the client and the receiver have none.
fn servers() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn start(servers: &Runtime, builder: EmulatorBuilder) -> (Emulator, Client) {
    let builder = builder.delivery(200, Duration::from_millis(5));
    let emulator = servers.block_on(builder.start()).unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    (emulator, client)
}

/// The smallest server that blocks: a thread for each connection, and one request on each.
fn serve(
    listener: TcpListener,
    receiver: Receiver,
    handler: impl Fn(Received) -> Result<(), BoxError> + Send + Sync + 'static,
) {
    let handler = Arc::new(handler);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (receiver, handler) = (receiver.clone(), Arc::clone(&handler));
            thread::spawn(move || answer(&stream.unwrap(), &receiver, &*handler));
        }
    });
}

fn answer(stream: &TcpStream, receiver: &Receiver, handler: impl Fn(Received) -> Result<(), BoxError>) {
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

/// A receiver at an address of loopback, for waits, and the thread that serves it.
fn receiving() -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let receiver = Receiver::with_callback_url(url(listener.local_addr().unwrap()));
    serve(listener, receiver.clone(), |event| Err(format!("the handler ran for {event:?}").into()));
    receiver
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/callbacks")
}

#[test]
fn runs_at_once_get_their_own_outputs_early_callbacks_too() {
    let servers = servers();
    let builder = Emulator::builder()
        .fault(Fault::callback_early().every(5))
        .fault(Fault::callback_bad_signature().every(7).first_attempts(1))
        .fault(Fault::callback_redeliver(1).every(3));
    let (emulator, client) = start(&servers, builder);
    let receiver = receiving();
    let waits: Vec<_> = (0..20)
        .map(|n| {
            let (client, receiver) = (client.clone(), receiver.clone());
            thread::spawn(move || client.invoke_workflow("good").input("n", n).run_and_wait(&receiver, HANG))
        })
        .collect();
    for (n, wait) in waits.into_iter().enumerate() {
        let event = wait.join().unwrap().unwrap();
        assert_eq!(event.output_as::<String>().unwrap(), format!("good: n = {n}"));
    }
    assert!(emulator.deliveries().iter().any(|delivery| delivery.outcome == Ok(503)), "some came early");
}

#[test]
fn a_wait_ends_at_its_deadline_and_is_taken_up_again() {
    let servers = servers();
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("t").webhook_secret(SECRET))
        .fault(Fault::callback_late(Duration::from_millis(500)).operation("invokeWorkflow"));
    let (emulator, client) = start(&servers, builder);
    let receiver = receiving();
    let mut started = client.invoke_workflow("d").input("n", 1).start(&receiver).unwrap();
    assert_eq!((started.reply.status().as_u16(), &started.reply.run_status), (202, &Some(RunStatus::Running)));
    let error = started.wait.event(Duration::from_millis(20)).unwrap_err();
    let ErrorKind::Wait(wait) = error.kind() else { panic!("{error:?}") };
    assert!(matches!(**wait, WaitError::Deadline { .. }) && error.request_id() == started.reply.request_id);

    let stored = serde_json::to_string(started.wait.handle()).unwrap();
    drop(started);
    let handle: ResumeToken = serde_json::from_str(&stored).unwrap();
    let mut resumed = client.resume(&receiver, handle).unwrap();
    assert_eq!(resumed.event(HANG).unwrap().output_as::<String>().unwrap(), "d: n = 1");
    assert!(resumed.event(HANG).is_err(), "it is handed over once");

    let trigger = client.trigger_workflow("t", "v", SECRET, "https://replaced.example.com");
    assert!(trigger.run_and_wait(&receiver, HANG).unwrap().output().is_some());
    let refused = client.invoke_workflow("d").start(&Receiver::new(Verifier::new([SECRET]))).unwrap_err();
    assert!(refused.to_string().contains("`callback_url`"), "{refused}");
    assert_eq!(emulator.runs().len(), 2);
}

#[test]
fn a_handler_runs_once_for_an_event_and_may_call_the_client() {
    let servers = servers();
    let builder = Emulator::builder()
        .deployment(Deployment::workflow("d").webhook_secret(SECRET).output("made"))
        .fault(Fault::callback_bad_signature().first_attempts(1))
        .fault(Fault::callback_redeliver(2));
    let (emulator, client) = start(&servers, builder);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = url(listener.local_addr().unwrap());
    let receiver = Receiver::new(Verifier::new([SECRET])).guard(MemoryDedupStore::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (looks, handled, runs) = (client.clone(), Arc::clone(&seen), AtomicUsize::new(0));
    serve(listener, receiver, move |event| {
        // The first time it fails, so the event comes again.
        if runs.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err("the database is away".into());
        }
        let record = looks.requests().get(event.request_id.as_ref().ok_or("no id")?).send()?;
        handled.lock().unwrap().push((record.into_value().request_id, event.output_as::<String>()?));
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

/// A body that must not be read.
struct Unread;

impl Read for Unread {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("it was read")
    }
}

/// A body that breaks off.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(IoError::other("gone"))
    }
}

#[test]
fn deliveries_are_judged_as_by_the_async_receiver() {
    let receiver = Receiver::new(Verifier::new([SECRET])).max_body_bytes(200);
    let never = |event: Received| -> Result<(), IoError> { panic!("the handler ran for {event:?}") };
    let status = |request: Request<_>| receiver.receive_bytes_blocking(request, never).unwrap().status().as_u16();
    let good = || signed_request(SECRET, DONE);
    assert_eq!(status(signed_request("whsec_other", DONE)), 401);
    assert_eq!(status(signed_request(SECRET, "no event")), 400);
    assert_eq!(status(signed_request(SECRET, "x".repeat(201))), 413);
    let mut get = good();
    *get.method_mut() = Method::GET;
    assert_eq!(status(get), 405);
    let taken = receiver.receive_bytes_blocking(good(), |event| {
        assert_eq!((event.raw.as_ref(), event.output()), (DONE.as_bytes(), Some(&json!(1))));
        Ok::<_, IoError>(())
    });
    assert_eq!(taken.unwrap().status(), 200);
    let failing = receiver.receive_bytes_blocking(good(), |_| Err(IoError::other("no")));
    assert_eq!(failing.unwrap().status(), 500);

    // A body without an end is read no further than the limit, and one that is announced as larger not at all.
    let endless = good().map(|_| std::io::repeat(b'x'));
    assert_eq!(receiver.receive_blocking(endless, never).unwrap().status(), 413);
    let mut announced = good().map(|_| Unread);
    announced.headers_mut().insert("content-length", 201.into());
    assert_eq!(receiver.receive_blocking(announced, never).unwrap().status(), 413);
    assert_eq!(receiver.receive_blocking(good().map(|_| Broken), never).unwrap().status(), 400);
}

#[test]
fn an_async_task_is_refused_and_nothing_is_sent_or_handled() {
    let servers = servers();
    let (emulator, client) = start(&servers, Emulator::builder());
    let receiver = Receiver::new(Verifier::new([SECRET])).callback_url("http://127.0.0.1:1/callbacks");
    servers.block_on(async {
        let never = |event: Received| -> Result<(), IoError> { panic!("the handler ran for {event:?}") };
        let refused = receiver.receive_bytes_blocking(signed_request(SECRET, DONE), never).unwrap_err();
        assert!(refused.to_string().contains("async task"), "{refused}");
        for refused in [
            client.requests().wait("req_1").send().unwrap_err(),
            client.invoke_workflow("d").run_and_wait(&receiver, HANG).unwrap_err(),
            client.invoke_workflow("d").start(&receiver).unwrap_err(),
        ] {
            assert!(refused.to_string().contains("async task") && !refused.may_have_run(), "{refused}");
        }
    });
    assert_eq!(emulator.requests().len(), 0);
}

#[test]
fn a_run_is_looked_up_until_it_ends_or_the_deadline() {
    let record = |status: &str| {
        let body = json!({"request_id": "req_1", "status": status, "data": {"output": "done"}});
        Step::respond("200 OK", "content-type: application/json\r\n", body.to_string())
    };
    let servers = servers();
    let looking = |steps: Vec<Step>| {
        let script = steps.into_iter().flat_map(|step| [Step::Read, step]).collect();
        let server = servers.block_on(Scripted::start(vec![script])).unwrap();
        let builder = Client::builder().api_key("fhk_test").base_url(server.base_url());
        (server, builder.retry(RetryPolicy::never()).build().unwrap())
    };
    let short = Duration::from_millis(2);
    let busy = Step::respond("503 Service Unavailable", "", "<html>busy</html>");
    let (server, client) =
        looking(vec![record("queued"), busy, record("running"), record("awaiting_approval"), record("completed")]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let statuses = Arc::clone(&seen);
    let wait = || client.requests().wait("req_1").interval(short, short);
    let wait_to_approval = wait().until_approval().on_progress(move |record| {
        statuses.lock().unwrap().push(record.status.as_ref().unwrap().as_str().to_owned());
    });
    assert!(wait_to_approval.send().unwrap().is_awaiting_approval());
    assert_eq!(*seen.lock().unwrap(), ["queued", "running", "awaiting_approval"]);
    assert_eq!(wait().send().unwrap().to_run().into_output().unwrap(), "done");
    assert_eq!(server.requests().len(), 5);

    let (_server, client) = looking(vec![record("running"); 500]);
    let wait = client.requests().wait("req_1").interval(short, short * 5).timeout(Duration::from_millis(100));
    let error = wait.send().unwrap_err();
    assert!(error.to_string().contains("running"), "{error}");
    assert_eq!(error.request_id(), Some(RequestId::from("req_1")));
}
