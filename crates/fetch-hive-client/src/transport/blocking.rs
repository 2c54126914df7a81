use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_core::RequestBody;
use http::{Request, Response};
use http_body::{Body, Frame};

use super::Transport;
use super::body::ResponseBody;
use crate::error::TransportError;

/// The largest number of bytes read from a body at a time.
const CHUNK_BYTES: usize = 16 << 10;

/// An HTTP stack that blocks, for the blocking client.
///
/// # Contract
///
/// The contract is that of [`Transport`](crate::Transport), except for cancellation. A blocking
/// call cannot be cancelled by dropping, so the transport enforces the
/// [`Timeouts`](crate::Timeouts) in the extensions of the request. Each of them may be absent.
///
/// - `connect` applies to name lookup, TCP and TLS. It ends with
///   [`Timeout::Connect`](crate::Timeout::Connect), and nothing was sent.
/// - `headers` applies to the time from `send` until the head of the response is received. It ends
///   with [`Timeout::Headers`](crate::Timeout::Headers).
/// - `idle` applies to each chunk of the body, but not to the time before the head, because a run
///   sends nothing until it ends. It ends with [`Timeout::Idle`](crate::Timeout::Idle).
/// - `deadline` applies to the time from `send` to the end of the body, however slowly it is read.
///   It ends with [`Timeout::Deadline`](crate::Timeout::Deadline), or with `Timeout::Connect` while
///   connecting.
///
/// If a stack has one timeout for several of these, report the one that was to elapse first.
///
/// `send` returns as soon as the head of the response is received, and the body is read when the
/// client reads it. `read` returns the bytes that are available, and does not wait until its buffer
/// is full. An error of `read` that wraps a [`TransportError`] is kept, and any other error is
/// converted to [`TransportError::may_have_run`]. Dropping the body closes the connection.
///
/// The conformance suite checks a blocking transport with `Suite::blocking`. The guide page about
/// transports contains one as a starting point.
pub trait BlockingTransport: Send + Sync + 'static {
    /// Sends one request, and returns when the head of its response is received.
    ///
    /// # Errors
    ///
    /// Returns a [`TransportError`] if there is no response. Its kind states whether the request
    /// may have been processed.
    fn send(&self, request: Request<RequestBody>) -> Result<Response<Box<dyn Read + Send>>, TransportError>;
}

/// A blocking transport as an async one, whose futures block the thread that polls them.
pub(crate) struct Blocks<T>(pub(crate) T);

#[async_trait]
impl<T: BlockingTransport> Transport for Blocks<T> {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
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
