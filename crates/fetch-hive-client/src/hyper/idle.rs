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
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

/// Whether a connection waits for its next request. HTTP/1.1 only: an HTTP/2 connection carries several at a time.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<AtomicBool>);

impl Idle {
    /// Ends the idle time with a write; refused if the peer has ended the connection, or has said anything that nobody asked for.
    pub(super) fn end(&self, stream: &MaybeHttpsStream<TokioIo<TcpStream>>) -> io::Result<()> {
        if !self.0.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        // The TLS of a proxy hides the socket; its connections are taken as they are.
        let MaybeHttpsStream::Http(stream) = stream else { return Ok(()) };
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(stream.inner()).peek(&mut byte) {
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

/// A response's body that says when its connection is idle again.
pub(crate) struct Tracked {
    body: Incoming,
    idle: Option<Idle>,
}

impl Tracked {
    pub(super) fn new(response: http::Response<Incoming>) -> http::Response<Self> {
        let (parts, body) = response.into_parts();
        let idle = parts.extensions.get::<Idle>().filter(|_| parts.version != Version::HTTP_2).cloned();
        let mut tracked = Self { body, idle };
        tracked.look();
        http::Response::from_parts(parts, tracked)
    }

    fn look(&mut self) {
        if self.body.is_end_stream() {
            self.rest();
        }
    }

    fn rest(&mut self) {
        if let Some(idle) = self.idle.take() {
            idle.0.store(true, Ordering::Release);
        }
    }
}

impl Drop for Tracked {
    /// A stream's reader leaves at `[DONE]`, before the end of the body. If hyper can read that end, it keeps the connection; else it
    /// closes it, and nothing is written to it again.
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
