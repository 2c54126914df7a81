//! Opens connections: TCP, directly or through a proxy, then TLS, then the handshake of the
//! negotiated protocol.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::TokioExecutor;
use rustls::ClientConfig;
use tower_service::Service;

use super::connect::{Dialer, Io};
use super::idle::IdleFlag;
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
        sender: http1::SendRequest<Full<Bytes>>,
        idle: IdleFlag,
        /// Whether the peer is a proxy that expects the whole URL in the request line.
        proxied: bool,
    },
    Http2(http2::SendRequest<Full<Bytes>>),
}

pub(super) struct Opener {
    http2_or_http1: HttpsConnector<Dialer>,
    http1_only: HttpsConnector<Dialer>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Opener {
    pub(super) fn new(
        dialer: &Dialer,
        tls: &ClientConfig,
        http1: http1::Builder,
        http2: http2::Builder<TokioExecutor>,
    ) -> Self {
        let connector = |protocols: &[&[u8]]| HttpsConnector::from((dialer.clone(), with_alpn(tls, protocols)));
        let http2_or_http1 = connector(&[b"h2", b"http/1.1"]);
        Self { http2_or_http1, http1_only: connector(&[b"http/1.1"]), http1, http2 }
    }

    pub(super) async fn open(&self, uri: Uri, alpn: Alpn) -> Result<Opened, BoxError> {
        let mut connector = match alpn {
            Alpn::Http2OrHttp1 => self.http2_or_http1.clone(),
            Alpn::Http1Only => self.http1_only.clone(),
        };
        poll_fn(|cx| connector.poll_ready(cx)).await?;
        let stream = connector.call(uri).await?;
        let is_http2 = stream.connected().is_negotiated_h2();
        // Boxed, because a TLS stream takes kilobytes in every future that it is moved through.
        let (idle, proxied, io): (_, _, Box<dyn Io>) = match stream {
            MaybeHttpsStream::Http(stream) => (stream.idle.clone(), stream.proxied, Box::new(stream)),
            MaybeHttpsStream::Https(tls) => {
                let stream = tls.inner().get_ref().0.inner();
                (stream.idle.clone(), stream.proxied, Box::new(tls))
            }
        };
        if is_http2 {
            let (mut sender, connection) = self.http2.handshake(io).await?;
            tokio::spawn(connection);
            sender.ready().await?;
            return Ok(Opened::Http2(sender));
        }
        let (mut sender, connection) = self.http1.handshake(io).await?;
        let mut connection = Box::pin(connection);
        poll_fn(|cx| match connection.as_mut().poll(cx) {
            // The error of the connection says more than that of the sender.
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => sender.poll_ready(cx),
        })
        .await?;
        tokio::spawn(connection);
        Ok(Opened::Http1 { sender, idle, proxied })
    }
}

/// Returns a TLS configuration that offers some protocols.
pub(super) fn with_alpn(tls: &ClientConfig, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = tls.clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}
