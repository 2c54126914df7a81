//! The server that every client calls. It is a separate process, so that its CPU time is not
//! measured.
//!
//! - `POST /v1/workflow/invoke`: returns a completed run.
//! - `POST /v1/prompt/invoke`: sends one event and keeps the stream open, to measure its memory.
//! - `POST /v1/agent/invoke`: sends an event with the current time every millisecond, to measure
//!   latency.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_bench::monotonic;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::{Interval, MissedTickBehavior};

const RUN: &str = r#"{"request_id":"req_0123456789abcdef0123","run_status":"completed","output":"Enterprise AI moved from pilots to production this quarter; three of the five largest vendors changed their prices, and two of them announced that agents are now generally available."}"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    fetch_hive_bench::raise_open_files();
    let listener = tokio::net::TcpSocket::new_v4()?;
    listener.bind(([127, 0, 0, 1], 0).into())?;
    let listener = listener.listen(16_384)?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            // Clients disconnect in the middle of a stream, which is not an error here.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(respond))
                .await;
        });
    }
}

async fn respond(request: Request<Incoming>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let (parts, body) = request.into_parts();
    let _ = body.collect().await;
    let (content_type, body) = match parts.uri.path() {
        "/v1/workflow/invoke" => ("application/json", Full::from(RUN).boxed()),
        "/v1/prompt/invoke" => ("text/event-stream", OpenStream { sent: false }.boxed()),
        _ => {
            let mut ticks = tokio::time::interval(Duration::from_millis(1));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ("text/event-stream", Timestamps { ticks }.boxed())
        }
    };
    let mut response = Response::new(body);
    response.headers_mut().insert("content-type", HeaderValue::from_static(content_type));
    response.headers_mut().insert("x-request-id", HeaderValue::from_static("3f0c2b9e-6a0e-4c58-9d3e-0d6f2f6f3a11"));
    response.headers_mut().insert("cache-control", HeaderValue::from_static("max-age=0, private, must-revalidate"));
    Ok(response)
}

fn event(text: &str) -> Frame<Bytes> {
    let frame = format!("data: {{\"type\":\"response\",\"response\":\"{text}\",\"model\":\"gpt-4.1-mini\"}}\n\n");
    Frame::data(frame.into())
}

struct OpenStream {
    sent: bool,
}

impl Body for OpenStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::replace(&mut self.sent, true) { Poll::Pending } else { Poll::Ready(Some(Ok(event("The")))) }
    }
}

struct Timestamps {
    ticks: Interval,
}

impl Body for Timestamps {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.ticks.poll_tick(cx));
        Poll::Ready(Some(Ok(event(&monotonic().as_nanos().to_string()))))
    }
}
