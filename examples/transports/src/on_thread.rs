use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::blocking::BlockingTransport;
use fetch_hive_client::{RequestBody, ResponseBody, Timeouts, Transport, TransportError};
use http::{Request, Response};
use http_body::{Body, Frame};
use tokio::sync::{mpsc, oneshot};

type Chunk = Result<Frame<Bytes>, TransportError>;

/// A transport that runs a blocking transport, such as ureq, on one thread per request. It uses the
/// channels of tokio, but needs no runtime.
///
/// A thread cannot be cancelled. When a call is dropped, its thread continues until data arrives or
/// a timeout expires.
#[derive(Debug)]
pub struct OnThread<T>(Arc<T>);

impl<T: BlockingTransport> OnThread<T> {
    /// Creates a transport over a blocking one.
    pub fn new(transport: T) -> Self {
        Self(Arc::new(transport))
    }
}

#[async_trait]
impl<T: BlockingTransport> Transport for OnThread<T> {
    async fn send(&self, mut request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        // The thread ends first, because only its error states whether the request was sent.
        if let Some(Timeouts { deadline: Some(deadline), .. }) = request.extensions_mut().get_mut() {
            *deadline -= *deadline / 10;
        }
        let transport = Arc::clone(&self.0);
        let ((head_sender, head), (chunk_sender, chunks)) = (oneshot::channel(), mpsc::channel(1));
        std::thread::spawn(move || match transport.send(request).map(Response::into_parts) {
            Err(error) => drop(head_sender.send(Err(error))),
            Ok((parts, body)) => {
                if head_sender.send(Ok(parts)).is_ok() {
                    send_chunks(body, &chunk_sender);
                }
            }
        });
        let parts = head.await.map_err(TransportError::may_have_run)??;
        Ok(Response::from_parts(parts, ResponseBody::streaming(ChannelBody(chunks))))
    }
}

fn send_chunks(mut body: Box<dyn Read + Send>, sender: &mpsc::Sender<Chunk>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let read = body.read(&mut buffer).map(|length| Bytes::copy_from_slice(&buffer[..length]));
        let is_last = !matches!(&read, Ok(data) if !data.is_empty());
        let chunk =
            read.map(Frame::data).map_err(|error| error.downcast().unwrap_or_else(TransportError::may_have_run));
        if sender.blocking_send(chunk).is_err() || is_last {
            return;
        }
    }
}

struct ChannelBody(mpsc::Receiver<Chunk>);

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        self.0.poll_recv(cx)
    }
}
