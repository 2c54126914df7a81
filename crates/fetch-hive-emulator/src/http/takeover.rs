//! A connection that a fault can take over to write arbitrary bytes.

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

/// The time between the last bytes and the end of the connection, so that the client reads them.
const LINGER: Duration = Duration::from_millis(20);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionEnd {
    Close,
    Reset,
    /// The connection stays open, and nothing more is sent.
    Hang,
}

/// A handle with which the handler of a request takes over its connection.
#[derive(Clone, Default)]
pub(crate) struct Takeover(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    requested: Option<(Bytes, ConnectionEnd)>,
    waker: Option<Waker>,
}

impl Takeover {
    /// Writes the bytes to the connection instead of a response, and then ends the connection.
    pub(crate) fn request(&self, bytes: Bytes, end: ConnectionEnd) {
        let mut slot = self.lock();
        slot.requested = Some((bytes, end));
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream over a TCP connection.
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

/// Makes the connection end with a reset (RST) when it is dropped.
pub(crate) fn reset(stream: &TcpStream) {
    #[allow(deprecated, reason = "a linger of zero requests a reset, and does not block")]
    let _ = stream.set_linger(Some(Duration::ZERO));
}

/// A stream that passes everything through until it is taken over.
pub(crate) struct TakeoverStream<S> {
    inner: S,
    takeover: Takeover,
    writing: Option<(Bytes, ConnectionEnd)>,
    linger: Option<Pin<Box<Sleep>>>,
}

impl<S: OverTcp> TakeoverStream<S> {
    pub(crate) fn new(inner: S, takeover: Takeover) -> Self {
        Self { inner, takeover, writing: None, linger: None }
    }

    fn is_taken_over(&mut self, cx: &Context<'_>) -> bool {
        if self.writing.is_none() {
            let mut slot = self.takeover.lock();
            self.writing = slot.requested.take();
            if self.writing.is_none() {
                slot.waker = Some(cx.waker().clone());
            }
        }
        self.writing.is_some()
    }

    /// Writes the requested bytes, and then ends the connection.
    fn poll_takeover(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((bytes, end)) = &mut self.writing else { return Poll::Ready(Ok(())) };
        while bytes.has_remaining() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
            bytes.advance(written);
        }
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        match end {
            ConnectionEnd::Hang => {
                let mut scratch = [0; 1024];
                loop {
                    let mut ignored = ReadBuf::new(&mut scratch);
                    ready!(Pin::new(&mut self.inner).poll_read(cx, &mut ignored))?;
                    if ignored.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                }
            }
            ConnectionEnd::Close | ConnectionEnd::Reset => {
                let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
                ready!(linger.as_mut().poll(cx));
            }
        }
        if matches!(end, ConnectionEnd::Reset) {
            reset(self.inner.tcp());
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let _ = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}

impl<S: OverTcp> AsyncRead for TakeoverStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_taken_over(cx) {
            return self.poll_takeover(cx);
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: OverTcp> AsyncWrite for TakeoverStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.writing.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.writing.is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
