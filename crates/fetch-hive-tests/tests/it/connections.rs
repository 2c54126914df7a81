//! How connections are reused, and what happens when they end at the wrong time.

use std::sync::Arc;
use std::time::Duration;

use fetch_hive_client::{Client, HyperTransport, RetryPolicy};
use fetch_hive_emulator::Emulator;
use fetch_hive_tests::{Scripted, Step, stack};
use tokio::sync::Notify;

const DONE: &str = r#"{"request_id":"req_1","run_status":"completed","output":"done"}"#;

fn client(server: &Scripted) -> Client {
    stack::client(&server).api_key("fhk_test").build().unwrap()
}

fn answer() -> Step {
    Step::respond("200 OK", "", DONE)
}

#[tokio::test]
async fn a_connection_closed_between_calls_is_no_error() {
    fetch_hive_tests::needs!(Socket, IdleCheck);
    for closing in [Step::Close, Step::Reset] {
        let server = Scripted::start(vec![vec![Step::Read, answer(), closing]]).await.unwrap();
        let client = client(&server);
        for call in 1..=20 {
            let run = client.invoke_workflow("d").await.unwrap();
            assert_eq!(run.output_text(), Some("done"));
            // The end of the connection arrives; nobody need have looked at it yet.
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!((server.connections(), server.requests().len()), (call, call));
        }
    }
}

#[test]
fn a_connection_closed_while_the_runtime_was_not_running_is_no_error() {
    fetch_hive_tests::needs!(Socket, IdleCheck);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = servers.block_on(Scripted::start(vec![vec![Step::Read, answer(), Step::Close]])).unwrap();
    let client = client(&server);
    for call in 1..=20 {
        runtime.block_on(client.invoke_workflow("d").into_future()).unwrap();
        // No task of the client runs here, so its pool cannot have noticed the end of the connection.
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((server.connections(), server.requests().len()), (call, call));
    }
}

#[test]
fn a_connection_closed_after_a_chunked_reply_or_a_stream_is_no_error() {
    fetch_hive_tests::needs!(Socket, IdleCheck);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for (kind, body) in [("application/json", DONE), ("text/event-stream", "data: [DONE]\n\n")] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
        let chunked = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        let script = vec![Step::Read, Step::Write(chunked.into()), Step::Wait(Duration::from_millis(50)), Step::Close];
        let server = servers.block_on(Scripted::start(vec![script])).unwrap();
        let client = client(&server);
        for call in 1..=3 {
            runtime.block_on(async {
                if kind == "application/json" {
                    client.invoke_workflow("d").await.unwrap();
                } else {
                    let mut stream = client.invoke_prompt("d").stream().await.unwrap();
                    assert!(stream.next().await.is_none());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            });
            std::thread::sleep(Duration::from_millis(100));
            assert_eq!(server.requests().len(), call);
        }
    }
}

#[tokio::test]
async fn a_close_that_races_the_next_invoke_is_an_error_that_may_have_run() {
    fetch_hive_tests::needs!(Socket);
    // The second request on the connection is read, or a part of it, and then the connection is closed.
    for second in [Step::Read, Step::ReadSome(10)] {
        let script = vec![Step::Read, answer(), second, Step::Close];
        let server = Scripted::start(vec![script]).await.unwrap();
        let client = client(&server);
        client.invoke_workflow("d").await.unwrap();
        let error = client.invoke_workflow("d").await.unwrap_err();
        assert!(error.may_have_run() && !error.is_retryable(), "{error:?}");
        assert_eq!((error.attempts(), server.connections()), (1, 1));
    }
}

#[test]
fn trap_09_a_client_outlives_its_runtimes() {
    fetch_hive_tests::needs!(Hyper);
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Built outside of any runtime, and used from several that end; over HTTP/2 too.
    let client_of = |emulator: &Emulator| {
        let mut transport = HyperTransport::builder();
        if let Some(pem) = emulator.ca_pem() {
            transport = transport.add_root_certificates_pem(pem);
        }
        let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
        builder.transport(transport.build().unwrap()).build().unwrap()
    };
    let [plain, tls] = [false, true].map(|tls| servers.block_on(Emulator::builder().tls(tls).start()).unwrap());
    let [client, over_tls] = [client_of(&plain), client_of(&tls)];
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(client.invoke_workflow("d").into_future()).unwrap();
        runtime.block_on(over_tls.invoke_workflow("d").into_future()).unwrap();
    }
    // Without a runtime there is an error that says so, and no panic.
    let mut call = client.invoke_workflow("d").into_future();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = call.as_mut().poll(&mut context) else { panic!("nothing can be sent") };
    assert!(!error.may_have_run());
    assert!(format!("{:?}", error.kind()).contains("needs a tokio runtime"), "{error:?}");
}

