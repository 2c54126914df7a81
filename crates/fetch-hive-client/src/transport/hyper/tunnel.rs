//! Opens a tunnel through an HTTP proxy with CONNECT.

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::task::spawn;
use crate::error::{BoxError, TransportError};

/// The largest part of a proxy's error page that is read.
const MAX_PAGE_BYTES: usize = 64 << 10;

type ProxyStream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Asks a proxy for a tunnel to the host of a URL. Any 2xx status opens it.
///
/// # Errors
///
/// Returns the response of the proxy in [`TransportError::proxy_rejected`].
pub(super) async fn open_tunnel(
    stream: ProxyStream,
    uri: &Uri,
    authorization: Option<&HeaderValue>,
) -> Result<ProxyStream, BoxError> {
    let port = uri.port_u16().unwrap_or(443);
    let authority = format!("{}:{port}", uri.host().unwrap_or_default());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = Uri::builder().authority(authority.as_str()).build()?;
    request.headers_mut().insert(HOST, HeaderValue::try_from(authority)?);
    if let Some(authorization) = authorization {
        request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    let (mut sender, connection) = http1::handshake(stream).await?;
    let driver = AbortOnDrop(spawn(Box::pin(connection.with_upgrades())));
    let response = sender.send_request(request).await?;
    if response.status().is_success() {
        let parts = hyper::upgrade::on(response).await?.downcast::<ProxyStream>();
        let parts = parts.map_err(|_| "the connection to the proxy has another type")?;
        drop(driver);
        return if parts.read_buf.is_empty() {
            Ok(parts.io)
        } else {
            Err("the proxy sent data before the tunnel was used".into())
        };
    }
    let (head, body) = response.into_parts();
    // An incomplete page is better than none.
    let mut page = Vec::new();
    let mut body = Limited::new(body, MAX_PAGE_BYTES);
    while let Some(Ok(frame)) = body.frame().await {
        page.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
    }
    Err(TransportError::proxy_rejected(Response::from_parts(head, page.into())).into())
}

/// Closes the connection if the call is dropped.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
