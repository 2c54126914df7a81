//! Runs one row of the table.

use std::error::Error as _;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fetch_hive_client::{BoxError, Error};
use fetch_hive_emulator::{Deployment, Emulator, EmulatorBuilder, Fault};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::clients::ClientKind;
use super::{BODY, Row, Settings, Summary, Target};

/// The time after the deadline at which a call counts as hanging.
const HANG: Duration = Duration::from_secs(10);

/// The outcome of a row.
#[derive(Debug)]
pub struct Outcome {
    /// The actual result.
    pub actual: Summary,
    /// The duration of the last call.
    pub elapsed: Duration,
    /// The deadline of the row.
    pub deadline: Duration,
    /// The error with its causes, as `Display` and `Debug`. Empty if the call succeeded.
    pub error_text: String,
    /// The differences from the expected result.
    pub problems: Vec<String>,
}

/// A server that runs while its row does.
#[derive(Default)]
struct Running {
    emulator: Option<Emulator>,
    backlog: Option<(TcpListener, JoinSet<std::io::Result<TcpStream>>)>,
}

/// Runs a row with a kind of client.
///
/// # Errors
///
/// Returns an error if the row cannot be set up, or if a call hangs.
pub async fn run(row: Row, kind: ClientKind) -> Result<Outcome, BoxError> {
    let Row { operation, target, faults, mut settings, calls, expected, .. } = row;
    let mut running = start(target, faults, &mut settings).await?;
    let client = kind.build(&settings)?;
    let (mut result, mut elapsed) = (Ok(0), Duration::ZERO);
    for call in 0..calls {
        if let Some(emulator) = running.emulator.take_if(|_| call > 0 && target == Target::Restarting) {
            let address = emulator.address();
            drop(emulator);
            running.emulator = Some(restart(address).await?);
        }
        let start = Instant::now();
        let calling = client.call(operation, settings.deadline);
        result = match tokio::time::timeout(settings.deadline + HANG, calling).await {
            Ok(result) => result,
            Err(_) => return Err("the call hangs".into()),
        };
        elapsed = start.elapsed();
    }
    let (mut received, mut runs) = (0, 0);
    if let Some(emulator) = &running.emulator {
        let name = Some(operation.name());
        received = emulator.requests().iter().filter(|request| request.operation.as_deref() == name).count();
        runs = emulator.runs().len();
    }
    let actual = match &result {
        Ok(attempts) => Summary { result: "ok", attempts: *attempts, may_have_run: false, received, runs },
        Err(error) => {
            let result = if error.error_type() == expected.result { expected.result } else { "another error" };
            Summary { result, attempts: error.attempts(), may_have_run: error.may_have_run(), received, runs }
        }
    };
    let error_text = result.as_ref().err().map(with_causes).unwrap_or_default();
    let mut problems = Vec::new();
    if actual != expected {
        problems.push(format!("expected {expected:?}, got {actual:?}: {error_text}"));
    }
    if runs > 1 && calls == 1 {
        problems.push(format!("one call started {runs} runs"));
    }
    if error_text.contains("KEYMARKER") || error_text.contains(BODY) {
        problems.push(format!("the error contains the key or a body: {error_text}"));
    }
    Ok(Outcome { actual, elapsed, deadline: settings.deadline, error_text, problems })
}

/// Starts the server of a row and sets the base URL of the client.
async fn start(target: Target, faults: Vec<Fault>, settings: &mut Settings) -> Result<Running, BoxError> {
    let mut running = Running::default();
    match target {
        // A label longer than 63 bytes is invalid in DNS, so the resolver fails without a query.
        Target::UnknownHost => settings.base_url = format!("https://{}.invalid/v1", "n".repeat(64)),
        Target::ClosedPort => {
            let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
            settings.base_url = format!("http://{address}/v1");
        }
        Target::FullBacklog => {
            let socket = TcpSocket::new_v4()?;
            socket.bind("127.0.0.1:0".parse()?)?;
            let listener = socket.listen(1)?;
            let address = listener.local_addr()?;
            let mut connections = JoinSet::new();
            for _ in 0..8 {
                connections.spawn(TcpStream::connect(address));
            }
            wait_for_full_backlog(address.port()).await?;
            running.backlog = Some((listener, connections));
            settings.base_url = format!("http://{address}/v1");
        }
        Target::Http | Target::Https | Target::HttpCalledByHttps | Target::Restarting => {
            let emulator = start_emulator(target == Target::Https, faults).await?;
            settings.ca_pem = emulator.ca_pem().map(str::to_owned);
            settings.base_url = emulator.base_url();
            if target == Target::HttpCalledByHttps {
                settings.base_url = settings.base_url.replace("http://", "https://");
            }
            running.emulator = Some(emulator);
        }
    }
    Ok(running)
}

/// Waits until the connection queue of a listener is full.
///
/// On a busy machine, the kernel takes a while to fill the queue, and it accepts connections until
/// then. Linux shows the length of the queue. Other systems just get some time.
async fn wait_for_full_backlog(port: u16) -> Result<(), BoxError> {
    if !cfg!(target_os = "linux") {
        tokio::time::sleep(Duration::from_millis(500)).await;
        return Ok(());
    }
    let port = format!(":{port:04X} ");
    for _ in 0..2_000 {
        let table = std::fs::read_to_string("/proc/net/tcp")?;
        // The columns are: number, local address, remote address, state (0A is listening), and
        // `sent:waiting` in hexadecimal.
        let line = table.lines().find(|line| line.contains(&port) && line.contains(" 0A "));
        let queue = line.and_then(|line| line.split_whitespace().nth(4)?.split(':').nth(1));
        if queue.is_some_and(|queue| u32::from_str_radix(queue, 16).is_ok_and(|waiting| waiting >= 2)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Err("the connection queue of the listener did not fill".into())
}

async fn start_emulator(tls: bool, faults: Vec<Fault>) -> Result<Emulator, BoxError> {
    let slow = Deployment::workflow("d").output(BODY).delay_ms(30);
    let builder = faults.into_iter().fold(Emulator::builder().tls(tls).deployment(slow), EmulatorBuilder::fault);
    Ok(builder.start().await?)
}

/// Starts an emulator at an address that has just been released.
async fn restart(address: SocketAddr) -> Result<Emulator, BoxError> {
    for _ in 0..200 {
        if let Ok(emulator) = Emulator::builder().listen(address).start().await {
            return Ok(emulator);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the address of the server was not released".into())
}

/// Formats an error and its causes, each as `Display` and as `Debug`.
fn with_causes(error: &Error) -> String {
    let mut text = format!("{error}\n{error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, "\n{cause}\n{cause:?}");
        source = cause.source();
    }
    text
}
