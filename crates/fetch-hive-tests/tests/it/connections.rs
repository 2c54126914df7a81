//! Reuse of connections, and connections that close at the wrong time.

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
async fn connection_closed_between_calls_is_replaced() {
    fetch_hive_tests::needs!(Socket, IdleCheck);
    for closing in [Step::Close, Step::Reset] {
        let server = Scripted::start(vec![vec![Step::Read, answer(), closing]]).await.unwrap();
        let client = client(&server);
        for call in 1..=20 {
            let run = client.invoke_workflow("d").await.unwrap();
            assert_eq!(run.output_text(), Some("done"));
            // The connection is closed before the client looks at it.
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!((server.connections(), server.requests().len()), (call, call));
        }
    }
}

#[test]
fn connection_closed_while_the_runtime_was_blocked_is_replaced() {
    fetch_hive_tests::needs!(Socket, IdleCheck);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = servers.block_on(Scripted::start(vec![vec![Step::Read, answer(), Step::Close]])).unwrap();
    let client = client(&server);
    for call in 1..=20 {
        runtime.block_on(client.invoke_workflow("d").into_future()).unwrap();
        // No task of the client runs here, so its pool cannot have noticed that the connection
        // closed.
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((server.connections(), server.requests().len()), (call, call));
    }
}

#[test]
fn connection_closed_after_a_chunked_response_is_replaced() {
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
async fn close_during_an_invoke_may_have_run() {
    fetch_hive_tests::needs!(Socket);
    // The server reads the second request on the connection, or a part of it, and closes it.
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
fn client_outlives_its_runtimes() {
    fetch_hive_tests::needs!(Hyper);
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Built outside of any runtime, and used on several runtimes that end, also over HTTP/2.
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
    // Without a runtime, the call returns an error and does not panic.
    let mut call = client.invoke_workflow("d").into_future();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(Err(error)) = call.as_mut().poll(&mut context) else { panic!("nothing can be sent") };
    assert!(!error.may_have_run());
    assert!(format!("{:?}", error.kind()).contains("needs a tokio runtime"), "{error:?}");
}

#[tokio::test]
async fn dropped_call_closes_its_connection() {
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
fn http2_connection_closed_while_the_runtime_was_blocked_is_replaced() {
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
    // No new connection can be opened, because the certificate authority is unknown. Nothing is
    // sent on the closed one.
    let error = runtime.block_on(client.invoke_workflow("d").into_future()).unwrap_err();
    assert!(!error.may_have_run(), "{error:?}");
    assert!(emulator.requests().is_empty());
}

#[tokio::test]
async fn call_dropped_while_connecting_leaves_nothing_behind() {
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
    // One call is dropped and the other waits. When both are gone, the connection is closed.
    calls[0].abort();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((emulator.connections().open, calls[1].is_finished()), (1, false));
    calls[1].abort();
    until(&|| emulator.connections().open == 0).await;
    // The same with an expired timeout. The next call succeeds.
    let error = client.invoke_workflow("d").connect_timeout(Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.error_type(), "timeout_connect");
    until(&|| emulator.connections().open == 0).await;
    client.invoke_workflow("d").await.unwrap();
}

/// Waits up to five seconds of real time until a condition holds.
async fn until(reached: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if reached() {
            return;
        }
        // The clock of the runtime may be paused.
        std::thread::sleep(Duration::from_millis(5));
        tokio::task::yield_now().await;
    }
    panic!("it was never so");
}

/// Advances the paused clock of the runtime and lets waiting tasks run.
async fn pass(time: Duration) {
    tokio::time::advance(time).await;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(1));
        tokio::task::yield_now().await;
    }
}

#[test]
fn only_idle_connections_are_closed() {
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

/// A client whose connections go through a SOCKS proxy, which opens connection n when the script
/// says so.
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
async fn returned_connection_is_used_before_a_new_one() {
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
async fn returned_connection_that_closed_is_not_used() {
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
    // The call is polled once and then ignored for a while, as `select!` does.
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
fn surplus_connection_is_checked_before_its_first_request() {
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
    // The connection closes while no task of the client runs.
    std::thread::sleep(Duration::from_millis(300));
    let third = runtime.block_on(client.invoke_workflow("third").into_future()).unwrap();
    assert_eq!((third.parts().attempts, proxy.connections(), proxy.requests().len()), (1, 3, 3));
}

#[test]
fn connections_are_not_shared_between_runtimes() {
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
        // The first connection is open and idle.
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
async fn number_of_response_headers_is_configurable() {
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
fn expired_idle_connection_is_not_used() {
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
