use std::fmt;
use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::blocking::BlockingTransport;
use fetch_hive_client::{ResponseBody, Transport, TransportError};
use http::{Request, Response};
use http_body::{Body, Frame};
use tokio::sync::{mpsc, oneshot};

type TextChunk = Result<Frame<Bytes>, TransportError>;

/// Sends by a transport that blocks, such as ureq, on a thread for each request. It needs no runtime; of tokio it has the channels.
///
/// A thread cannot be ended from outside: when a call is dropped, its thread goes on until something comes, or one of its limits runs out.
pub struct OnThread<T>(Arc<T>);

impl<T: BlockingTransport> OnThread<T> {
    /// A transport over a blocking one.
    pub fn new(transport: T) -> Self {
        Self(Arc::new(transport))
    }
}

#[async_trait]
impl<T: BlockingTransport> Transport for OnThread<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        let (transport, (head, came), (pieces, coming)) = (Arc::clone(&self.0), oneshot::channel(), mpsc::channel(1));
        std::thread::spawn(move || match transport.send(request).map(Response::into_parts) {
            Err(error) => drop(head.send(Err(error))),
            Ok((parts, body)) => {
                if head.send(Ok(parts)).is_ok() {
                    hand_over(body, &pieces);
                }
            }
        });
        let parts = came.await.map_err(TransportError::may_have_run)??;
        Ok(Response::from_parts(parts, ResponseBody::streaming(Pieces(coming))))
    }
}

fn hand_over(mut body: Box<dyn Read + Send>, pieces: &mpsc::Sender<TextChunk>) {
    let mut piece = vec![0; 16 << 10];
    loop {
        let read = body.read(&mut piece).map(|length| Bytes::copy_from_slice(&piece[..length]));
        let over = !matches!(&read, Ok(piece) if !piece.is_empty());
        let read = read.map(Frame::data).map_err(|error| error.downcast().unwrap_or_else(TransportError::may_have_run));
        if pieces.blocking_send(read).is_err() || over {
            return;
        }
    }
}

struct Pieces(mpsc::Receiver<TextChunk>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TextChunk>> {
        self.0.poll_recv(cx)
    }
}

impl<T> fmt::Debug for OnThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnThread").finish_non_exhaustive()
    }
}
