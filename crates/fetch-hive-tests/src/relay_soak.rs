//! A soak test over HTTPS and HTTP/2 behind a relay that forgets connections.
//!
//! `relay-soak SECONDS` prints figures. The relay stops forwarding each connection at a random age
//! and leaves it open, as a NAT does. The test fails if a run starts twice, if a call is lost that
//! the keep-alive pings should have saved, if tasks or sockets are left, or if memory grows. The
//! service is a separate process (`relay-soak --serve`).

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fetch_hive_client::{Client, HyperTransport};
use fetch_hive_emulator::{Emulator, Fault};
use fetch_hive_tests::process::{BoxError, memory_kib, run_program, sockets};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Handle, Runtime};

/// The keep-alive intervals and timeouts of the two clients. The second ones are the defaults.
const PINGS: [(Duration, Duration); 2] =
    [(Duration::from_secs(2), Duration::from_secs(1)), (Duration::from_secs(10), Duration::from_secs(5))];

/// The connections are forgotten at a random age in this range, in milliseconds.
const FORGOTTEN_AFTER: std::ops::Range<u64> = 5_000..25_000;

const CALLERS_PER_CLIENT: usize = 4;
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// How much later than allowed a lost call may have started, for timers that elapse late.
const SLACK: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    run_program("relay-soak", 300, serve, soak)
}

/// Serves until the standard input ends. Then prints the number of runs, and of those that started
/// more than once.
async fn serve() -> Result<(), BoxError> {
    let emulator = Emulator::builder().tls(true).fault(Fault::delay(Duration::from_millis(30))).start().await?;
    let pem = emulator.ca_pem().unwrap_or_default().replace('\n', "|");
    println!("{} {pem}", emulator.address());
    std::io::stdout().flush()?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    let mut runs = BTreeMap::<String, usize>::new();
    for run in emulator.runs() {
        *runs.entry(run.deployment).or_default() += 1;
    }
    println!("{} {}", runs.len(), runs.values().filter(|count| **count > 1).count());
    Ok(())
}

/// A relay in its own runtime, and the times at which it forgot a connection.
struct Relay {
    address: SocketAddr,
    forgotten: Arc<Mutex<Vec<Instant>>>,
    runtime: Runtime,
}