#[tokio::test]
async fn dropping_a_call_closes_its_connection() {
    fetch_hive_tests::needs!(Socket, Drop);
    let emulator = Emulator::builder().fault(fetch_hive_emulator::Fault::hang()).start().await.unwrap();
    let client = stack::client(&emulator).api_key("fhk_test").build().unwrap();
    let call = tokio::spawn(client.invoke_workflow("d").into_future());
    while emulator.requests().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(emulator.connections().open, 1);
    call.abort();
    let closed = async {
        while emulator.connections().open > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), closed).await.unwrap();
}

#[test]
fn an_http2_connection_closed_while_the_runtime_was_not_running_is_no_error() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut emulator = servers.block_on(Emulator::builder().tls(true).start()).unwrap();
    let address = emulator.address();
    let transport = HyperTransport::builder().add_root_certificates_pem(emulator.ca_pem().unwrap()).build().unwrap();
    let client = Client::builder()
        .api_key("fhk_test")
        .base_url(emulator.base_url())
        .transport(transport)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    runtime.block_on(client.invoke_workflow("d").into_future()).unwrap();
    drop(emulator);
    std::thread::sleep(Duration::from_millis(20));
    emulator = servers.block_on(Emulator::builder().tls(true).listen(address).start()).unwrap();
    // Its authority is another one, so no connection can be made; but nothing is sent on the one that has ended.
    let error = runtime.block_on(client.invoke_workflow("d").into_future()).unwrap_err();
    assert!(!error.may_have_run(), "{error:?}");
    assert!(emulator.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_connects_leaves_no_task_and_no_connection() {
    let silent = || fetch_hive_emulator::Fault::silent_connection();
    let emulator = Emulator::builder().tls(true).fault(silent().nth(1)).fault(silent().nth(1)).start().await.unwrap();
    let transport = HyperTransport::builder().add_root_certificates_pem(emulator.ca_pem().unwrap()).build().unwrap();
    let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
    let client = builder.transport(transport).retry(RetryPolicy::never()).build().unwrap();
    let until = async |reached: &dyn Fn() -> bool| {
        let waiting = async {
            while !reached() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap();
    };
    let calls: Vec<_> = (0..2).map(|_| tokio::spawn(client.invoke_workflow("d").into_future())).collect();
    until(&|| emulator.connections().open == 1).await;
    // One call leaves, and the other goes on waiting; when both are gone, so is the connection.
    calls[0].abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((emulator.connections().open, calls[1].is_finished()), (1, false));
    calls[1].abort();
    until(&|| emulator.connections().open == 0).await;
    // The same with a limit that runs out, after which all is well again.
    let error = client.invoke_workflow("d").connect_timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.error_type(), "timeout_connect");
    until(&|| emulator.connections().open == 0).await;
    client.invoke_workflow("d").await.unwrap();
}

/// Waits until something is so, for five seconds of the machine's clock.
async fn until(reached: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if reached() {
            return;
        }
        // The clock of the runtime may stand still.
        std::thread::sleep(Duration::from_millis(5));
        tokio::task::yield_now().await;
    }
    panic!("it was never so");
}

