//! A connection that a fault can take over: it then says, byte for byte, what no proper server says.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

use crate::fault::End;

/// The time that bytes get to leave before the end.
const LEAVING: Duration = Duration::from_millis(20);

/// The handle by which a request's handler takes its connection over.
#[derive(Clone, Default)]
pub(crate) struct Takeover(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    asked: Option<(Bytes, End)>,
    waker: Option<Waker>,
}

impl Takeover {
    /// Says these bytes instead of anything else, and ends the connection.
    pub(crate) fn ask(&self, bytes: Bytes, end: End) {
        let mut slot = self.lock();
        slot.asked = Some((bytes, end));
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has a TCP connection beneath it.
pub(crate) trait OverTcp: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

impl OverTcp for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl OverTcp for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// Closes a connection so that the peer sees a reset.
pub(crate) fn reset(stream: &TcpStream) {
    #[allow(deprecated, reason = "a zero linger is how a reset is asked for, and it does not block")]
    let _ = stream.set_linger(Some(Duration::ZERO));
}

/// A stream that works as usual until it is taken over.
pub(crate) struct Wire<S> {
    inner: S,
    takeover: Takeover,
    playing: Option<(Bytes, End)>,
    leaving: Option<Pin<Box<Sleep>>>,
}

impl<S: OverTcp> Wire<S> {
    pub(crate) fn new(inner: S, takeover: Takeover) -> Self {
        Self { inner, takeover, playing: None, leaving: None }
    }

    /// Whether it is taken over.
    fn is_taken(&mut self, cx: &Context<'_>) -> bool {
        if self.playing.is_none() {
            let mut slot = self.takeover.lock();
            self.playing = slot.asked.take();
            if self.playing.is_none() {
                slot.waker = Some(cx.waker().clone());
            }
        }
        self.playing.is_some()
    }

    /// Says what is to be said, then ends.
    fn play(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((bytes, end)) = &mut self.playing else { return Poll::Ready(Ok(())) };
        while bytes.has_remaining() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
            bytes.advance(written);
        }
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        match end {
            End::Hang => {
                let mut scratch = [0; 1024];
                loop {
                    let mut rest = ReadBuf::new(&mut scratch);
                    ready!(Pin::new(&mut self.inner).poll_read(cx, &mut rest))?;
                    if rest.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            End::Close | End::Reset => {
                let leaving = self.leaving.get_or_insert_with(|| Box::pin(tokio::time::sleep(LEAVING)));
                ready!(leaving.as_mut().poll(cx));
            }
        }
        if matches!(end, End::Reset) {
            reset(self.inner.tcp());
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let _ = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}

impl<S: OverTcp> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_taken(cx) {
            return self.play(cx);
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: OverTcp> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.playing.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.playing.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
