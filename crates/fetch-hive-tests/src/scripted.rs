use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// A step of the script of a [`Scripted`] server.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads one whole HTTP/1.1 request.
    Read,
    /// Reads at most this many bytes of a request.
    ReadSome(usize),
    /// Writes the bytes.
    Write(Vec<u8>),
    /// Waits for the duration.
    Wait(Duration),
    /// Waits for the notification.
    Until(Arc<Notify>),
    /// Closes the connection, so that the client reads the end of the stream.
    Close,
    /// Resets the connection.
    Reset,
}

impl Step {
    /// Creates a step that writes a response with a body and its length. The headers end with a
    /// line break.
    pub fn respond(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Self::Write(bytes)
    }
}

/// A server that follows a script on each connection, for behaviour that no correct server has.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    connections: Arc<Mutex<usize>>,
    accepting: AbortHandle,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scripted {
    /// Starts a server. Connection n follows `scripts[n]`, and all further connections follow the
    /// last script.
    ///
    /// # Errors
    ///
    /// Returns an error if no port is available.
    pub async fn start(scripts: Vec<Vec<Step>>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::default());
        let connections = Arc::new(Mutex::new(0));
        let (received, accepted) = (Arc::clone(&requests), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            let mut running = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let index = {
                    let mut accepted = lock(&accepted);
                    *accepted += 1;
                    *accepted - 1
                };
                if let Some(script) = scripts.get(index).or(scripts.last()) {
                    running.spawn(run_script(stream, script.clone(), Arc::clone(&received)));
                }
            }
        });
        Ok(Self { address, requests, connections, accepting: accepting.abort_handle() })
    }

    /// Returns the base URL for the client.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Returns the requests read by [`Step::Read`], as bytes. A request can be incomplete.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        lock(&self.requests).clone()
    }

    /// Returns the number of accepted connections.
    pub fn connections(&self) -> usize {
        *lock(&self.connections)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn run_script(mut stream: TcpStream, script: Vec<Step>, received: Arc<Mutex<Vec<Vec<u8>>>>) {
    for step in script {
        let succeeded = match step {
            Step::Read => match read_request(&mut stream, usize::MAX).await {
                Ok(request) if !request.is_empty() => {
                    lock(&received).push(request);
                    true
                }
                _ => false,
            },
            Step::ReadSome(bytes) => read_request(&mut stream, bytes).await.is_ok(),
            Step::Write(bytes) => stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok(),
            Step::Wait(duration) => {
                tokio::time::sleep(duration).await;
                true
            }
            Step::Until(notify) => {
                notify.notified().await;
                true
            }
            Step::Close => return,
            Step::Reset => {
                #[allow(deprecated, reason = "a linger of zero requests a reset and does not block")]
                let _ = stream.set_linger(Some(Duration::ZERO));
                return;
            }
        };
        if !succeeded {
            return;
        }
    }
    // After the script, the client decides when the connection ends.
    let mut discarded = [0; 1024];
    while matches!(stream.read(&mut discarded).await, Ok(1..)) {}
}

/// Reads until the request is complete or has the maximum number of bytes.
async fn read_request(stream: &mut TcpStream, max_bytes: usize) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0_usize) {
                return Ok(request);
            }
        }
        if request.len() >= max_bytes {
            return Ok(request);
        }
        let wanted = buffer.len().min(max_bytes - request.len());
        match stream.read(&mut buffer[..wanted]).await? {
            0 => return Ok(request),
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
}
