//! An HTTP/1.1 server on loopback whose responses a check writes byte by byte.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use super::wait::lock;

/// A request as it was received.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceivedRequest {
    pub(super) method: String,
    /// The path with the query, still percent-encoded.
    pub(super) target: String,
    /// The headers in order, with names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl ReceivedRequest {
    /// Returns all values of a header.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// The state of a connection after a response.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    KeepAlive,
    Close,
}

type Handler = dyn Fn(&ReceivedRequest, &Connection) -> io::Result<After> + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    requests: Mutex<Vec<ReceivedRequest>>,
    connections: Mutex<Vec<Weak<TcpStream>>>,
    is_stopped: AtomicBool,
    unread: Unread,
}

/// The part of each request body that stays unread, so that closing resets the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unread {
    Nothing,
    LastByte,
    Body,
}

/// A server with one thread per connection. Dropping it closes all connections.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server that calls the handler for each request.
    pub(super) fn start(
        handler: impl Fn(&ReceivedRequest, &Connection) -> io::Result<After> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve(Box::new(handler), Unread::Nothing)
    }

    /// Starts a server that resets each connection after the request.
    pub(super) fn resetting() -> io::Result<Self> {
        Self::serve(Box::new(|_, _| Ok(After::Close)), Unread::LastByte)
    }

    /// Starts a server that calls the handler before it reads the body of the request.
    pub(super) fn responding_early(
        handler: impl Fn(&ReceivedRequest, &Connection) -> io::Result<After> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::serve(Box::new(handler), Unread::Body)
    }

    fn serve(handler: Box<Handler>, unread: Unread) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            handler,
            requests: Mutex::default(),
            connections: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            unread,
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream.map(Arc::new) else { continue };
                lock(&accepting.connections).push(Arc::downgrade(&stream));
                let serving = Arc::clone(&accepting);
                std::thread::spawn(move || serving.serve_connection(&Connection(stream)));
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

    /// Returns the requests received so far.
    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // The connection wakes the accepting thread.
        drop(TcpStream::connect(self.address));
        for stream in lock(&self.shared.connections).iter().filter_map(Weak::upgrade) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn serve_connection(&self, connection: &Connection) {
        let _ = connection.0.set_nodelay(true);
        // A connection error ends the loop. The check judges what the transport did.
        while let Ok(Some(request)) = connection.read_request(self.unread) {
            lock(&self.requests).push(request.clone());
            let after = (self.handler)(&request, connection);
            let closes = request.header("connection").iter().any(|value| value.eq_ignore_ascii_case("close"));
            if closes || !matches!(after, Ok(After::KeepAlive)) {
                return;
            }
        }
    }
}

/// The server side of a connection.
pub(super) struct Connection(Arc<TcpStream>);

impl Connection {
    pub(super) fn write(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        (&*self.0).write_all(bytes.as_ref())
    }

    /// Writes a whole response. The headers end with a line break.
    pub(super) fn respond(&self, status: &str, headers: &str, body: impl AsRef<[u8]>) -> io::Result<After> {
        let body = body.as_ref();
        self.write(format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()))?;
        self.write(body)?;
        Ok(After::KeepAlive)
    }

    /// Writes a chunk of a chunked body. An empty chunk ends the body.
    pub(super) fn write_chunk(&self, data: impl AsRef<[u8]>) -> io::Result<()> {
        let data = data.as_ref();
        let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
        chunk.extend_from_slice(data);
        chunk.extend_from_slice(b"\r\n");
        self.write(chunk)
    }

    /// Waits until the client closes the connection. Returns `false` after the duration.
    pub(super) fn wait_for_close(&self, duration: Duration) -> bool {
        let start = Instant::now();
        let _ = self.0.set_read_timeout(Some(Duration::from_millis(10)));
        let mut bytes = [0; 1024];
        while start.elapsed() < duration {
            match (&*self.0).read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Reads the next request. Returns `None` if the connection ends instead.
    fn read_request(&self, unread: Unread) -> io::Result<Option<ReceivedRequest>> {
        let _ = self.0.set_read_timeout(None);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if (&*self.0).read(&mut byte)? == 0 {
                return Ok(None);
            }
            head.push(byte[0]);
        }
        let mut request = ReceivedRequest::default();
        let head = head.iter().map(|byte| char::from(*byte)).collect::<String>();
        let mut lines = head.lines();
        let mut request_line = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        request.method = request_line.next().unwrap_or_default();
        request.target = request_line.next().unwrap_or_default();
        request.headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        if request.header("expect").iter().any(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.write("HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        if unread == Unread::Body {
            return Ok(Some(request));
        }
        if request.header("transfer-encoding").iter().any(|value| value.eq_ignore_ascii_case("chunked")) {
            request.body = self.read_chunked_body()?;
        } else if let Some(length) = request.header("content-length").first().and_then(|length| length.parse().ok()) {
            let length: usize = length;
            request.body = vec![0; length.saturating_sub(usize::from(unread == Unread::LastByte))];
            (&*self.0).read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }

    fn read_chunked_body(&self) -> io::Result<Vec<u8>> {
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
