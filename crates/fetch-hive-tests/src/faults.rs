//! The fault table: what can go wrong between a caller and the service, over real sockets, and what the caller is told.
//!
//! The rows are the same over every kind of client ([`Over`]). One that cannot apply over a kind says why ([`Over::lacks`]).

mod over;
mod rows;

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fetch_hive_client::{BoxError, RetryPolicy};
use fetch_hive_emulator::{Deployment, Emulator, EmulatorBuilder, Fault};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::stack::Need;

pub use self::over::{Calling, Calls, Over};
pub use self::rows::rows;

/// What must not be found in anything that is printed or logged: the API key of every row, and a word in every body.
pub const KEY: &str = "fhk_KEYMARKER_0123456789";
/// As [`KEY`], for bodies.
pub const BODY: &str = "BODYMARKER";

/// A call is given up by the table itself this long after its limit: a hang.
const HANG: Duration = Duration::from_secs(10);

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A workflow, directly: it may be charged.
    Invoke,
    /// The list of models: it only reads.
    List,
    /// A prompt, streamed to its end.
    Stream,
}

impl What {
    fn operation(self) -> &'static str {
        match self {
            Self::Invoke => "invokeWorkflow",
            Self::List => "listModels",
            Self::Stream => "invokePrompt",
        }
    }
}

/// Which server a row meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// The emulator, over plain http.
    Http,
    /// The emulator, over https and HTTP/2.
    Https,
    /// The emulator over plain http, called by https.
    HttpCalledByHttps,
    /// None: the name does not exist.
    NoName,
    /// None: nobody listens on the port.
    Nobody,
    /// One whose queue for connections is full.
    FullBacklog,
    /// The emulator over plain http, started anew before each further call.
    Restarting,
}

/// How the time of day misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// It does not.
    Right,
    /// It jumps by so many seconds when it is first asked.
    Jumps(i64),
}

/// A row: what is called, what goes wrong, and what the caller must be told.
#[derive(Debug)]
pub struct Row {
    /// What goes wrong.
    pub name: &'static str,
    /// What is called.
    pub what: What,
    /// Which server is met.
    pub server: Server,
    /// What goes wrong in the server.
    pub faults: Vec<Fault>,
    /// The client's settings; its base URL is filled in.
    pub setting: Setting,
    /// What it needs of the HTTP stack: it is left out over one that has it not.
    pub needs: Vec<Need>,
    /// How many calls are made, one after the other; the last one is looked at.
    pub calls: usize,
    /// What must come out.
    pub want: Want,
}

/// What must come out of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// [`Error::error_type`](fetch_hive_client::Error::error_type), or `ok`.
    pub result: &'static str,
    /// How often the request was sent.
    pub attempts: u32,
    /// What the error says of the run.
    pub may_have_run: bool,
    /// How many requests for the operation the server read.
    pub received: usize,
    /// How many runs the server started.
    pub runs: usize,
}

/// How the client of a row is set up.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The base URL.
    pub base_url: String,
    /// The authority to trust beside the platform's, in PEM.
    pub ca_pem: Option<String>,
    /// The repeats.
    pub policy: RetryPolicy,
    /// The deadline; of a stream too.
    pub deadline: Duration,
    /// The limit for a connection.
    pub connect: Duration,
    /// The limit for the head of the reply.
    pub headers: Option<Duration>,
    /// The limit between two pieces of the body.
    pub idle: Duration,
    /// The largest body.
    pub max_response_bytes: usize,
    /// The time of day.
    pub wall: Wall,
}

/// What came out of a row.
#[derive(Debug)]
pub struct Outcome {
    /// What came out, in the words of what was wanted.
    pub got: Want,
    /// How long the last call took.
    pub took: Duration,
    /// The limit of the row.
    pub limit: Duration,
    /// The error as it is printed, and its causes.
    pub printed: String,
    /// What is wrong with it.
    pub complaints: Vec<String>,
}

