//! A server that does on each connection what a check wants, byte for byte. HTTP/1.1, one thread for each connection.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::wait::lock;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Received {
    pub(super) method: String,
    /// The path with its query, as it was sent.
    pub(super) target: String,
    /// In their order, names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Received {
    /// All values of a header.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// What happens to a connection after an exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next request is read from it.
    Next,
    Close,
}

type Handler = dyn Fn(&Received, &Peer) -> io::Result<Then> + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<Received>>,
    connections: Mutex<Vec<Weak<TcpStream>>>,
    stopped: AtomicBool,
    /// The last byte of a request is left unread: what closes such a connection resets it.
    resets: bool,
}

/// A server on loopback. It ends, with its connections, when it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    pub(super) fn start(
        handler: impl Fn(&Received, &Peer) -> io::Result<Then> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve(Box::new(handler), false)
    }

    /// A server that resets each connection when the request is there.
    pub(super) fn resetting() -> io::Result<Self> {
        Self::serve(Box::new(|_, _| Ok(Then::Close)), true)
    }

    fn serve(handler: Box<Handler>, resets: bool) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            handler,
            requests: Mutex::default(),
            connections: Mutex::default(),
            stopped: AtomicBool::new(false),
            resets,
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream.map(Arc::new) else { continue };
                lock(&accepting.connections).push(Arc::downgrade(&stream));
                let serving = Arc::clone(&accepting);
                std::thread::spawn(move || serving.converse(&Peer(stream)));
            }
        });
        Ok(Self { address, shared })
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn requests(&self) -> Vec<Received> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        for stream in lock(&self.shared.connections).iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn converse(&self, peer: &Peer) {
        let _ = peer.0.set_nodelay(true);
        // What a peer does to its connection is for the check to judge.
        while let Ok(Some(request)) = peer.read(self.resets) {
            lock(&self.requests).push(request.clone());
            let then = (self.handler)(&request, peer);
            let last = request.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
            if last || !matches!(then, Ok(Then::Next)) {
                return;
            }
        }
    }
}

/// The other end of a connection.
pub(super) struct Peer(Arc<TcpStream>);

impl Peer {
    pub(super) fn write(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        (&*self.0).write_all(bytes.as_ref())
    }

    /// Writes a whole response.
    pub(super) fn respond(&self, status: &str, headers: &str, body: impl AsRef<[u8]>) -> io::Result<Then> {
        let body = body.as_ref();
        self.write(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()))?;
        self.write(body)?;
        Ok(Then::Next)
    }

    /// Writes a piece of a chunked body.
    pub(super) fn chunk(&self, piece: impl AsRef<[u8]>) -> io::Result<()> {
        let piece = piece.as_ref();
        let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
        chunk.extend_from_slice(piece);
        chunk.extend_from_slice(b"\r\n");
        self.write(chunk)
    }

    /// Waits until the peer has given the connection up; whether it did in time.
    pub(super) fn is_gone(&self, bound: Duration) -> bool {
        let began = Instant::now();
        let _ = self.0.set_read_timeout(Some(Duration::from_millis(10)));
        let mut bytes = [0; 1024];
        while began.elapsed() < bound {
            match (&*self.0).read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Reads the next request; `None` where the connection ends instead.
    fn read(&self, leave_last: bool) -> io::Result<Option<Received>> {
        let _ = self.0.set_read_timeout(None);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if (&*self.0).read(&mut byte)? == 0 {
                return Ok(None);
            }
            head.push(byte[0]);
        }
        let mut request = Received::default();
        let head = head.iter().map(|byte| char::from(*byte)).collect::<String>();
        let mut lines = head.lines();
        let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        request.method = first.next().unwrap_or_default();
        request.target = first.next().unwrap_or_default();
        request.headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if request.all("expect").iter().any(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if request.all("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked")) {
            request.body = self.read_chunks()?;
        } else if let Some(length) = request.all("content-length").first().and_then(|length| length.parse().ok()) {
            let length: usize = length;
            request.body = vec![0; length.saturating_sub(usize::from(leave_last))];
            (&*self.0).read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }

    fn read_chunks(&self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.read_line()?;
            let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let start = body.len();
            body.resize(start + size, 0);
            (&*self.0).read_exact(&mut body[start..])?;
            let end = self.read_line()?;
            if size == 0 && end.is_empty() {
                return Ok(body);
            }
        }
    }

    fn read_line(&self) -> io::Result<String> {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            (&*self.0).read_exact(&mut byte)?;
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}
