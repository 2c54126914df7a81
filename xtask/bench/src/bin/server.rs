//! The server that every client calls. It is a separate process, so that its CPU time is not
//! measured.
//!
//! It prints the URLs of four ports: plain HTTP/1.1, TLS with HTTP/2, TLS with HTTP/1.1, and TLS
//! with HTTP/2, at most 128 streams per connection and a delay of 1 s. Then it prints the path of
//! the certificate of the TLS ports, which is also its own root.
//!
//! - `POST /v1/workflow/invoke`: returns a completed run.
//! - `POST /v1/public/…`: reads a file and returns an asset.
//! - `POST /v1/prompt/invoke`: sends one event and keeps the stream open, to measure its memory.
//! - `POST /v1/agent/invoke`: sends an event with the current time every millisecond, to measure
//!   latency.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_bench::monotonic;
use http::{HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::time::{Interval, MissedTickBehavior};
use tokio_rustls::TlsAcceptor;

const ASSET: &str = r#"{"asset":{"id":"as_1"}}"#;
const RUN: &str = r#"{"request_id":"req_0123456789abcdef0123","run_status":"completed","output":"Enterprise AI moved from pilots to production this quarter; three of the five largest vendors changed their prices, and two of them announced that agents are now generally available."}"#;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The protocol of a port.
#[derive(Clone)]
enum Port {
    Plain,
    Tls { acceptor: TlsAcceptor, max_streams: Option<u32>, delay: Duration },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    fetch_hive_bench::raise_open_files();
    let key = rcgen::KeyPair::generate()?;
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
    let path = std::env::temp_dir().join(format!("fetch-hive-bench-{}.pem", std::process::id()));
    std::fs::write(&path, certificate.pem())?;
    let tls = |protocols: &[&[u8]]| -> Result<TlsAcceptor, BoxError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der())?;
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    };
    let delay = Duration::ZERO;
    let ports = [
        Port::Plain,
        Port::Tls { acceptor: tls(&[b"h2"])?, max_streams: None, delay },
        Port::Tls { acceptor: tls(&[b"http/1.1"])?, max_streams: None, delay },
        Port::Tls { acceptor: tls(&[b"h2"])?, max_streams: Some(128), delay: Duration::from_secs(1) },
    ];
    let mut urls = Vec::new();
    for port in ports {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(16_384)?;
        let number = listener.local_addr()?.port();
        urls.push(match port {
            Port::Plain => format!("http://127.0.0.1:{number}"),
            Port::Tls { .. } => format!("https://localhost:{number}"),
        });
        tokio::spawn(serve(listener, port));
    }
    println!("{} {}", urls.join(" "), path.display());
    std::future::pending().await
}

async fn serve(listener: TcpListener, port: Port) -> Result<(), BoxError> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let port = port.clone();
        // Clients disconnect in the middle of a stream, which is not an error here.
        tokio::spawn(async move {
            match port {
                Port::Plain => {
                    let service = service_fn(|request| respond(request, Duration::ZERO));
                    let mut server = http1::Builder::new();
                    let _ = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
                }
                Port::Tls { acceptor, max_streams, delay } => {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let service = service_fn(move |request| respond(request, delay));
                    if is_http2 {
                        let mut server = http2::Builder::new(TokioExecutor::new());
                        server.max_concurrent_streams(max_streams.or(Some(100_000))).max_header_list_size(1 << 16);
                        server.initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 24);
                        let _ = server.serve_connection(TokioIo::new(stream), service).await;
                    } else {
                        let mut server = http1::Builder::new();
                        let _ = server.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
                    }
                }
            }
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    delay: Duration,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let (parts, mut body) = request.into_parts();
    // The body is not kept, because it may be large.
    while let Some(Ok(_)) = body.frame().await {}
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let (content_type, body) = match parts.uri.path() {
        "/v1/workflow/invoke" => ("application/json", Full::from(RUN).boxed()),
        "/v1/prompt/invoke" => ("text/event-stream", OpenStream { sent: false }.boxed()),
        "/v1/agent/invoke" if parts.headers.contains_key("x-events") => {
            let left = parts.headers["x-events"].to_str().ok().and_then(|count| count.parse().ok()).unwrap_or_default();
            ("text/event-stream", ManyEvents { left }.boxed())
        }
        path if path.starts_with("/v1/public/") => ("application/json", Full::from(ASSET).boxed()),
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

/// A stream that sends each event in its own chunk, and waits for the next turn of the runtime
/// after each.
struct ManyEvents {
    left: u64,
}

impl Body for ManyEvents {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        if self.left == 0 {
            return Poll::Ready(Some(Ok(Frame::data("data: [DONE]\n\n".into()))));
        }
        if self.left % 2 == 1 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(event(" a word"))))
    }
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
