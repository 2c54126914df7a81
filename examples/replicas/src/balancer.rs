//! A load balancer that sends each connection to the next replica.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fetch_hive_client::BoxError;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// A running load balancer.
#[derive(Clone, Debug)]
pub struct Balancer {
    address: SocketAddr,
    replicas: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Balancer {
    /// Starts a balancer without replicas on a free port.
    ///
    /// # Errors
    ///
    /// Returns an error if no port can be opened.
    pub async fn start() -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let balancer = Self { address: listener.local_addr()?, replicas: Arc::default() };
        let turn = Arc::new(AtomicUsize::new(0));
        let shared = balancer.clone();
        tokio::spawn(async move {
            while let Ok((mut inbound, _)) = listener.accept().await {
                let (shared, turn) = (shared.clone(), Arc::clone(&turn));
                tokio::spawn(async move {
                    let replicas = shared.lock().clone();
                    for _ in 0..replicas.len() {
                        let replica = replicas[turn.fetch_add(1, Ordering::Relaxed) % replicas.len()];
                        if let Ok(mut outbound) = TcpStream::connect(replica).await {
                            let _ = copy_bidirectional(&mut inbound, &mut outbound).await;
                            return;
                        }
                    }
                });
            }
        });
        Ok(balancer)
    }

    /// Replaces the replicas.
    pub fn set_replicas(&self, replicas: impl IntoIterator<Item = SocketAddr>) {
        *self.lock() = replicas.into_iter().collect();
    }

    /// Returns the address of the balancer.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<SocketAddr>> {
        self.replicas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
