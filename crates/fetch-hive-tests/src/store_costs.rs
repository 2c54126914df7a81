//! Measures what one run costs the PostgreSQL database of a store: transactions, round trips,
//! connections and bytes.
//!
//! `store-costs` starts a PostgreSQL server and prints the figures of the guide's page "Scale".

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fetch_hive_batch::{Batch, Mapping, Rows, Stop};
use fetch_hive_client::callback::{
    AcceptedRun, Delivery, PendingRuns as _, RawDelivery, RunToken, TakeResult, signed_request,
};
use fetch_hive_client::types::WebhookSecret;
use fetch_hive_client::{Client, RunLimiter, RunRequest};
use fetch_hive_emulator::{Deployment, Emulator};
use fetch_hive_store::Store;
use fetch_hive_tests::CallbackListener;
use fetch_hive_tests::process::BoxError;
use replicas::postgres::Postgres;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The runs of each measurement.
const RUNS: u64 = 200;
/// The rows whose size is measured.
const ROWS: u64 = 10_000;
/// The bytes of the body of an event.
const EVENT: usize = 4_096;
/// The runs that wait for a slot, and for how many seconds.
const WAITING: u64 = 20;
const SECONDS: u64 = 20;
/// An idle connection reports its transactions after 10 s.
const COUNTED: Duration = Duration::from_secs(11);
/// More than are in use, so that no task waits for a slot that is released in the background.
const SLOTS: u32 = 1_000;
/// The tasks that start runs or store events concurrently.
const TASKS: u64 = 8;

const RUN: RunRequest<'static> = RunRequest::new("invokeWorkflow", None);

fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Runtime::new() else { return ExitCode::FAILURE };
    match runtime.block_on(measure()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("store-costs: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Result<(), BoxError> {
    let server = Postgres::start()?.ok_or("PostgreSQL is not installed")?;
    println!("{}", server.query("SELECT version()")?);
    let database = Arc::new(Counted::start(server).await?);
    let store = Store::connect(&database.url).await?;
    runs(&database, &store).await?;
    slots(&database, &store).await?;
    waiting(&database, &store).await?;
    sizes(&database, &store).await
}

/// Measures runs one after another: direct ones, ones with a callback, and rows of a batch.
async fn runs(database: &Counted, store: &Store) -> Result<(), BoxError> {
    let emulator = Emulator::builder().deployment(Deployment::workflow("summarize")).start().await?;
    let listener = CallbackListener::bind_any().await?;
    let receiver = store.receiver(&listener.url());
    let limiter = store.run_limiter("runs", 3);
    let builder = Client::builder().api_key("fhk_costs").base_url(emulator.base_url());
    let client = builder.run_limiter(limiter.clone()).build()?;
    let _server = listener.serve(receiver.clone(), |_: Delivery| async { Ok(()) });

    let before = database.counts().await?;
    for _ in 0..RUNS {
        client.invoke_workflow("summarize").input("text", "a").await?;
    }
    database.print("direct run", before, RUNS).await?;

    let before = database.counts().await?;
    for _ in 0..RUNS {
        client.invoke_workflow("summarize").input("text", "a").run_and_wait(&receiver).await?;
    }
    database.print("run with a callback", before, RUNS).await?;

    let values = (1..=RUNS).map(|number| serde_json::json!([number, "a"]));
    let mapping = Mapping::workflow("summarize").columns(["text"]);
    let batch = Batch::create(store, "costs", Rows::from_iter(["id", "text"], values)?, &mapping).await?;
    let client = Client::builder().api_key("fhk_costs").base_url(emulator.base_url()).build()?;
    let before = database.counts().await?;
    batch.worker(&client, &limiter).run(&Stop::new()).await?;
    database.print("row of a batch with 3 slots", before, RUNS).await
}

/// Measures slots that are acquired and released by eight tasks as by eight processes, with one
/// limit and with eight.
async fn slots(database: &Counted, store: &Store) -> Result<(), BoxError> {
    for limits in [1, TASKS] {
        let before = Instant::now();
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let limiter = store.run_limiter(&format!("slots-{limits}-{}", task % limits), SLOTS);
            tasks.spawn(async move {
                for _ in 0..RUNS {
                    drop(Arc::clone(&limiter).acquire(RUN).await);
                }
            });
        }
        tasks.join_all().await;
        store.flush().await;
        let rate = u128::from(TASKS * RUNS * 1_000) / before.elapsed().as_millis().max(1);
        let connections = database.connections()?;
        println!("slots acquired and released, {TASKS} tasks, {limits} limits: {rate}/s, {connections} connections");
    }
    Ok(())
}

/// Measures runs that wait for a slot that nobody releases, and for one that is released.
async fn waiting(database: &Counted, store: &Store) -> Result<(), BoxError> {
    let limiter = store.run_limiter("waiting", 1);
    let permit = Arc::clone(&limiter).acquire(RUN).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..WAITING {
        let limiter = Arc::clone(&limiter);
        tasks.spawn(async move { drop(limiter.acquire(RUN).await) });
    }
    let before = database.counts().await?;
    sleep(Duration::from_secs(SECONDS).saturating_sub(COUNTED)).await;
    database.print("second of a waiting run", before, WAITING * SECONDS).await?;

    // Other limits, whose runs do not wait.
    let before = database.counts().await?;
    for number in 0..RUNS {
        drop(store.run_limiter(&format!("other-{}", number % 10), 1).acquire(RUN).await?);
        store.flush().await;
    }
    // They would be counted until the transactions have been reported.
    tasks.abort_all();
    database.print(&format!("run of another limit while {WAITING} runs wait"), before, RUNS).await?;
    drop(permit);
    store.flush().await;
    Ok(())
}

