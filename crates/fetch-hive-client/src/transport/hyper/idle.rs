//! Checks an idle connection before a request is written to it.
//!
//! The peer may have closed an idle connection without any task having read that: the runtime was
//! busy or not running. A request written to such a connection would be lost, and nobody could tell
//! whether it ran. The first write after an idle time therefore checks the socket itself.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::net::TcpStream;

const BUSY: u8 = 0;
/// No response is expected, so the peer must not have sent anything.
const IDLE_HTTP1: u8 = 1;
/// No stream is open, but the peer may have sent frames, such as pings.
const IDLE_HTTP2: u8 = 2;
const STALE: u8 = 3;

/// Records whether a connection waits for its next request, and whether the peer closed it in the
/// meantime.
#[derive(Clone, Default)]
pub(super) struct IdleState(Arc<AtomicU8>);

impl IdleState {
    /// Makes the next write on an HTTP/1.1 connection check the socket.
    pub(super) fn set_idle_http1(&self) {
        self.0.store(IDLE_HTTP1, Ordering::Release);
    }

    /// Makes the next write on an HTTP/2 connection check the socket.
    pub(super) fn set_idle_http2(&self) {
        self.0.store(IDLE_HTTP2, Ordering::Release);
    }

    /// Returns whether the connection was found closed before anything was written after its last
    /// idle time. No request that failed on it was sent.
    pub(super) fn is_stale(&self) -> bool {
        self.0.load(Ordering::Acquire) == STALE
    }

    /// Fails if the peer closed the connection while it was idle.
    ///
    /// It is pending if the peer sent frames over HTTP/2, so that they are read first: they may
    /// announce the end of the connection.
    pub(super) fn poll_before_write(&self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let state = self.0.load(Ordering::Acquire);
        if state == BUSY {
            return Poll::Ready(Ok(()));
        }
        let mut byte = [MaybeUninit::uninit()];
        let peeked = SockRef::from(socket).peek(&mut byte);
        let (next, poll) = match peeked {
            Err(error) if state != STALE && error.kind() == io::ErrorKind::WouldBlock => (BUSY, Poll::Ready(Ok(()))),
            // A yielding task is polled again after the runtime has read from the operating system.
            Ok(1..) if state == IDLE_HTTP2 => (BUSY, pin!(tokio::task::yield_now()).poll(cx).map(Ok)),
            _ => (STALE, Poll::Ready(Err(stale()))),
        };
        self.0.store(next, Ordering::Release);
        poll
    }
}

fn stale() -> io::Error {
    let message = "the server had closed the idle connection before the request was written";
    io::Error::new(io::ErrorKind::NotConnected, message)
}
