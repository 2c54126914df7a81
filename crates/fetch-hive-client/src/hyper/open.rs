//! Opens connections: TCP, straight or through a proxy, TLS, and the handshake of what was negotiated.

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

use super::connect::{Io, Routes};
use super::idle::Idle;
use crate::BoxError;

/// What is offered to a host by TLS.
#[derive(Clone, Copy, Debug)]
pub(super) enum Offer {
    /// HTTP/2 and HTTP/1.1.
    Both,
    Http1,
}

/// A connection that was opened, and is driven by a task.
pub(super) enum Opened {
    Http1 {
        sender: http1::SendRequest<Full<Bytes>>,
        idle: Idle,
        /// Whether its other end is a proxy that is told the whole URL.
        proxied: bool,
    },
    Http2(http2::SendRequest<Full<Bytes>>),
}

pub(super) struct Opener {
    both: HttpsConnector<Routes>,
    http1_only: HttpsConnector<Routes>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Opener {
    pub(super) fn new(
        routes: Routes,
        both: Arc<ClientConfig>,
        http1_only: Arc<ClientConfig>,
        http1: http1::Builder,
        http2: http2::Builder<TokioExecutor>,
    ) -> Self {
        let both = HttpsConnector::from((routes.clone(), both));
        Self { both, http1_only: HttpsConnector::from((routes, http1_only)), http1, http2 }
    }

    pub(super) async fn open(&self, uri: Uri, offer: Offer) -> Result<Opened, BoxError> {
        let mut connector = match offer {
            Offer::Both => self.both.clone(),
            Offer::Http1 => self.http1_only.clone(),
        };
        poll_fn(|cx| connector.poll_ready(cx)).await?;
        let stream = connector.call(uri).await?;
        let is_http2 = stream.connected().is_negotiated_h2();
        // Behind a pointer: with all inside that TLS needs it would take kilobytes in each place that it is moved through.
        let (idle, proxied, io): (_, _, Box<dyn Io>) = match stream {
            MaybeHttpsStream::Http(route) => (route.idle.clone(), route.proxied, Box::new(route)),
            MaybeHttpsStream::Https(tls) => {
                let route = tls.inner().get_ref().0.inner();
                (route.idle.clone(), route.proxied, Box::new(tls))
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
            // Why it has ended already says more than that it has.
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => sender.poll_ready(cx),
        })
        .await?;
        tokio::spawn(connection);
        Ok(Opened::Http1 { sender, idle, proxied })
    }
}
