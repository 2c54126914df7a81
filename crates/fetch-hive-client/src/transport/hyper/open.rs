//! Opens connections: TCP, directly or through a proxy, then TLS, then the handshake of the
//! negotiated protocol.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use http::Uri;
use hyper::client::conn::{http1, http2};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tower_service::Service;

use super::connect::{Dialer, Io};
use super::idle::IdleState;
use super::send_body::SendBody;
use super::stream_limit::{LimitReader, StreamLimit};
use super::task::{BoxingExecutor, spawn};
use crate::error::BoxError;

/// The protocols offered to a host by ALPN.
#[derive(Clone, Copy, Debug)]
pub(super) enum Alpn {
    Http2OrHttp1,
    Http1Only,
}

/// An open connection, driven by a task.
pub(super) enum Opened {
    Http1 {
        sender: http1::SendRequest<SendBody>,
        idle: IdleState,
        /// Whether the peer is a proxy that expects the whole URL in the request line.
        proxied: bool,
    },
    Http2 {
        sender: http2::SendRequest<SendBody>,
        idle: IdleState,
        limit: Arc<StreamLimit>,
    },
}

pub(super) struct Opener {
    dialer: Dialer,
    http2_or_http1: Arc<ClientConfig>,
    http1_only: Arc<ClientConfig>,
    http1: http1::Builder,
    http2: http2::Builder<BoxingExecutor>,
}

impl Opener {
    pub(super) fn new(
        dialer: Dialer,
        tls: &ClientConfig,
        http1: http1::Builder,
        http2: http2::Builder<BoxingExecutor>,
    ) -> Self {
        let http2_or_http1 = with_alpn(tls, &[b"h2", b"http/1.1"]);
        Self { dialer, http2_or_http1, http1_only: with_alpn(tls, &[b"http/1.1"]), http1, http2 }
    }

    /// Opens a connection. The timeout is only divided among the addresses of the host, and the
    /// caller enforces it.
    pub(super) async fn open(&self, uri: Uri, alpn: Alpn, timeout: Option<Duration>) -> Result<Opened, BoxError> {
        let tls = match alpn {
            Alpn::Http2OrHttp1 => &self.http2_or_http1,
            Alpn::Http1Only => &self.http1_only,
        };
        let mut connector = HttpsConnector::from((self.dialer.with_connect_timeout(timeout), Arc::clone(tls)));
        poll_fn(|cx| connector.poll_ready(cx)).await?;
        let stream = connector.call(uri).await?;
        let limit = stream.connected().is_negotiated_h2().then(|| Arc::new(StreamLimit::new()));
        // Boxed, because a TLS stream takes kilobytes in every future that it is moved through.
        let (idle, proxied, io): (_, _, Box<dyn Io>) = match stream {
            MaybeHttpsStream::Http(stream) => (stream.idle.clone(), stream.proxied, Box::new(stream)),
            MaybeHttpsStream::Https(tls) => {
                let stream = tls.inner().get_ref().0.inner();
                let (idle, proxied) = (stream.idle.clone(), stream.proxied);
                match &limit {
                    Some(limit) => {
                        let reader = LimitReader::new(tls.into_inner(), Arc::clone(limit));
                        (idle, proxied, Box::new(TokioIo::new(reader)))
                    }
                    None => (idle, proxied, Box::new(tls)),
                }
            }
        };
        if let Some(limit) = limit {
            let (sender, connection) = self.http2.handshake(io).await?;
            let mut connection = spawn(Box::pin(connection));
            if let Either::Right((ended, _)) = select(pin!(limit.received()), &mut connection).await {
                ended??;
                return Err("the server closed the connection before it sent its HTTP/2 settings".into());
            }
            return Ok(Opened::Http2 { sender, idle, limit });
        }
        let (mut sender, connection) = self.http1.handshake(io).await?;
        let mut connection = Box::pin(connection);
        poll_fn(|cx| match connection.as_mut().poll(cx) {
            // The error of the connection says more than that of the sender.
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => sender.poll_ready(cx),
        })
        .await?;
        spawn(connection);
        Ok(Opened::Http1 { sender, idle, proxied })
    }
}

/// Returns a TLS configuration that offers some protocols.
pub(super) fn with_alpn(tls: &ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = tls.clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
