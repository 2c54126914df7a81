//! Checks an idle connection before a request is written to it.
//!
//! The peer may have closed an idle connection without any task having read that: the runtime was
//! busy or not running. A request written to such a connection would be lost, and nobody could tell
//! whether it ran. The first write after a response therefore checks the socket itself.

use std::error::Error as StdError;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io};

use socket2::SockRef;
use tokio::net::TcpStream;

/// Records whether an HTTP/1.1 connection waits for its next request. An HTTP/2 connection carries
/// several at a time.
#[derive(Clone, Default)]
pub(super) struct IdleFlag(Arc<AtomicBool>);

impl IdleFlag {
    /// Makes the next write check the socket.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Clears the flag, and fails if the peer closed the connection or sent unsolicited bytes while
    /// it was idle.
    pub(super) fn check_before_write(&self, socket: &TcpStream) -> io::Result<()> {
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

/// The connection was closed before any byte of the request was written.
#[derive(Debug)]
struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server had closed the idle connection before the request was written")
    }
}

impl StdError for Stale {}

/// Returns whether an error is that of a connection that was closed while idle.
pub(super) fn is_stale(error: &(dyn StdError + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .is_some_and(<dyn StdError + Send + Sync>::is::<Stale>)
}
