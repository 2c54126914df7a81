use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

/// A receiver of callbacks on a loopback port, for tests and examples.
///
/// It accepts any request and does not verify signatures. It stops when it is dropped.
#[derive(Debug)]
pub struct CallbackReceiver {
    address: SocketAddr,
    received: mpsc::UnboundedReceiver<Request<Bytes>>,
    accept_loop: AbortHandle,
}

/// The statuses of the first responses, and the number of requests so far.
type Statuses = Arc<(Vec<StatusCode>, AtomicUsize)>;

impl CallbackReceiver {
    /// Starts a receiver on a free port that responds to every request with 200.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_with_statuses([]).await
    }

    /// Starts a receiver that responds to the first requests with these statuses, and then with
    /// 200.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub async fn start_with_statuses(first: impl IntoIterator<Item = StatusCode>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, received) = mpsc::unbounded_channel();
        let statuses = Statuses::new((first.into_iter().collect(), AtomicUsize::new(0)));
        let accept_loop = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, statuses) = (sender.clone(), Arc::clone(&statuses));
                connections.spawn(async move {
                    let service = service_fn(move |request| receive(request, sender.clone(), Arc::clone(&statuses)));
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, received, accept_loop: accept_loop.abort_handle() })
    }

    /// Returns a URL of the receiver, for use as a callback URL.
    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// Waits for the next request and returns it with its whole body.
    pub async fn next(&mut self) -> Option<Request<Bytes>> {
        self.received.recv().await
    }
}

async fn receive(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<Request<Bytes>>,
    statuses: Statuses,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (first, count) = &*statuses;
    let (parts, body) = request.into_parts();
    let mut response = Response::new(Empty::new());
    match body.collect().await {
        Ok(body) => {
            *response.status_mut() = first.get(count.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or_default();
            let _ = sender.send(Request::from_parts(parts, body.to_bytes()));
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

impl Drop for CallbackReceiver {
    fn drop(&mut self) {
        self.accept_loop.abort();
    }
}
