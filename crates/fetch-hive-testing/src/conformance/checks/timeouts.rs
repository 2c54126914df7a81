//! Checks of timeouts.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::{Timeout, Timeouts, TransportErrorKind};
use http::Request;

use crate::conformance::harness::{
    CheckResult, Harness, expect, expect_close, next_chunk, post, server_error, with_causes,
};
use crate::conformance::server::{After, Server};
use crate::conformance::wait::{Signal, timeout};

/// A timeout that must expire.
const SHORT: Duration = Duration::from_millis(300);

/// The timeout that must expire, the path of the request, and the setter.
type Case = (Timeout, &'static str, fn(&mut Timeouts));

fn with_timeouts(mut request: Request<Bytes>, set: impl FnOnce(&mut Timeouts)) -> Request<Bytes> {
    let mut timeouts = Timeouts::default();
    set(&mut timeouts);
    request.extensions_mut().insert(timeouts);
    request
}

pub(super) async fn connect_timeout(harness: &Harness) -> CheckResult {
    // The kernel accepts the connection, but nobody answers the TLS handshake.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(server_error)?;
    let address = silent.local_addr().map_err(server_error)?;
    let request = with_timeouts(post(&format!("https://{address}/"))?, |timeouts| timeouts.connect = Some(SHORT));
    let error = match timeout(harness.step_timeout, harness.send(request)).await {
        None => return Err("the request did not end when the timeout elapsed".to_owned()),
        Some(Ok(_)) => return Err("a response instead of an error".to_owned()),
        Some(Err(error)) => error,
    };
    drop(silent);
    expect("the error", &error.kind(), &TransportErrorKind::Timeout(Timeout::Connect))
}

pub(super) async fn own_timeouts(harness: &Harness) -> CheckResult {
    expiring_timeouts(harness).await?;
    idle_timeout_of_a_slow_response(harness).await
}

async fn expiring_timeouts(harness: &Harness) -> CheckResult {
    let step_timeout = harness.step_timeout;
    let closed = Signal::default();
    let has_closed = closed.clone();
    let server = Server::start(move |request, connection| {
        if request.target != "/no-head" {
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            connection.write_chunk("data: 1\n\n")?;
        }
        if request.target == "/slow-body" {
            // A deadline that is restarted with each chunk does not expire before this body ends.
            for _ in 0..12 {
                std::thread::sleep(SHORT / 3);
                connection.write_chunk(".")?;
            }
            connection.write_chunk("")?;
            return Ok(After::Close);
        }
        if connection.wait_for_close(step_timeout) {
            has_closed.set();
        }
        Ok(After::Close)
    })
    .map_err(server_error)?;
    let cases: [Case; 4] = [
        (Timeout::Headers, "/no-head", |timeouts| timeouts.headers = Some(SHORT)),
        (Timeout::Deadline, "/no-head", |timeouts| timeouts.deadline = Some(SHORT)),
        (Timeout::Deadline, "/stalled-body", |timeouts| timeouts.deadline = Some(SHORT)),
        (Timeout::Deadline, "/slow-body", |timeouts| timeouts.deadline = Some(SHORT)),
    ];
    let idle: Case = (Timeout::Idle, "/stalled-body", |timeouts| timeouts.idle = Some(SHORT));
    for (expected, target, set) in cases.into_iter().chain(harness.supports_streaming.then_some(idle)) {
        let request = with_timeouts(post(&server.url(target))?, set);
        let error = match timeout(step_timeout, harness.send_and_read(request)).await {
            None => return Err(format!("the {expected} timeout did not expire ({target})")),
            Some(Ok(_)) => return Err(format!("the response ended before the {expected} timeout ({target})")),
            Some(Err(error)) => error,
        };
        expect(&format!("the error at {target}"), &error.kind(), &TransportErrorKind::Timeout(expected))?;
    }
    expect_close(harness, &closed).await
}

/// The idle timeout covers the time between two chunks. It must not expire before the head arrives,
/// because a run sends nothing until it ends, or because the whole body takes longer.
async fn idle_timeout_of_a_slow_response(harness: &Harness) -> CheckResult {
    let slow = Server::start(|_, connection| {
        std::thread::sleep(SHORT * 2);
        connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
        for _ in 0..6 {
            std::thread::sleep(SHORT / 3);
            connection.write_chunk(".")?;
        }
        connection.write_chunk("")?;
        Ok(After::KeepAlive)
    })
    .map_err(server_error)?;
    let request = with_timeouts(post(&slow.url("/"))?, |timeouts| timeouts.idle = Some(SHORT));
    let response = harness.respond(request).await;
    let response = response.map_err(|error| format!("the idle timeout expired before the head: {error}"))?;
    let mut body = response.into_body();
    let mut length = 0;
    while let Some(chunk) =
        next_chunk(&mut body).await.map_err(|error| format!("a slow body failed: {}", with_causes(&error)))?
    {
        length += chunk.len();
    }
    expect("the length of a slow body", &length, &6)
}
