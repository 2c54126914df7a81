//! The client on smol, with its own transport and clock, and without tokio under the client.
//!
//! The program runs the conformance suite for the transport. Then it runs a workflow and streams an
//! agent, with an emulator in this process.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{Client, Clock, RequestBody, ResponseBody, Transport, TransportError};
use fetch_hive_emulator::Emulator;
use fetch_hive_testing::conformance::{Capability, Suite};
use http::header::{HOST, HeaderValue};
use http::{Request, Response, Uri};
use http_body::{Body, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use smol::Task;
use smol_hyper::rt::FuturesIo;

/// A transport that uses the HTTP/1.1 of hyper over a smol socket. It opens one connection per
/// request and does not support TLS.
struct SmolTransport;

#[async_trait]
impl Transport for SmolTransport {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let mut request = fetch_hive_client::buffer_request(request)?;
        let host = request.uri().host().unwrap_or_default().to_owned();
        let port = request.uri().port_u16().unwrap_or(80);
        let authority = request.uri().authority().map_or("", |authority| authority.as_str());
        let authority = HeaderValue::from_str(authority).map_err(TransportError::not_sent)?;
        request.headers_mut().insert(HOST, authority);
        let path = request.uri().path_and_query().cloned().map(Uri::from).unwrap_or_default();
        *request.uri_mut() = path;

        let stream = smol::net::TcpStream::connect((host, port)).await.map_err(TransportError::not_sent)?;
        let handshake = http1::handshake(FuturesIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(TransportError::not_sent)?;
        // Dropping the task closes the connection, so the response body keeps the task.
        let task = smol::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request.map(Full::new)).await.map_err(TransportError::may_have_run)?;
        Ok(response.map(|body| ResponseBody::streaming(TaskBody { body, _task: task })))
    }
}

struct TaskBody {
    body: Incoming,
    _task: Task<()>,
}

impl Body for TaskBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

struct SmolClock;

impl Clock for SmolClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            smol::Timer::after(duration).await;
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // The emulator needs tokio. The client does not.
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let emulator = servers.block_on(Emulator::start())?;

    smol::block_on(async {
        let report =
            Suite::new(SmolTransport).unsupported(Capability::ConnectTimeout, "it does not support https").run().await;
        println!("{report}\n");
        if !report.is_success() {
            return Err("the transport violates its contract".into());
        }

        let client = Client::builder()
            .api_key("fhk_example")
            .base_url(emulator.base_url())
            .transport(SmolTransport)
            .clock(SmolClock)
            .build()?;
        let run = client.invoke_workflow("weekly-report").input("topic", "enterprise AI").await?;
        println!("{}", run.output_as::<String>()?);
        let mut text = client.invoke_agent("researcher", "What is new?").stream().await?.text();
        while let Some(chunk) = text.next().await {
            print!("{}", chunk?);
        }
        println!();
        Ok(())
    })
}