/// Measures the size of runs and batches, and the time to delete old runs.
async fn sizes(database: &Counted, store: &Store) -> Result<(), BoxError> {
    let empty = database.bytes("fetch_hive_run")?;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..ROWS / TASKS {
                event(&store).await?;
            }
            Ok::<_, BoxError>(())
        });
    }
    for result in tasks.join_all().await {
        result?;
    }
    println!("run with an event of {EVENT} bytes: {} bytes", (database.bytes("fetch_hive_run")? - empty) / ROWS);
    database.server.query("UPDATE fetch_hive_run SET state = 2, delivery = NULL, changed = 0")?;
    database.server.query("VACUUM FULL fetch_hive_run")?;
    println!("acknowledged run: {} bytes", (database.bytes("fetch_hive_run")? - empty) / ROWS);
    let before = Instant::now();
    let purged = store.purge().await?.runs;
    println!("purge of {purged} runs: {} ms", before.elapsed().as_millis());

    let empty = database.bytes("fetch_hive_batch_row")?;
    let values = (0..ROWS).map(|number| serde_json::json!([number, "x".repeat(200)]));
    let mapping = Mapping::workflow("summarize").columns(["text"]);
    let before = Instant::now();
    Batch::create(store, "sizes", Rows::from_iter(["id", "text"], values)?, &mapping).await?;
    let bytes = (database.bytes("fetch_hive_batch_row")? - empty) / ROWS;
    println!("row of a batch with 200 bytes: {bytes} bytes; {ROWS} rows stored in {} ms", before.elapsed().as_millis());
    Ok(())
}

/// Stores the event of a run, and takes it.
async fn event(store: &Store) -> Result<(), BoxError> {
    let (runs, token) = (store.pending_runs(), RunToken::random()?);
    runs.open(&token).await?;
    let id = format!("req_{}", token.as_str());
    runs.started(&token, AcceptedRun::new(Some(id.into()), Some(WebhookSecret::new("whsec_0123456789")))).await?;
    // PostgreSQL would compress a text that repeats.
    let numbers = (0..).map(|number: u64| format!("{:x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    let body: Vec<u8> = numbers.flat_map(String::into_bytes).take(EVENT).collect();
    let (parts, body) = signed_request("whsec_0123456789", body).into_parts();
    runs.deliver(&token, RawDelivery::new(parts.headers, body), true).await?;
    match runs.take(&token, Duration::from_secs(60)).await? {
        TakeResult::Event { .. } => Ok(()),
        other => Err(format!("the event was not taken: {other:?}").into()),
    }
}

/// A server behind a relay that counts the round trips.
struct Counted {
    server: Postgres,
    url: String,
    round_trips: Arc<AtomicU64>,
}

/// The transactions and the round trips until now.
#[derive(Clone, Copy)]
struct Counts([u64; 2]);

impl Counted {
    async fn start(server: Postgres) -> Result<Self, BoxError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("postgres://postgres@{}/postgres?sslmode=disable", listener.local_addr()?);
        let (round_trips, port) = (Arc::<AtomicU64>::default(), server.port());
        let counter = Arc::clone(&round_trips);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, port, Arc::clone(&counter)));
            }
        });
        Ok(Self { server, url, round_trips })
    }

    async fn counts(&self) -> Result<Counts, BoxError> {
        sleep(COUNTED).await;
        let sql = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'";
        Ok(Counts([self.server.query(sql)?.parse()?, self.round_trips.load(Ordering::Relaxed)]))
    }

    async fn print(&self, what: &str, Counts(before): Counts, count: u64) -> Result<(), BoxError> {
        let Counts(now) = self.counts().await?;
        let tenths = |index: usize| (now[index] - before[index]) * 10 / count;
        let [transactions, trips] = [tenths(0), tenths(1)].map(|tenths| format!("{}.{}", tenths / 10, tenths % 10));
        println!("{what}: {transactions} transactions, {trips} round trips");
        Ok(())
    }

    fn connections(&self) -> Result<u64, BoxError> {
        let sql =
            "SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        Ok(self.server.query(sql)?.parse()?)
    }

    /// Returns the size of a table with its indexes.
    fn bytes(&self, table: &str) -> Result<u64, BoxError> {
        Ok(self.server.query(&format!("SELECT pg_total_relation_size('{table}')"))?.parse()?)
    }
}

/// Forwards a connection. A round trip is a request after a response.
async fn relay(mut client: TcpStream, port: u16, round_trips: Arc<AtomicU64>) -> std::io::Result<()> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut response, mut is_answered) = (vec![0; 1 << 16], vec![0; 1 << 16], true);
    loop {
        tokio::select! {
            read = client.read(&mut request) => match read? {
                0 => return Ok(()),
                length => {
                    round_trips.fetch_add(u64::from(std::mem::replace(&mut is_answered, false)), Ordering::Relaxed);
                    server.write_all(&request[..length]).await?;
                }
            },
            read = server.read(&mut response) => match read? {
                0 => return Ok(()),
                length => {
                    is_answered = true;
                    client.write_all(&response[..length]).await?;
                }
            },
        }
    }
}
