use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

#[cfg(feature = "hyper")]
use super::hyper::TrackedBody;
use crate::error::{BoxError, TransportError};

/// The body of a response, which is complete or arrives in chunks.
///
/// Dropping an unfinished body closes its connection.
pub struct ResponseBody(Inner);

enum Inner {
    Whole(Option<Bytes>),
    Streaming(Box<dyn Body<Data = Bytes, Error = TransportError> + Send + Unpin>),
    /// The usual body of the included transport, which is not boxed to save an allocation.
    #[cfg(feature = "hyper")]
    Hyper(Sent<TrackedBody>),
}

impl ResponseBody {
    /// Creates a body from bytes that are complete.
    pub fn whole(body: impl Into<Bytes>) -> Self {
        Self(Inner::Whole(Some(body.into())))
    }

    /// Creates a body that arrives in chunks. Pass `Box::pin(body)` for one that is not `Unpin`.
    ///
    /// Its errors are converted to [`TransportError::may_have_run`], because the request was sent.
    /// An error that is a [`TransportError`] already, such as a
    /// [`timeout`](TransportError::timeout), is kept.
    pub fn streaming<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Inner::Streaming(Box::new(Sent(body))))
    }

    #[cfg(feature = "hyper")]
    pub(super) fn hyper(body: TrackedBody) -> Self {
        Self(Inner::Hyper(Sent(body)))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match &mut self.0 {
            Inner::Whole(body) => Poll::Ready(body.take().filter(|body| !body.is_empty()).map(|b| Ok(Frame::data(b)))),
            Inner::Streaming(body) => Pin::new(body).poll_frame(cx),
            #[cfg(feature = "hyper")]
            Inner::Hyper(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(body) => body.as_ref().is_none_or(Bytes::is_empty),
            Inner::Streaming(body) => body.is_end_stream(),
            #[cfg(feature = "hyper")]
            Inner::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64)),
            Inner::Streaming(body) => body.size_hint(),
            #[cfg(feature = "hyper")]
            Inner::Hyper(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Whole(body) => write!(f, "ResponseBody({} bytes)", body.as_ref().map_or(0, Bytes::len)),
            Inner::Streaming(_) => f.write_str("ResponseBody(streaming)"),
            #[cfg(feature = "hyper")]
            Inner::Hyper(_) => f.write_str("ResponseBody(streaming)"),
        }
    }
}

/// Converts the errors of a body.
struct Sent<B>(B);

impl<B> Body for Sent<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        Pin::new(&mut self.0).poll_frame(cx).map_err(|error| {
            let error: BoxError = error.into();
            error.downcast().map_or_else(TransportError::may_have_run, |error| *error)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
