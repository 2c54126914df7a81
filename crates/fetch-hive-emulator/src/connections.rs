//! Connections, from their arrival to their end.

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

use crate::fault::Connecting;
use crate::service::Service;
use crate::tls::Identity;
use crate::wire::{self, OverTcp, Takeover, Wire};

/// Accepts connections; they end with this task.
pub(crate) async fn accept(listener: TcpListener, tls: Option<Arc<Identity>>, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, most likely: others may be closed by then.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = service.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        connections.spawn(serve(stream, tls.clone(), Open::new(&service), number));
    }
}

async fn serve(mut stream: TcpStream, tls: Option<Arc<Identity>>, open: Open, number: u64) {
    let _ = stream.set_nodelay(true);
    let connecting = open.0.faults.connection();
    match connecting {
        Some(Connecting::Reset) => {
            // What has come and was not read makes the reset certain.
            let _ = stream.peek(&mut [0]).await;
            return wire::reset(&stream);
        }
        Some(Connecting::Silent) => {
            let mut rest = [0; 1024];
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
            return;
        }
        _ => {}
    }
    let Some(identity) = tls else { return converse(stream, &open, number).await };
    let config = match connecting {
        None => Ok(identity.config()),
        Some(wrong) => identity.wrong(wrong),
    };
    if let Ok(config) = config {
        if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
            converse(stream, &open, number).await;
        }
    }
}

async fn converse(stream: impl OverTcp + Send + 'static, open: &Open, number: u64) {
    let service = Arc::clone(&open.0);
    let takeover = Takeover::default();
    let stream = Wire::new(stream, takeover.clone());
    let handler = service_fn(move |request| Arc::clone(&service).handle(number, takeover.clone(), request));
    // What a peer does to its connection is no failure of ours.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), handler).await;
}

/// Counts a connection as open until it is dropped.
struct Open(Arc<Service>);

impl Open {
    fn new(service: &Arc<Service>) -> Self {
        service.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(service))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}
