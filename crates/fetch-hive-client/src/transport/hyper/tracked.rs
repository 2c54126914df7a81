use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::pool::Connection;

/// The body of a response, which returns its connection to the pool when it ends.
pub(in crate::transport) struct TrackedBody {
    body: Incoming,
    connection: Option<Connection>,
}

impl TrackedBody {
    pub(super) fn new(body: Incoming, connection: Connection) -> Self {
        let mut tracked = Self { body, connection: Some(connection) };
        tracked.return_if_ended();
        tracked
    }

    fn return_if_ended(&mut self) {
        if self.body.is_end_stream() {
            self.return_connection();
        }
    }

    fn return_connection(&mut self) {
        if let Some(Connection::Http1(connection)) = self.connection.take() {
            connection.return_to_pool();
        }
    }
}

impl Drop for TrackedBody {
    /// The reader of an event stream stops at `[DONE]`, before the end of the body.
    fn drop(&mut self) {
        self.return_connection();
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match polled {
            Poll::Ready(Some(Ok(_))) => self.return_if_ended(),
            // `is_end_stream` is not true at the end of a chunked body.
            Poll::Ready(None) => self.return_connection(),
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
