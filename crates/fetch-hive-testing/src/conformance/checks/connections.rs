//! Checks of connection failures and of dropped requests.

use std::net::{Ipv4Addr, TcpListener};
use std::task::Poll;
use std::time::Duration;

use fetch_hive_client::TransportErrorKind;

use crate::conformance::harness::{CheckResult, Harness, expect, expect_close, get, post, server_error, with_causes};
use crate::conformance::server::{After, Server};
use crate::conformance::wait::{Signal, sleep, timeout, wait_until};

pub(super) async fn connection_refused(harness: &Harness) -> CheckResult {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(server_error)?;
    let address = listener.local_addr().map_err(server_error)?;
    drop(listener);
    let error = harness.fail(post(&format!("http://{address}/"))?).await?;
    if error.is_not_sent() { Ok(()) } else { Err(with_causes(&error)) }
}

pub(super) async fn lost_response(harness: &Harness) -> CheckResult {
    let cases = [
        ("a reset", Server::resetting()),
        ("a close", Server::start(|_, _| Ok(After::Close))),
        (
            "a close within the head",
            Server::start(|_, connection| {
                connection.write("HTTP/1.1 200 OK\r\ncontent-")?;
                Ok(After::Close)
            }),
        ),
        (
            "a response that is not HTTP",
            Server::start(|_, connection| {
                connection.write("220 mail ESMTP\r\n")?;
                Ok(After::Close)
            }),
        ),
    ];
    for (case, server) in cases {
        let server = server.map_err(server_error)?;
        let error = harness.fail(post(&server.url("/"))?).await.map_err(|error| format!("after {case}: {error}"))?;
        if error.kind() != TransportErrorKind::MayHaveRun {
            return Err(format!("after {case}: {}", with_causes(&error)));
        }
    }
    Ok(())
}

pub(super) async fn retries(harness: &Harness) -> CheckResult {
    let closing = Server::start(|_, _| Ok(After::Close)).map_err(server_error)?;
    let busy = Server::start(|_, connection| connection.respond("503 Service Unavailable", "retry-after: 0\r\n", ""))
        .map_err(server_error)?;
    let closing_later = Server::start(|request, connection| match request.target.as_str() {
        "/first" => connection.respond("200 OK", "", ""),
        _ => Ok(After::Close),
    })
    .map_err(server_error)?;
    // A transport without connections may return a response where others return an error.
    let _ = timeout(harness.step_timeout, harness.send(post(&closing.url("/"))?)).await;
    harness.respond(get(&busy.url("/"))?).await?;
    let first = harness.respond(post(&closing_later.url("/first"))?).await?;
    harness.read(first.into_body()).await?;
    let _ = timeout(harness.step_timeout, harness.send(post(&closing_later.url("/second"))?)).await;
    // A retry in the background needs a moment to arrive.
    sleep(Duration::from_millis(100)).await;
    let cases = [
        ("closes the connection", &closing, 1),
        ("returns 503", &busy, 1),
        ("closes a reused connection", &closing_later, 2),
    ];
    for (case, server, want) in cases {
        expect(&format!("the number of requests to a server that {case}"), &server.requests().len(), &want)?;
    }
    Ok(())
}

pub(super) async fn drop_request(harness: &Harness) -> CheckResult {
    let (arrived, closed) = (Signal::default(), Signal::default());
    let (has_arrived, has_closed, step_timeout) = (arrived.clone(), closed.clone(), harness.step_timeout);
    let server = Server::start(move |_, connection| {
        has_arrived.set();
        if connection.wait_for_close(step_timeout) {
            has_closed.set();
        }
        Ok(After::Close)
    })
    .map_err(server_error)?;
    let mut sending = harness.send(post(&server.url("/"))?);
    let mut arriving = Box::pin(wait_until(step_timeout, || arrived.is_set()));
    let result = std::future::poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(Err(result.is_ok())),
        Poll::Pending => arriving.as_mut().poll(cx).map(Ok),
    });
    match result.await {
        Ok(true) => {}
        Ok(false) => return Err("the request did not arrive".to_owned()),
        Err(true) => return Err("the transport returned a response before the server sent one".to_owned()),
        Err(false) => return Err("the transport returned an error before the request was dropped".to_owned()),
    }
    drop(sending);
    expect_close(harness, &closed).await
}

pub(super) async fn drop_body(harness: &Harness) -> CheckResult {
    let closed = Signal::default();
    let (has_closed, step_timeout) = (closed.clone(), harness.step_timeout);
    let server = Server::start(move |_, connection| {
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        connection.write_chunk("data: 1\n\n")?;
        if connection.wait_for_close(step_timeout) {
            has_closed.set();
        }
        Ok(After::Close)
    })
    .map_err(server_error)?;
    drop(harness.respond(post(&server.url("/"))?).await?);
    expect_close(harness, &closed).await
}