/// Lets time pass on the clock of the runtime, which stands still, and what waits for it run.
async fn pass(time: Duration) {
    tokio::time::advance(time).await;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_connection_that_nobody_uses_is_closed_and_one_that_is_read_is_not() {
    fetch_hive_tests::needs!(Hyper);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for tls in [false, true] {
        let emulator = servers.block_on(Emulator::builder().tls(tls).start()).unwrap();
        let mut transport = HyperTransport::builder();
        if let Some(pem) = emulator.ca_pem() {
            transport = transport.add_root_certificates_pem(pem);
        }
        let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
        let client = builder.transport(transport.build().unwrap()).build().unwrap();
        let open = || emulator.connections().open;
        runtime.block_on(async {
            client.invoke_workflow("d").await.unwrap();
            let stream = client.invoke_prompt("d").stream().await.unwrap();
            tokio::time::pause();
            for _ in 0..5 {
                pass(Duration::from_secs(46)).await;
            }
            assert_eq!(open(), 1, "the one that the stream comes by");
            tokio::time::resume();
            drop(stream);
            client.invoke_workflow("d").await.unwrap();
            assert_eq!(open(), 1);
            tokio::time::pause();
            pass(Duration::from_secs(46)).await;
            assert_eq!(open(), 1, "used since the last look");
            pass(Duration::from_secs(46)).await;
            until(|| open() == 0).await;
            tokio::time::resume();
            client.invoke_workflow("d").await.unwrap();
        });
    }
}

/// A client whose connections are opened by a SOCKS proxy: connection n is made as soon as the script says so, and follows it.
async fn through_socks(scripts: impl IntoIterator<Item = Vec<Step>>) -> (Scripted, Client) {
    let asked = [Step::ReadSome(3), Step::Write(vec![5, 0]), Step::ReadSome(10)];
    let scripts = scripts.into_iter().map(|script| [&asked[..], &script].concat()).collect();
    let proxy = Scripted::start(scripts).await.unwrap();
    let url = proxy.base_url().replace("http://", "socks5://").replace("/v1", "");
    let transport = HyperTransport::builder().proxy(url).build().unwrap();
    let builder = Client::builder().api_key("fhk_test").base_url("http://127.0.0.1:9/v1").transport(transport);
    (proxy, builder.retry(RetryPolicy::never()).build().unwrap())
}

fn made() -> Step {
    Step::Write(vec![5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
}

#[tokio::test]
async fn a_call_takes_a_connection_that_becomes_free_before_its_own_is_there() {
    fetch_hive_tests::needs!(Hyper);
    let go = Arc::new(Notify::new());
    let served = vec![made(), Step::Read, Step::Until(Arc::clone(&go)), answer(), Step::Read, answer()];
    let (proxy, client) = through_socks([served, vec![Step::Wait(Duration::from_secs(60))]]).await;
    let first = tokio::spawn(client.invoke_workflow("first").into_future());
    until(|| proxy.requests().len() == 1).await;
    let second = tokio::spawn(client.invoke_workflow("second").into_future());
    until(|| proxy.connections() == 2).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!second.is_finished());
    go.notify_one();
    let both = async { (first.await.unwrap().unwrap(), second.await.unwrap().unwrap()) };
    tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
    assert_eq!((proxy.connections(), proxy.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_connection_that_became_free_and_ended_before_the_call_was_polled_is_not_taken() {
    fetch_hive_tests::needs!(Hyper);
    let go = Arc::new(Notify::new());
    let served = vec![
        made(),
        Step::Read,
        Step::Until(Arc::clone(&go)),
        answer(),
        Step::Wait(Duration::from_millis(50)),
        Step::Close,
    ];
    let (proxy, client) = through_socks([served, vec![made(), Step::Read, answer()]]).await;
    let first = tokio::spawn(client.invoke_workflow("first").into_future());
    until(|| proxy.requests().len() == 1).await;
    // As in `select!`: it is polled, and then put aside for a while.
    let mut second = client.invoke_workflow("second").into_future();
    for _ in 0..2 {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(second.as_mut().poll(&mut context).is_pending());
    }
    go.notify_one();
    first.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    second.await.unwrap();
    assert_eq!((proxy.connections(), proxy.requests().len()), (2, 2));
}

#[test]
fn a_connection_that_was_opened_and_not_needed_is_looked_at_before_its_first_request() {
    fetch_hive_tests::needs!(Hyper);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let [go, then] = [Arc::new(Notify::new()), Arc::new(Notify::new())];
    let served = vec![made(), Step::Read, Step::Until(Arc::clone(&go)), answer(), Step::Read, answer(), Step::Close];
    let spare = vec![Step::Until(Arc::clone(&then)), made(), Step::Wait(Duration::from_millis(200)), Step::Close];
    let (proxy, client) = servers.block_on(through_socks([served, spare, vec![made(), Step::Read, answer()]]));
    runtime.block_on(async {
        let first = tokio::spawn(client.invoke_workflow("first").into_future());
        until(|| proxy.requests().len() == 1).await;
        let second = tokio::spawn(client.invoke_workflow("second").into_future());
        until(|| proxy.connections() == 2).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        go.notify_one();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        then.notify_one();
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    // The connection ends while nothing of the client runs.
    std::thread::sleep(Duration::from_millis(300));
    let error = runtime.block_on(client.invoke_workflow("third").into_future()).unwrap_err();
    assert!(!error.may_have_run(), "{error:?}");
    runtime.block_on(client.invoke_workflow("third").into_future()).unwrap();
}

#[test]
fn a_runtime_uses_no_connection_that_another_one_drives() {
    fetch_hive_tests::needs!(Hyper);
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for tls in [false, true] {
        let emulator = servers.block_on(Emulator::builder().tls(tls).start()).unwrap();
        let mut transport = HyperTransport::builder();
        if let Some(pem) = emulator.ca_pem() {
            transport = transport.add_root_certificates_pem(pem);
        }
        let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
        let client = builder.transport(transport.build().unwrap()).build().unwrap();
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let [still, running] = [runtime(), runtime()];
        still.block_on(client.invoke_workflow("d").into_future()).unwrap();
        // The first one is there, and does nothing.
        let call =
            async { tokio::time::timeout(Duration::from_secs(5), client.invoke_workflow("d").into_future()).await };
        running.block_on(call).unwrap().unwrap();
        assert_eq!(emulator.connections().open, 2);
        drop(still);
        running.block_on(client.invoke_workflow("d").into_future()).unwrap();
        assert_eq!(emulator.connections().accepted, 2);
    }
}

#[tokio::test]
async fn how_many_headers_a_reply_may_have_is_a_setting() {
    fetch_hive_tests::needs!(Hyper);
    let headers = "x-many: 1\r\n".repeat(150);
    let server = Scripted::start(vec![vec![Step::Read, Step::respond("200 OK", &headers, DONE)]]).await.unwrap();
    let client = |transport: fetch_hive_client::HyperTransportBuilder| {
        let builder = Client::builder().api_key("fhk_test").base_url(server.base_url());
        builder.transport(transport.build().unwrap()).build().unwrap()
    };
    let error = client(HyperTransport::builder()).invoke_workflow("d").await.unwrap_err();
    assert!(error.may_have_run() && format!("{error:?}").contains("max_headers"), "{error:?}");
    let more = HyperTransport::builder().max_headers(160);
    let run = client(more).invoke_workflow("d").await.unwrap();
    assert_eq!(run.headers().get_all("x-many").iter().count(), 150);
    assert!(HyperTransport::builder().max_headers(0).build().is_err());
}

#[test]
fn a_connection_that_rested_too_long_is_not_used_even_if_nothing_ran_meanwhile() {
    fetch_hive_tests::needs!(Hyper);
    assert!(HyperTransport::builder().pool_idle_timeout(Duration::ZERO).build().is_err());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    for tls in [false, true] {
        let emulator = servers.block_on(Emulator::builder().tls(tls).start()).unwrap();
        for (kept, connections) in [(Duration::from_millis(200), 2), (Duration::from_secs(90), 1)] {
            let before = emulator.connections().accepted;
            let mut transport = HyperTransport::builder().pool_idle_timeout(kept);
            if let Some(pem) = emulator.ca_pem() {
                transport = transport.add_root_certificates_pem(pem);
            }
            let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url());
            let client = builder.transport(transport.build().unwrap()).build().unwrap();
            runtime.block_on(client.invoke_workflow("d").into_future()).unwrap();
            std::thread::sleep(Duration::from_millis(250));
            runtime.block_on(client.invoke_workflow("d").into_future()).unwrap();
            assert_eq!(emulator.connections().accepted - before, connections, "{tls} {kept:?}");
        }
    }
}
