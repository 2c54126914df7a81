//! Checks that `axum_receiver` handles each event exactly once, even if a process is killed.
//!
//! The emulator delivers callbacks to two receiver processes behind a load balancer. They share an
//! SQLite file. Some callbacks are redelivered, late or have a wrong signature. One process is
//! killed and restarted in the middle. Each genuine event must be handled exactly once, and no
//! forged one. `cargo xtask callbacks` builds and runs it.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fetch_hive_client::Client;
use fetch_hive_client::callback::sign;
use fetch_hive_client::types::WebhookSecret;
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use rusqlite::Connection;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

const SECRET: &str = "whsec_proof";

/// The maximum number of started runs whose events are not handled yet.
const MAX_PENDING: usize = 200;

/// The timeout of the whole test.
const TIMEOUT: Duration = Duration::from_secs(900);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let callbacks: usize = std::env::args().nth(1).map_or(Ok(10_000), |count| count.parse())?;
    let file = std::env::temp_dir().join(format!("fetch-hive-callbacks-{}.db", std::process::id()));
    let began = Instant::now();
    let survivor = Process::start(&file, "127.0.0.1:0")?;
    let mut victim = Process::start(&file, "127.0.0.1:0")?;
    let balancer = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/callbacks", balancer.local_addr()?);
    tokio::spawn(balance(balancer, [survivor.address, victim.address]));

    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("proof").webhook_secret(SECRET))
        .delivery(60, Duration::from_millis(100))
        .record_limit(1_000_000)
        .fault(Fault::callback_bad_signature().every(20))
        .fault(Fault::callback_redeliver(1).every(10).offset(1))
        .fault(Fault::callback_late(Duration::from_secs(2)).every(50).offset(3))
        .start()
        .await?;
    let client = Client::builder().api_key("fhk_proof").base_url(emulator.base_url()).build()?;
    let good = callbacks - callbacks / 20;

    let starting = tokio::spawn(start_runs(client, url, callbacks, Connection::open(&file)?));

    let store = Connection::open(&file)?;
    store.busy_timeout(Duration::from_secs(30))?;
    let count = |sql: &str| store.query_row(sql, [], |row| row.get::<_, u32>(0)).map(|count| count as usize);
    let reports = || count("SELECT count(*) FROM reports");
    let wait_for_reports = async |expected: usize| -> Result<(), Box<dyn Error>> {
        while reports()? < expected {
            if began.elapsed() > TIMEOUT {
                return Err(format!("only {} of {expected} events were handled", reports()?).into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    };
    wait_for_reports(good / 2).await?;
    let address = victim.address;
    victim.kill()?;
    println!("killed a receiver after {} of {good} events", reports()?);
    let open = count("SELECT count(*) FROM events WHERE lease_end > 0")?;
    println!("open claims after the kill: {open}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let _restarted = Process::start(&file, &address.to_string())?;
    println!("restarted it after {} of {good} events", reports()?);
    starting.await?.map_err(|error| error.to_string())?;
    wait_for_reports(good).await?;
    // Wait until each forged callback was delivered several times.
    let forged_deliveries = |deliveries: usize| {
        let mut of_run: BTreeMap<String, usize> = BTreeMap::new();
        for delivery in emulator.deliveries().iter().filter(|delivery| !is_good(delivery)) {
            *of_run.entry(delivery.request_id.clone()).or_default() += 1;
        }
        of_run.len() == callbacks / 20 && of_run.values().all(|count| *count >= deliveries)
    };
    while !forged_deliveries(3) && began.elapsed() < TIMEOUT {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let deliveries = emulator.deliveries();
    let bad: HashSet<_> = deliveries.iter().filter(|d| !is_good(d)).map(|d| d.request_id.clone()).collect();
    let mut accepted: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.outcome == Ok(200)) {
        *accepted.entry(&delivery.request_id).or_default() += 1;
    }
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for delivery in &deliveries {
        let status = delivery.outcome.as_ref().map_or_else(|_| "no response".to_owned(), ToString::to_string);
        *statuses.entry(status).or_default() += 1;
    }
    let mut handled: BTreeMap<String, usize> = BTreeMap::new();
    let mut outputs = HashSet::new();
    let mut rows = store.prepare("SELECT run, text FROM reports")?;
    for row in rows.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))? {
        let (run, text) = row?;
        *handled.entry(run).or_default() += 1;
        outputs.insert(text);
    }
    let more_than_once = handled.values().filter(|count| **count > 1).count();
    let bad_handled = handled.keys().filter(|run| bad.contains(*run)).count();
    let claimed_again = count("SELECT count(*) FROM events WHERE number > 1")?;
    let uncommitted = count("SELECT count(*) FROM events WHERE lease_end IS NOT NULL")?;
    println!("{callbacks} callbacks, {} deliveries in {:.1?}: {statuses:?}", deliveries.len(), began.elapsed());
    println!("redelivered after they were handled: {}", accepted.values().filter(|count| **count > 1).count());
    println!("claimed more than once: {claimed_again}; not committed: {uncommitted}");
    println!("good: {good}, handled: {}, more than once: {more_than_once}, outputs: {}", handled.len(), outputs.len());
    println!("bad: {}, handled: {bad_handled}", bad.len());
    drop((rows, survivor));
    let passed = handled.len() == good
        && outputs.len() == good
        && more_than_once == 0
        && uncommitted == 0
        && bad_handled == 0
        && bad.len() == callbacks / 20
        && deliveries.iter().filter(|delivery| !is_good(delivery)).all(|delivery| delivery.outcome != Ok(200));
    drop(store);
    remove(&file);
    if passed { Ok(()) } else { Err("some events were lost, handled twice or forged".into()) }
}

/// Starts the runs, with a limit on pending ones, so that runs are still being started during the
/// kill.
async fn start_runs(
    client: Client,
    url: String,
    callbacks: usize,
    store: Connection,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    store.busy_timeout(Duration::from_secs(30))?;
    for n in 0..callbacks {
        let min_reports = u32::try_from(n.saturating_sub(n / 20 + MAX_PENDING))?;
        while n % 50 == 0
            && store.query_row("SELECT count(*) FROM reports", [], |row| row.get::<_, u32>(0))? < min_reports
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        client.invoke_workflow("proof").input("n", n).callback_url(&url).await?;
    }
    Ok(())
}

/// Returns whether a delivery has the right signature.
fn is_good(delivery: &fetch_hive_emulator::Delivery) -> bool {
    delivery.signature == sign(&WebhookSecret::new(SECRET), &delivery.body)
}

fn remove(file: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", file.display()));
    }
}

/// A process with one receiver. It is killed when it is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(file: &Path, address: &str) -> Result<Self, Box<dyn Error>> {
        let program: PathBuf = std::env::current_exe()?.with_file_name("axum_receiver");
        let mut child = Command::new(program)
            .args([Path::new(address), file])
            .env("FETCH_HIVE_WEBHOOK_SECRET", SECRET)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().strip_prefix("listening on ").ok_or("the receiver did not start")?.parse()?;
        Ok(Self { child, address })
    }

    /// Kills the process, on Unix with SIGKILL.
    fn kill(&mut self) -> std::io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Forwards each connection to the next receiver that accepts it.
async fn balance(listener: TcpListener, receivers: [SocketAddr; 2]) {
    let turn = Arc::new(AtomicUsize::new(0));
    while let Ok((mut from, _)) = listener.accept().await {
        let turn = Arc::clone(&turn);
        tokio::spawn(async move {
            for _ in 0..receivers.len() {
                let receiver = receivers[turn.fetch_add(1, Ordering::SeqCst) % receivers.len()];
                if let Ok(mut to) = TcpStream::connect(receiver).await {
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                    return;
                }
            }
        });
    }
}
