//! A last look at a connection before a request is written to it.
//!
//! The end of an idle connection may have arrived without any task having read it: the runtime was busy, or not running. A request
//! written to it would be lost, and nobody could tell whether it ran. So the first write after a response asks the socket itself.

use std::error::Error as StdError;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::{fmt, io};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::pool::Connection;

/// Whether a connection waits for its next request. HTTP/1.1 only: an HTTP/2 connection carries several at a time.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<AtomicBool>);

impl Idle {
    /// The next write is the first after a rest.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Ends the idle time with a write; refused if the peer has ended the connection, or has said anything that nobody asked for.
    pub(super) fn end(&self, socket: &TcpStream) -> io::Result<()> {
        if !self.0.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(socket).peek(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            _ => Err(io::Error::new(io::ErrorKind::NotConnected, Stale)),
        }
    }
}

/// The connection was over before anything of the request was written.
#[derive(Debug)]
struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server had closed the connection before the request was written")
    }
}

impl StdError for Stale {}

pub(super) fn is_stale(error: &(dyn StdError + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .is_some_and(<dyn StdError + Send + Sync>::is::<Stale>)
}

/// A response's body that gives its connection back.
pub(crate) struct Tracked {
    body: Incoming,
    connection: Option<Connection>,
}

impl Tracked {
    pub(super) fn new(body: Incoming, connection: Connection) -> Self {
        let mut tracked = Self { body, connection: Some(connection) };
        tracked.look();
        tracked
    }

    fn look(&mut self) {
        if self.body.is_end_stream() {
            self.rest();
        }
    }

    fn rest(&mut self) {
        if let Some(Connection::Http1(connection)) = self.connection.take() {
            connection.rest();
        }
    }
}

impl Drop for Tracked {
    /// A stream's reader leaves at `[DONE]`, before the end of the body.
    fn drop(&mut self) {
        self.rest();
    }
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match polled {
            Poll::Ready(Some(Ok(_))) => self.look(),
            // A chunked body does not say `is_end_stream` at its end.
            Poll::Ready(None) => self.rest(),
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