impl Relay {
    fn start(server: SocketAddr) -> Result<Self, BoxError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let forgotten = Arc::<Mutex<Vec<Instant>>>::default();
        let times = Arc::clone(&forgotten);
        runtime.spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((mut inbound, _)) = listener.accept().await {
                let times = Arc::clone(&times);
                tokio::spawn(async move {
                    let Ok(mut outbound) = TcpStream::connect(server).await else { return };
                    let age = FORGOTTEN_AFTER.start + random() % (FORGOTTEN_AFTER.end - FORGOTTEN_AFTER.start);
                    let forwarding = copy_bidirectional(&mut inbound, &mut outbound);
                    if tokio::time::timeout(Duration::from_millis(age), forwarding).await.is_err() {
                        lock(&times).push(Instant::now());
                        // Both sides stay open.
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Ok(Self { address, forgotten, runtime })
    }
}

fn random() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call that failed.
struct Lost {
    started: Instant,
    may_have_run: bool,
    error: String,
}

#[derive(Default)]
struct Results {
    succeeded: u64,
    lost: Vec<Lost>,
}

async fn soak(seconds: u64) -> Result<(), BoxError> {
    let mut service =
        Command::new(std::env::current_exe()?).arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut output = BufReader::new(service.stdout.take().ok_or("the service has no standard output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let (address, pem) = line.trim().split_once(' ').ok_or("the service did not start")?;
    let (address, pem): (SocketAddr, _) = (address.parse()?, pem.replace('|', "\n"));

    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = (tasks(), sockets("self")?);
    let issued = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut clients = Vec::new();
    for (interval, timeout) in PINGS {
        let relay = Relay::start(address)?;
        let transport = HyperTransport::builder()
            .add_root_certificates_pem(pem.clone())
            .http2_keep_alive_interval(interval)
            .http2_keep_alive_timeout(timeout);
        let base_url = format!("https://localhost:{}/v1", relay.address.port());
        let builder = Client::builder().api_key("fhk_soak").base_url(base_url).timeout(CALL_TIMEOUT);
        let client = builder.transport(transport.build()?).build()?;
        let results = Arc::new(Mutex::new(Results::default()));
        let callers: Vec<_> = (0..CALLERS_PER_CLIENT)
            .map(|_| tokio::spawn(call_until(end, client.clone(), Arc::clone(&results), Arc::clone(&issued))))
            .collect();
        clients.push((interval + timeout, relay, results, callers));
    }
    tokio::time::sleep(Duration::from_secs(seconds / 2)).await;
    let memory_halfway = memory_kib("VmRSS")?;
    let mut problems = Vec::new();
    for (window, relay, results, callers) in clients {
        for caller in callers {
            caller.await?;
        }
        let Relay { forgotten, runtime, .. } = relay;
        let (results, forgotten) = (lock(&results), lock(&forgotten).clone());
        let is_allowed = |lost: &&Lost| {
            forgotten.iter().any(|at| lost.started <= *at + window + SLACK && *at <= lost.started + CALL_TIMEOUT)
        };
        println!(
            "pings of {window:?}: {} calls succeeded, {} connections forgotten, {} calls lost",
            results.succeeded,
            forgotten.len(),
            results.lost.len()
        );
        for lost in results.lost.iter().filter(|lost| !is_allowed(lost)) {
            problems.push(format!("a call was lost although its connection was not forgotten: {}", lost.error));
        }
        if let Some(lost) = results.lost.iter().find(|lost| !lost.may_have_run) {
            problems.push(format!("a lost call is reported as not sent: {}", lost.error));
        }
        if forgotten.len() < 3 || results.succeeded < 100 {
            problems.push("too few connections were forgotten for a meaningful test".to_owned());
        }
        runtime.shutdown_background();
    }
    let memory_end = memory_kib("VmRSS")?;
    let mut after = (0, 0);
    for _ in 0..400 {
        after = (tasks(), sockets("self")?);
        if after == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(service.stdin.take());
    line.clear();
    output.read_line(&mut line)?;
    service.wait()?;
    let counts: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [runs, twice] = counts[..] else { return Err("the service printed no counts".into()) };
    println!("{seconds} s: {} calls, {runs} runs, {twice} started twice", issued.load(Ordering::Relaxed));
    println!("live tasks, sockets: {before:?} before, {after:?} after");
    println!("resident memory: {memory_halfway} KiB halfway, {memory_end} KiB at the end");
    for (failed, problem) in [
        (twice > 0, "a run was started twice"),
        (after != before, "tasks or sockets were left"),
        (memory_end > memory_halfway + memory_halfway / 10 + 8_192, "memory grew"),
    ] {
        if failed {
            problems.push(problem.to_owned());
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("; ").into()) }
}

/// Makes one call after the other until the end, about twelve per second.
async fn call_until(end: Instant, client: Client, results: Arc<Mutex<Results>>, issued: Arc<AtomicU64>) {
    while Instant::now() < end {
        let number = issued.fetch_add(1, Ordering::Relaxed);
        let started = Instant::now();
        match call(&client, number).await {
            Ok(()) => lock(&results).succeeded += 1,
            Err(error) => {
                let (may_have_run, error) = (error.may_have_run(), error.to_string());
                lock(&results).lost.push(Lost { started, may_have_run, error });
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Sends a direct run, or reads the whole stream of a prompt.
async fn call(client: &Client, number: u64) -> Result<(), fetch_hive_client::Error> {
    if number % 4 > 0 {
        client.invoke_workflow(format!("d{number}")).input("n", number).await?;
    } else {
        let events = client.invoke_prompt(format!("d{number}")).input("text", "one two three").stream().await?;
        events.into_response().await.complete()?;
    }
    Ok(())
}
