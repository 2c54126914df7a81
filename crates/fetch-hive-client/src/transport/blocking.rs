use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};

use super::Transport;
use super::body::ResponseBody;
use crate::error::TransportError;

/// The largest number of bytes read from a body at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// An HTTP stack that blocks, as the blocking client sees it.
///
/// # Contract
///
/// That of [`Transport`], but for what dropping does: nothing can end a call that blocks, so it keeps the
/// [`Timeouts`](crate::Timeouts) in the request's extensions itself, each of which may be none:
///
/// | limit | for | ends as [`TransportError::timeout`] with |
/// |---|---|---|
/// | `connect` | name lookup, TCP and TLS | [`Timeout::Connect`](crate::Timeout::Connect): nothing was sent |
/// | `headers` | from `send` until the head is in | [`Timeout::Headers`](crate::Timeout::Headers) |
/// | `idle` | each piece of the body, and not the time before the head: a run sends nothing until it ends | [`Timeout::Idle`](crate::Timeout::Idle) |
/// | `deadline` | from `send` to the end of the body, whoever reads it when | [`Timeout::Deadline`](crate::Timeout::Deadline); while connecting, `Timeout::Connect` |
///
/// Where a stack has one time-out for several of them, tell the one that was the nearest.
///
/// It returns as soon as the head of the response is in; the body is read when the client reads. `read` returns what has come, and does not wait
/// until its buffer is full. An error of `read` that wraps a [`TransportError`] stays what it is; any other one is
/// [`TransportError::may_have_run`]. Dropping the body gives the connection up.
///
/// The feature `conformance` checks one with `Suite::blocking`. The page `transport` of the guide has one to begin with.
pub trait BlockingTransport: Send + Sync + 'static {
    /// Sends one request.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when there is no response; its kind says whether the request may have been processed.
    fn send(&self, request: Request<Bytes>) -> Result<Response<Box<dyn Read + Send>>, TransportError>;
}

/// A blocking transport as an async one, whose futures block the thread that polls them.
pub(crate) struct Blocks<T>(pub(crate) T);

#[async_trait]
impl<T: BlockingTransport> Transport for Blocks<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        Ok(self.0.send(request)?.map(|body| ResponseBody::streaming(ReadBody(Some(body)))))
    }
}

struct ReadBody(Option<Box<dyn Read + Send>>);

impl Body for ReadBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = loop {
            match body.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        Poll::Ready(match read {
            Ok(0) => {
                self.0 = None;
                None
            }
            Ok(length) => {
                chunk.truncate(length);
                Some(Ok(Frame::data(chunk.into())))
            }
            Err(error) => {
                self.0 = None;
                Some(Err(error.downcast().unwrap_or_else(TransportError::may_have_run)))
            }
        })
    }
}