/// Runs a row with a client of a kind.
///
/// # Errors
///
/// When the row itself cannot be set up.
pub async fn run(row: Row, over: Over) -> Result<Outcome, BoxError> {
    let Row { what, server, faults, mut setting, calls, want, .. } = row;
    let mut emulator = None;
    let mut fillers = JoinSet::new();
    let mut backlog = None;
    match server {
        // A label that is too long for DNS: the resolver says no without asking anybody.
        Server::NoName => setting.base_url = format!("https://{}.invalid/v1", "n".repeat(64)),
        Server::Nobody => {
            let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
            setting.base_url = format!("http://{address}/v1");
        }
        Server::FullBacklog => {
            let socket = TcpSocket::new_v4()?;
            socket.bind("127.0.0.1:0".parse()?)?;
            let listener = socket.listen(1)?;
            let address = listener.local_addr()?;
            for _ in 0..8 {
                fillers.spawn(TcpStream::connect(address));
            }
            until_full(address.port()).await?;
            backlog = Some(listener);
            setting.base_url = format!("http://{address}/v1");
        }
        Server::Http | Server::Https | Server::HttpCalledByHttps | Server::Restarting => {
            let started = start(server == Server::Https, faults).await?;
            setting.ca_pem = started.ca_pem().map(str::to_owned);
            setting.base_url = started.base_url();
            if server == Server::HttpCalledByHttps {
                setting.base_url = setting.base_url.replace("http://", "https://");
            }
            emulator = Some(started);
        }
    }
    let client = over.client(&setting)?;
    let (mut result, mut took) = (Ok(0), Duration::ZERO);
    for call in 0..calls {
        if let Some(running) = emulator.take_if(|_| call > 0 && server == Server::Restarting) {
            let address = running.address();
            drop(running);
            emulator = Some(restart(address).await?);
        }
        let began = Instant::now();
        result = match tokio::time::timeout(setting.deadline + HANG, client.call(what, setting.deadline)).await {
            Ok(result) => result,
            Err(_) => return Err("the call hangs".into()),
        };
        took = began.elapsed();
    }
    drop((fillers, backlog));
    let received = emulator.as_ref().map_or(0, |emulator| {
        let requests = emulator.requests();
        requests.iter().filter(|request| request.operation.as_deref() == Some(what.operation())).count()
    });
    // A run is counted as soon as its request is read, but the caller may be gone before that.
    let runs = emulator.as_ref().map_or(0, |emulator| emulator.runs().len());
    let got = match &result {
        Ok(attempts) => Want { result: "ok", attempts: *attempts, may_have_run: false, received, runs },
        Err(error) => {
            let result = if error.error_type() == want.result { want.result } else { "something else" };
            Want { result, attempts: error.attempts(), may_have_run: error.may_have_run(), received, runs }
        }
    };
    let mut printed = String::new();
    if let Err(error) = &result {
        printed = format!("{error}\n{error:?}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let _ = write!(printed, "\n{cause}\n{cause:?}");
            source = cause.source();
        }
    }
    let mut complaints = Vec::new();
    if got != want {
        complaints.push(format!("wanted {want:?}, got {got:?}: {printed}"));
    }
    if runs > 1 && calls == 1 {
        complaints.push(format!("{runs} runs were started by one call"));
    }
    if printed.contains("KEYMARKER") || printed.contains(BODY) {
        complaints.push(format!("the error shows what it must not: {printed}"));
    }
    Ok(Outcome { got, took, limit: setting.deadline, printed, complaints })
}

/// Waits until the queue of a listener is full: the kernel may take its time with the handshakes of a busy machine, and whoever comes before
/// that is let in. Linux tells how long the queue is; elsewhere there is nothing but to give it time.
async fn until_full(port: u16) -> Result<(), BoxError> {
    if !cfg!(target_os = "linux") {
        tokio::time::sleep(Duration::from_millis(500)).await;
        return Ok(());
    }
    let of_it = format!(":{port:04X} ");
    for _ in 0..2_000 {
        let table = std::fs::read_to_string("/proc/net/tcp")?;
        // The address, that of the peer, the state (0A: it listens), and `sent:waiting`, in hex.
        let line = table.lines().find(|line| line.contains(&of_it) && line.contains(" 0A "));
        let queue = line.and_then(|line| line.split_whitespace().nth(4)?.split(':').nth(1));
        if queue.is_some_and(|queue| u32::from_str_radix(queue, 16).is_ok_and(|waiting| waiting >= 2)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err("the queue of the listener does not fill".into())
}

async fn start(tls: bool, faults: Vec<Fault>) -> Result<Emulator, BoxError> {
    let slow = Deployment::workflow("d").output(BODY).delay_ms(30);
    let builder = faults.into_iter().fold(Emulator::builder().tls(tls).deployment(slow), EmulatorBuilder::fault);
    Ok(builder.start().await?)
}

/// Starts at an address that has just become free.
async fn restart(address: std::net::SocketAddr) -> Result<Emulator, BoxError> {
    for _ in 0..200 {
        if let Ok(emulator) = Emulator::builder().listen(address).start().await {
            return Ok(emulator);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the address of the server did not become free".into())
}

/// The heading of the table.
pub fn heading() -> String {
    format!(
        "{:>2}  {:<52} {:<17} {:>8} {:>4} {:>4} {:>4} {:>7} {:>7}",
        "", "what goes wrong", "what is told", "attempts", "ran?", "read", "runs", "took", "limit"
    )
}

/// A line of the table, for a row that is left out.
pub fn left_out(number: usize, name: &str, why: &str) -> String {
    format!("{number:>2}  {name:<52} left out: {why}")
}

/// A line of the table.
pub fn line(number: usize, name: &str, outcome: &Outcome) -> String {
    let Outcome { got, took, limit, complaints, .. } = outcome;
    format!(
        "{number:>2}  {name:<52} {:<17} {:>8} {:>4} {:>4} {:>4} {:>5.2} s {:>5.2} s{}",
        got.result,
        got.attempts,
        if got.may_have_run { "yes" } else { "no" },
        got.received,
        got.runs,
        took.as_secs_f64(),
        limit.as_secs_f64(),
        if complaints.is_empty() { "" } else { "  WRONG" },
    )
}
