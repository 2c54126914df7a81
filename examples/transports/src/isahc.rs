use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{ResponseBody, Timeouts, Transport, TransportError};
use futures_io::AsyncRead;
use http::{Request, Response};
use http_body::{Body, Frame};
use isahc::config::{Configurable, RedirectPolicy};
use isahc::error::ErrorKind;
use isahc::{AsyncBody, HttpClient};

/// Sends by curl, through isahc. It needs no runtime.
///
/// The conformance kit finds what cannot be set otherwise: the head is handed over with the first piece of the body; a call or a body that was
/// dropped goes on until something more comes; and a connection that is closed within the head passes for an empty response. curl also sends a request again when a reused connection was closed
/// on it, whether it was read or not: so no connection is reused.
#[derive(Debug)]
pub struct IsahcTransport(HttpClient);

impl IsahcTransport {
    /// A transport with the defaults of isahc.
    ///
    /// # Errors
    ///
    /// When curl cannot be set up.
    pub fn new() -> Result<Self, isahc::Error> {
        let builder = HttpClient::builder().redirect_policy(RedirectPolicy::None).automatic_decompression(false);
        Ok(Self(builder.connection_cache_size(0).build()?))
    }
}

#[async_trait]
impl Transport for IsahcTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        let (mut parts, body) = request.into_parts();
        let connect = parts.extensions.get::<Timeouts>().and_then(|limits| limits.connect);
        parts.extensions.clear();
        let mut request = Request::builder().method(parts.method).uri(parts.uri);
        if let Some(connect) = connect {
            request = request.connect_timeout(connect);
        }
        let mut request = request.body(AsyncBody::from(body.to_vec())).map_err(TransportError::not_sent)?;
        *request.headers_mut() = parts.headers;
        let response = self.0.send_async(request).await.map_err(|error| match error.kind() {
            ErrorKind::ConnectionFailed | ErrorKind::NameResolution | ErrorKind::BadServerCertificate => {
                TransportError::not_sent(error)
            }
            _ => TransportError::may_have_run(error),
        })?;
        Ok(response.map(|body| ResponseBody::streaming(Reading(body))))
    }
}

struct Reading(AsyncBody);

impl Body for Reading {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut piece = vec![0; 16 << 10];
        let read = std::task::ready!(Pin::new(&mut self.0).poll_read(cx, &mut piece))?;
        piece.truncate(read);
        Poll::Ready((read > 0).then(|| Ok(Frame::data(piece.into()))))
    }
}
