use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay in front of a server that can stop forwarding without closing its connections, and that
/// can close a PostgreSQL connection before the answer to a `COMMIT`.
#[derive(Debug)]
pub struct SilentRelay {
    address: SocketAddr,
    server: watch::Sender<SocketAddr>,
    silence: watch::Sender<()>,
    dropped_commits: Arc<AtomicU64>,
}

impl SilentRelay {
    /// Starts a relay to a server.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        Self::start_dropping(server, u64::MAX).await
    }

    /// Starts a relay to a PostgreSQL server that drops the answer to every n-th `COMMIT`.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is free.
    pub async fn start_dropping(server: SocketAddr, every: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (silence, receiver) = watch::channel(());
        let server = watch::Sender::new(server);
        let current = server.subscribe();
        let (commits, dropped_commits) = (Arc::new(AtomicU64::new(0)), Arc::<AtomicU64>::default());
        let dropped = Arc::clone(&dropped_commits);
        tokio::spawn(async move {
            while let Ok((mut inbound, _)) = listener.accept().await {
                let (mut silenced, mut redirected) = (receiver.clone(), current.clone());
                silenced.mark_unchanged();
                let (commits, dropped) = (Arc::clone(&commits), Arc::clone(&dropped));
                tokio::spawn(async move {
                    let server = *redirected.borrow_and_update();
                    let Ok(mut outbound) = TcpStream::connect(server).await else { return };
                    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                        (inbound.split(), outbound.split());
                    let drops = || commits.fetch_add(1, Ordering::Relaxed) % every == every - 1;
                    tokio::select! {
                        is_dropped = forward_until_commit(&mut from_client, &mut to_server, drops) => {
                            if is_dropped.unwrap_or_default() {
                                dropped.fetch_add(1, Ordering::Relaxed);
                                // The server commits, and its answer is lost.
                                tokio::time::sleep(Duration::from_millis(100)).await;
                            }
                        }
                        _ = copy(&mut from_server, &mut to_client) => {}
                        _ = silenced.changed() => std::future::pending().await,
                        _ = redirected.changed() => {}
                    }
                });
            }
        });
        Ok(Self { address, server, silence, dropped_commits })
    }

    /// Returns the address of the relay.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of the database of a throwaway PostgreSQL server behind the relay.
    pub fn database_url(&self) -> String {
        format!("postgres://postgres@{}/postgres?sslmode=disable", self.address)
    }

    /// Stops forwarding the open connections. New ones are forwarded.
    pub fn silence(&self) {
        self.silence.send_replace(());
    }

    /// Closes the open connections, and forwards new ones to another server.
    pub fn redirect(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }

    /// Returns how many answers to a `COMMIT` were dropped.
    pub fn dropped_commits(&self) -> u64 {
        self.dropped_commits.load(Ordering::Relaxed)
    }
}

/// Forwards bytes until the end, or until a `COMMIT` whose answer is dropped.
async fn forward_until_commit(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    drops: impl Fn() -> bool,
) -> io::Result<bool> {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        let bytes = &buffer[..length];
        if bytes.is_empty() {
            to.shutdown().await?;
            // The other direction ends the connection.
            std::future::pending::<()>().await;
        }
        to.write_all(bytes).await?;
        if bytes.windows(7).any(|window| window == b"COMMIT\0") && drops() {
            return Ok(true);
        }
    }
}
