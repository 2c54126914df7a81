use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use fetch_hive_bench::{KEY, Request, Run};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use tokio::io::AsyncReadExt as _;

use super::{BoxError, Caller, Row, config};

type HyperClient = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, BoxBody<Bytes, std::io::Error>>;

/// hyper-util's pooled client with hyper-rustls, without timeouts, retries, checks and gzip.
pub(super) struct Hyper {
    client: HyperClient,
    url: String,
}

impl Hyper {
    pub(super) fn new(url: &str, certificate: &std::path::Path) -> Result<Self, BoxError> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(config(certificate)?);
        let connector = connector.https_or_http().enable_all_versions().wrap_connector(tcp);
        let mut builder = hyper_util::client::legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).http2_initial_stream_window_size(1 << 20);
        builder.http2_initial_connection_window_size((1 << 31) - 1);
        Ok(Self { client: builder.build(connector), url: url.to_owned() })
    }

    async fn send(
        &self,
        path: &str,
        content_type: &str,
        headers: &[(&str, String)],
        body: BoxBody<Bytes, std::io::Error>,
    ) -> Result<http::Response<Incoming>, BoxError> {
        let mut request = http::Request::post(format!("{}{path}", self.url))
            .header("accept", "application/json")
            .header("user-agent", "fetch-hive-bench/0.1.0")
            .header("content-type", content_type)
            .header("authorization", format!("Bearer {KEY}"));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = self.client.request(request.body(body)?).await?;
        assert!(response.status().is_success(), "{}", response.status());
        Ok(response)
    }

    async fn invoke(&self, body: Vec<u8>) -> Result<(), BoxError> {
        let response = self.send("/v1/workflow/invoke", "application/json", &[], whole(body)).await?;
        let run: Run = serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?;
        assert!(!run.request_id.is_empty());
        Ok(())
    }
}

fn whole(body: Vec<u8>) -> BoxBody<Bytes, std::io::Error> {
    Full::from(body).map_err(|never| match never {}).boxed()
}

#[derive(Serialize)]
struct Invoke<T: Serialize> {
    deployment: &'static str,
    inputs: BTreeMap<&'static str, T>,
}

#[async_trait::async_trait]
impl Caller for Hyper {
    async fn call(&self) -> Result<(), BoxError> {
        self.invoke(serde_json::to_vec(&Request::new())?).await
    }

    async fn upload(&self, file: &str) -> Result<(), BoxError> {
        let (sender, chunks) = tokio::sync::mpsc::channel(1);
        let mut reader = tokio::fs::File::open(file).await?;
        let length = reader.metadata().await?.len();
        let (head, tail) = (
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_owned(),
            "\r\n--b--\r\n".to_owned(),
        );
        let remaining = length + (head.len() + tail.len()) as u64;
        tokio::spawn(async move {
            let _ = sender.send(Ok(Bytes::from(head))).await;
            loop {
                let mut chunk = Vec::with_capacity(256 << 10);
                match reader.read_buf(&mut chunk).await {
                    Ok(0) => break,
                    Ok(_) => drop(sender.send(Ok(Bytes::from(chunk))).await),
                    Err(error) => drop(sender.send(Err(error)).await),
                }
            }
            let _ = sender.send(Ok(Bytes::from(tail))).await;
        });
        let body = ChannelBody { chunks, remaining }.boxed();
        let path = "/v1/public/workspaces/ws_1/assets";
        let response = self.send(path, "multipart/form-data; boundary=b", &[], body).await?;
        response.into_body().collect().await?;
        Ok(())
    }

    async fn rows(&self, rows: Vec<Row>) -> Result<(), BoxError> {
        let inputs = BTreeMap::from([("rows", &rows)]);
        self.invoke(serde_json::to_vec(&Invoke { deployment: "weekly-report", inputs })?).await
    }

    async fn text(&self, text: String) -> Result<(), BoxError> {
        let inputs = BTreeMap::from([("text", text)]);
        self.invoke(serde_json::to_vec(&Invoke { deployment: "weekly-report", inputs })?).await
    }

    async fn open_stream(&self) -> Result<Box<dyn Send>, BoxError> {
        let body = whole(serde_json::to_vec(&Request::new())?);
        let mut response = self.send("/v1/prompt/invoke", "application/json", &[], body).await?;
        response.body_mut().frame().await.ok_or("no event")??;
        Ok(Box::new(response))
    }

    async fn events(&self, count: usize) -> Result<(), BoxError> {
        let body = whole(serde_json::to_vec(&Request::new())?);
        let events = [("x-events", (count * 2).to_string())];
        let mut response = self.send("/v1/agent/invoke", "application/json", &events, body).await?;
        let (mut seen, mut buffer) = (0, Vec::new());
        while let Some(frame) = response.body_mut().frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            buffer.extend_from_slice(&data);
            while let Some(end) = memchr::memmem::find(&buffer, b"\n\n") {
                let text = buffer[..end].strip_prefix(b"data: ").ok_or("no event")?;
                if text != b"[DONE]" {
                    let event: MinimalEvent<'_> = serde_json::from_slice(text)?;
                    assert!(!event.response.is_empty());
                }
                seen += 1;
                buffer.drain(..end + 2);
            }
        }
        assert!(seen + 2 >= count, "{seen} of {count} events");
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct MinimalEvent<'a> {
    #[serde(borrow)]
    response: std::borrow::Cow<'a, str>,
}

struct ChannelBody {
    chunks: tokio::sync::mpsc::Receiver<std::io::Result<Bytes>>,
    remaining: u64,
}

impl hyper::body::Body for ChannelBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        let chunk = std::task::ready!(self.chunks.poll_recv(cx));
        if let Some(Ok(chunk)) = &chunk {
            self.remaining -= chunk.len() as u64;
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}
