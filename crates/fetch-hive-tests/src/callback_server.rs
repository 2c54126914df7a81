use std::convert::Infallible;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{Delivery, Receiver};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// A bound loopback port for a callback server, whose URL is known before the receiver is created.
#[derive(Debug)]
pub struct CallbackListener {
    listener: TcpListener,
    address: SocketAddr,
}

impl CallbackListener {
    /// Binds a free port.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub async fn bind_any() -> std::io::Result<Self> {
        Self::bind((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Binds the given address.
    ///
    /// # Errors
    ///
    /// Returns an error if the port is in use.
    pub async fn bind(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Returns the bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the callback URL of the server.
    pub fn url(&self) -> String {
        format!("http://{}/callbacks", self.address)
    }

    /// Starts a server that passes all requests to the receiver.
    pub fn serve<H, F>(self, receiver: Receiver, handler: H) -> CallbackServer
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let accept_loop = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = self.listener.accept().await {
                let (receiver, handler) = (receiver.clone(), Arc::clone(&handler));
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let (receiver, handler) = (receiver.clone(), Arc::clone(&handler));
                        async move {
                            let response = receiver.receive(request, |delivery| handler(delivery)).await;
                            Ok::<_, Infallible>(response)
                        }
                    });
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        CallbackServer { accept_loop: accept_loop.abort_handle() }
    }
}

/// A running callback server. It stops when it is dropped.
#[derive(Debug)]
pub struct CallbackServer {
    accept_loop: AbortHandle,
}

impl Drop for CallbackServer {
    fn drop(&mut self) {
        self.accept_loop.abort();
    }
}
