use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{Received, Receiver};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// A port of loopback that is listened on, before there is a receiver behind it: a receiver wants to know its URL.
#[derive(Debug)]
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Listens on a free port.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub async fn anywhere() -> std::io::Result<Self> {
        Self::at((Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Listens where another did before.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub async fn at(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of callbacks.
    pub fn url(&self) -> String {
        format!("http://{}/callbacks", self.address)
    }

    /// Gives all requests to a receiver.
    pub fn serve<H, F>(self, receiver: Receiver, handler: H) -> Receiving
    where
        H: Fn(Received) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = self.listener.accept().await {
                let (receiver, handler) = (receiver.clone(), Arc::clone(&handler));
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let (receiver, handler) = (receiver.clone(), Arc::clone(&handler));
                        async move {
                            let response = receiver.receive(request, |event| handler(event)).await;
                            Ok::<_, std::convert::Infallible>(response)
                        }
                    });
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Receiving { accepting: accepting.abort_handle() }
    }
}

/// A server that gives all requests to a receiver. It stops when it is dropped.
#[derive(Debug)]
pub struct Receiving {
    accepting: AbortHandle,
}

impl Drop for Receiving {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
