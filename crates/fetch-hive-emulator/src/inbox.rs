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

/// A loopback receiver that takes whatever is posted to it: for callbacks, in tests and examples. It stops when it is dropped.
#[derive(Debug)]
pub struct Inbox {
    address: SocketAddr,
    received: mpsc::UnboundedReceiver<Request<Bytes>>,
    accepting: AbortHandle,
}

impl Inbox {
    /// Starts to receive on a free port, and answers 200.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn start() -> std::io::Result<Self> {
        Self::replying([]).await
    }

    /// As [`start`](Inbox::start), and answers the first requests with these statuses.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn replying(first: impl IntoIterator<Item = StatusCode>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (tell, received) = mpsc::unbounded_channel();
        let statuses = Arc::new((first.into_iter().collect::<Vec<_>>(), AtomicUsize::new(0)));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, statuses) = (tell.clone(), Arc::clone(&statuses));
                connections.spawn(async move {
                    let handler = service_fn(move |request| take(request, tell.clone(), Arc::clone(&statuses)));
                    let _ =
                        auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), handler).await;
                });
            }
        });
        Ok(Self { address, received, accepting: accepting.abort_handle() })
    }

    /// A URL that leads here.
    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// The next request, whole; waits for one.
    pub async fn next(&mut self) -> Option<Request<Bytes>> {
        self.received.recv().await
    }
}

async fn take(
    request: Request<Incoming>,
    tell: mpsc::UnboundedSender<Request<Bytes>>,
    statuses: Arc<(Vec<StatusCode>, AtomicUsize)>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (first, taken) = &*statuses;
    let (parts, body) = request.into_parts();
    let mut response = Response::new(Empty::new());
    match body.collect().await {
        Ok(body) => {
            *response.status_mut() = first.get(taken.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or_default();
            let _ = tell.send(Request::from_parts(parts, body.to_bytes()));
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    Ok(response)
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
