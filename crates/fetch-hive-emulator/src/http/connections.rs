//! The accept loop and the connections.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::faults::fault::ConnectionFault;
use crate::http::takeover::{self, OverTcp, Takeover, TakeoverStream};
use crate::http::tls::Identity;
use crate::router;
use crate::state::State;

/// Accepts connections until the task is aborted, which also closes the connections.
pub(crate) async fn accept(listener: TcpListener, tls: Option<Arc<Identity>>, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // The process may be out of file handles. Wait for connections to close.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = state.accepted_connections.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(serve(stream, tls.clone(), OpenConnection::new(&state), number));
    }
}

async fn serve(mut stream: TcpStream, tls: Option<Arc<Identity>>, open: OpenConnection, number: u64) {
    let _ = stream.set_nodelay(true);
    let fault = open.0.faults.connection();
    if let Some(fault) = fault {
        open.0.log(|| format!("connection {number} (fault {fault})"));
    }
    match fault {
        Some(ConnectionFault::Reset) => {
            // Unread bytes make the operating system send a reset.
            let _ = stream.peek(&mut [0]).await;
            return takeover::reset(&stream);
        }
        Some(ConnectionFault::Silent) => {
            let mut ignored = [0; 1024];
            while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
            return;
        }
        _ => {}
    }
    let Some(identity) = tls else { return serve_http(stream, &open, number).await };
    let config = match fault {
        None => Ok(identity.config()),
        Some(fault) => identity.invalid_config(fault),
    };
    if let Ok(config) = config {
        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
            serve_http(stream, &open, number).await;
        }
    }
}

async fn serve_http(stream: impl OverTcp + Send + 'static, open: &OpenConnection, number: u64) {
    let state = Arc::clone(&open.0);
    let takeover = Takeover::default();
    let stream = TakeoverStream::new(stream, takeover.clone());
    let service = service_fn(move |request| router::handle(Arc::clone(&state), number, takeover.clone(), request));
    // An error of the peer or of an injected fault needs no handling.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// A guard that counts a connection as open until it is dropped.
struct OpenConnection(Arc<State>);

impl OpenConnection {
    fn new(state: &Arc<State>) -> Self {
        state.open_connections.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(state))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open_connections.fetch_sub(1, Ordering::SeqCst);
    }
}
