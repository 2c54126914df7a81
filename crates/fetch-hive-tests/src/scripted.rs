use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

/// What a [`Scripted`] server does on a connection, in turn.
#[derive(Clone, Debug)]
pub enum Step {
    /// Reads one whole HTTP/1.1 request.
    Read,
    /// Reads so many bytes of a request, at the most.
    ReadSome(usize),
    /// Writes bytes as they are.
    Write(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Waits until it is notified.
    Until(Arc<Notify>),
    /// Closes the connection in order: the peer sees the end of the stream.
    Close,
    /// Resets the connection.
    Reset,
}

impl Step {
    /// Writes a response with a body, its length announced.
    pub fn respond(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(body);
        Self::Write(bytes)
    }
}

/// A server that follows a script on each connection, byte for byte: for what no proper server does. The last script is used for all
/// further connections.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    connections: Arc<Mutex<usize>>,
    accepting: AbortHandle,
}

impl Scripted {
    /// Starts to serve; connection n follows `scripts[n]`.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub async fn start(scripts: Vec<Vec<Step>>) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let requests = Arc::new(Mutex::default());
        let connections = Arc::new(Mutex::new(0));
        let (seen, accepted) = (Arc::clone(&requests), Arc::clone(&connections));
        let accepting = tokio::spawn(async move {
            let mut following = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut accepted = accepted.lock().unwrap_or_else(PoisonError::into_inner);
                    *accepted += 1;
                    *accepted - 1
                };
                if let Some(script) = scripts.get(number).or(scripts.last()) {
                    following.spawn(follow(stream, script.clone(), Arc::clone(&seen)));
                }
            }
        });
        Ok(Self { address, requests, connections, accepting: accepting.abort_handle() })
    }

    /// The base URL for a client.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What was read, whole requests and parts of them.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn follow(mut stream: TcpStream, script: Vec<Step>, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    for step in script {
        let went_well = match step {
            Step::Read => match read_request(&mut stream, usize::MAX).await {
                Ok(request) if !request.is_empty() => {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
                    true
                }
                _ => false,
            },
            Step::ReadSome(bytes) => read_request(&mut stream, bytes).await.is_ok(),
            Step::Write(bytes) => stream.write_all(&bytes).await.is_ok() && stream.flush().await.is_ok(),
            Step::Wait(time) => {
                tokio::time::sleep(time).await;
                true
            }
            Step::Until(notify) => {
                notify.notified().await;
                true
            }
            Step::Close => return,
            Step::Reset => {
                #[allow(deprecated, reason = "a zero linger is how a reset is asked for, and it does not block")]
                let _ = stream.set_linger(Some(Duration::ZERO));
                return;
            }
        };
        if !went_well {
            return;
        }
    }
    // The script is over and the connection is not: the peer decides.
    let mut rest = [0; 1024];
    while matches!(stream.read(&mut rest).await, Ok(1..)) {}
}

/// Reads until a request is whole, or so many bytes are in.
async fn read_request(stream: &mut TcpStream, most: usize) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            if request.len() >= end + 4 + length.unwrap_or(0_usize) {
                return Ok(request);
            }
        }
        if request.len() >= most {
            return Ok(request);
        }
        let room = piece.len().min(most - request.len());
        match stream.read(&mut piece[..room]).await? {
            0 => return Ok(request),
            n => request.extend_from_slice(&piece[..n]),
        }
    }
}
