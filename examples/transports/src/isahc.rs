use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{RequestBody, ResponseBody, Timeouts, Transport, TransportError};
use futures_io::AsyncRead;
use http::{Request, Response};
use http_body::{Body, Frame};
use isahc::config::{Configurable, RedirectPolicy};
use isahc::error::ErrorKind;
use isahc::{AsyncBody, HttpClient};

/// A transport over isahc, which uses curl. It needs no async runtime.
///
/// The conformance suite finds defects that no setting avoids:
///
/// - The response head is returned with the first chunk of the body.
/// - A dropped call or body continues until the server sends more.
/// - A connection that is closed within the response head counts as an empty response.
///
/// When a reused connection is closed, curl sends the request again, even if the server has read
/// it. This transport therefore opens a connection for each request.
#[derive(Debug)]
pub struct IsahcTransport(HttpClient);

impl IsahcTransport {
    /// Creates a transport that neither follows redirects nor reuses connections.
    ///
    /// # Errors
    ///
    /// Returns an error if curl cannot be initialized.
    pub fn new() -> Result<Self, isahc::Error> {
        let builder = HttpClient::builder().redirect_policy(RedirectPolicy::None).automatic_decompression(false);
        Ok(Self(builder.connection_cache_size(0).build()?))
    }
}

#[async_trait]
impl Transport for IsahcTransport {
    async fn send(&self, request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let request = fetch_hive_client::buffer_request(request)?;
        let (mut parts, body) = request.into_parts();
        let connect = parts.extensions.get::<Timeouts>().and_then(|timeouts| timeouts.connect);
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
        Ok(response.map(|body| ResponseBody::streaming(ReadBody(body))))
    }
}

struct ReadBody(AsyncBody);

impl Body for ReadBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut buffer = vec![0; 16 << 10];
        let read = std::task::ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        buffer.truncate(read);
        Poll::Ready((read > 0).then(|| Ok(Frame::data(buffer.into()))))
    }
}
