//! Checks of response bodies.

use bytes::Bytes;
use http::Request;

use crate::conformance::harness::{CheckResult, Harness, expect, get, pattern, server_error};
use crate::conformance::server::{After, Server};
use crate::conformance::wait::Signal;

/// The text "unpacked", compressed with gzip.
const GZIPPED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x2b, 0xcd, 0x2b, 0x48, 0x4c, 0xce, 0x4e, 0x4d, 0x01,
    0x00, 0x96, 0x62, 0x2f, 0xca, 0x08, 0x00, 0x00, 0x00,
];

pub(super) async fn headers_first(harness: &Harness) -> CheckResult {
    let (head_returned, timed_out) = (Signal::default(), Signal::default());
    let (head_seen, gave_up, step_timeout) = (head_returned.clone(), timed_out.clone(), harness.step_timeout);
    let server = Server::start(move |_, connection| {
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")?;
        if !head_seen.wait(step_timeout) {
            gave_up.set();
        }
        connection.write("later")?;
        Ok(After::KeepAlive)
    })
    .map_err(server_error)?;
    let response = harness.respond(get(&server.url("/"))?).await?;
    if timed_out.is_set() {
        return Err("the head was returned after the body had arrived".to_owned());
    }
    head_returned.set();
    expect("the body", &harness.read(response.into_body()).await?, &b"later".to_vec())
}

pub(super) async fn streaming(harness: &Harness) -> CheckResult {
    let (chunk_returned, timed_out) = (Signal::default(), Signal::default());
    let (chunk_seen, gave_up, step_timeout) = (chunk_returned.clone(), timed_out.clone(), harness.step_timeout);
    let server = Server::start(move |_, connection| {
        connection.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
        connection.write_chunk("data: 1\n\n")?;
        if !chunk_seen.wait(step_timeout) {
            gave_up.set();
        }
        connection.write_chunk("data: 2\n\n")?;
        connection.write_chunk("")?;
        Ok(After::KeepAlive)
    })
    .map_err(server_error)?;
    let mut body = harness.respond(get(&server.url("/"))?).await?.into_body();
    let mut first = Vec::new();
    while first.len() < 9 {
        let Some(chunk) = harness.chunk(&mut body).await? else { return Err("the body ended early".to_owned()) };
        first.extend_from_slice(&chunk);
    }
    if timed_out.is_set() || first.len() > 9 {
        return Err("the first chunk was returned after the second had arrived".to_owned());
    }
    chunk_returned.set();
    expect("the second chunk", &harness.read(body).await?, &b"data: 2\n\n".to_vec())
}

pub(super) async fn large_body(harness: &Harness) -> CheckResult {
    let want = pattern(9_000_001);
    let bytes = want.clone();
    let server = Server::start(move |request, connection| match request.target.as_str() {
        "/content-length" => connection.respond("200 OK", "", &bytes),
        "/chunked" => {
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
            bytes.chunks(65_521).try_for_each(|chunk| connection.write_chunk(chunk))?;
            connection.write_chunk("")?;
            Ok(After::KeepAlive)
        }
        _ => {
            connection.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")?;
            connection.write(&bytes)?;
            Ok(After::Close)
        }
    })
    .map_err(server_error)?;
    for target in ["/content-length", "/chunked", "/until-close"] {
        let body = harness.respond(get(&server.url(target))?).await?.into_body();
        let got = harness.read(body).await?;
        if got != want {
            return Err(format!("{} of {} bytes arrived, or they were changed ({target})", got.len(), want.len()));
        }
    }
    Ok(())
}

pub(super) async fn truncated_body(harness: &Harness) -> CheckResult {
    let server = Server::start(|request, connection| {
        connection.write(match request.target.as_str() {
            "/content-length" => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":",
            _ => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n",
        })?;
        Ok(After::Close)
    })
    .map_err(server_error)?;
    for target in ["/content-length", "/chunked"] {
        let error = harness.fail(get(&server.url(target))?).await.map_err(|error| format!("at {target}: {error}"))?;
        expect("whether the request is reported as not sent", &error.is_not_sent(), &false)?;
    }
    Ok(())
}

pub(super) async fn empty_body(harness: &Harness) -> CheckResult {
    let server = Server::start(|request, connection| match request.target.as_str() {
        "/204" => connection.write("HTTP/1.1 204 No Content\r\n\r\n").map(|()| After::KeepAlive),
        "/304" => connection.write("HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n").map(|()| After::KeepAlive),
        "/200" => connection.respond("200 OK", "", ""),
        "/chunked" => {
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")?;
            Ok(After::KeepAlive)
        }
        _ => connection.respond("200 OK", "", "next"),
    })
    .map_err(server_error)?;
    for (target, status) in [("/204", 204), ("/304", 304), ("/200", 200), ("/chunked", 200)] {
        let at = |error: String| format!("at {target}: {error}");
        let request = Request::delete(server.url(target)).body(Bytes::new()).map_err(|error| error.to_string())?;
        let response = harness.respond(request).await.map_err(at)?;
        expect("the status", &response.status().as_u16(), &status).map_err(at)?;
        expect("the body", &harness.read(response.into_body()).await.map_err(at)?, &Vec::new()).map_err(at)?;
        let next = harness.respond(get(&server.url("/next"))?).await.map_err(at)?;
        let body = harness.read(next.into_body()).await.map_err(at)?;
        expect("the body of the next response", &body, &b"next".to_vec()).map_err(at)?;
    }
    Ok(())
}

pub(super) async fn encoding(harness: &Harness) -> CheckResult {
    let server = Server::start(|request, connection| {
        if request.target == "/empty" {
            return connection.respond("200 OK", "content-encoding: gzip\r\n", "");
        }
        if request.header("accept-encoding").iter().any(|value| value.contains("gzip")) {
            return connection.respond("200 OK", "content-encoding: gzip\r\n", GZIPPED);
        }
        connection.respond("200 OK", "", "unpacked")
    })
    .map_err(server_error)?;
    let response = harness.respond(get(&server.url("/"))?).await?;
    let has_encoding = response.headers().contains_key("content-encoding");
    let body = harness.read(response.into_body()).await?;
    expect("the body", &String::from_utf8_lossy(&body).as_ref(), &"unpacked")?;
    expect("whether the header content-encoding is present", &has_encoding, &false)?;
    // Some servers announce an encoding and send nothing, for example after a DELETE.
    let request = Request::delete(server.url("/empty")).body(Bytes::new()).map_err(|error| error.to_string())?;
    let response = harness.respond(request).await?;
    expect("the empty body", &harness.read(response.into_body()).await?, &Vec::new())
}
