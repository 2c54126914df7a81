//! Receives callbacks with axum. Each event is handled once, however often it is delivered and by however many processes: what a handler
//! does and that the event was handled are written to SQLite in one transaction.
//!
//! ```sh
//! cargo run --example axum_receiver                              # two receivers and the emulator, in one process
//! cargo run --example axum_receiver -- 127.0.0.1:8080 events.db  # a receiver alone; its secret is in FETCH_HIVE_WEBHOOK_SECRET
//! ```

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use fetch_hive_client::callback::{Received, Receiver, Verifier};
use fetch_hive_client::types::RequestId;
use fetch_hive_client::{BoxError, Client};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use fetch_hive_receivers::SqliteGuard;
use tokio::net::TcpListener;

/// What the handler writes: a report for each run that ended.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS reports (run TEXT, text TEXT)";

#[derive(Clone)]
struct App {
    receiver: Receiver,
    store: SqliteGuard,
}

impl App {
    fn new(receiver: Receiver, store: SqliteGuard) -> Self {
        // A handler that takes longer than the lease would run twice. This one takes milliseconds.
        let receiver = receiver
            .guard(store.clone())
            .lease(Duration::from_secs(3))
            .on_outcome(|outcome| eprintln!("callback {outcome}"));
        Self { receiver, store }
    }

    fn router(self) -> Router {
        // Below /callbacks/ are the runs that are waited for.
        Router::new().route("/callbacks", any(callbacks)).route("/callbacks/{*run}", any(callbacks)).with_state(self)
    }
}

async fn callbacks(State(app): State<App>, request: Request) -> impl IntoResponse {
    app.receiver.receive(request, |event| store_report(&app.store, event)).await
}

/// The handler. It runs after the signature was verified, and not for what was handled before.
async fn store_report(store: &SqliteGuard, event: Received) -> Result<(), BoxError> {
    let run = event.request_id.clone().map(RequestId::into_string);
    let text = event.callback.event.to_run().into_output()?.to_string();
    let claim = event.claim.ok_or("the receiver has a guard, so there is a claim")?;
    // For a receiver that is killed in the middle, as `cargo xtask callbacks` does.
    tokio::time::sleep(Duration::from_millis(3)).await;
    store
        .handle(&claim, move |transaction| {
            transaction.execute("INSERT INTO reports (run, text) VALUES (?1, ?2)", (run, text)).map(drop)
        })
        .await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => demonstrate().await,
        [address, file] => {
            let secret = env::var("FETCH_HIVE_WEBHOOK_SECRET")?;
            let app = App::new(Receiver::new(Verifier::new([secret])), SqliteGuard::open(file, SCHEMA)?);
            let listener = TcpListener::bind(address).await?;
            println!("listening on {}", listener.local_addr()?);
            Ok(axum::serve(listener, app.router()).await?)
        }
        _ => Err("give an address and a file, or nothing".into()),
    }
}

async fn demonstrate() -> Result<(), Box<dyn Error>> {
    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("weekly-report").webhook_secret("whsec_example"))
        .fault(Fault::callback_redeliver(2).nth(1))
        .fault(Fault::callback_bad_signature().nth(2).first_attempts(1))
        .start()
        .await?;
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;

    // Two receivers on two ports, each with a connection of its own to the same file.
    let file = env::temp_dir().join(format!("fetch-hive-receivers-{}.db", std::process::id()));
    let mut receivers = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/callbacks", listener.local_addr()?);
        let receiver = Receiver::new(Verifier::new(["whsec_example"])).callback_url(&url);
        let app = App::new(receiver, SqliteGuard::open(&file, SCHEMA)?);
        receivers.push((url, app.receiver.clone()));
        tokio::spawn(async move { axum::serve(listener, app.router()).await });
    }

    println!(
        "four runs, two at each receiver; the first is delivered three times, the second is signed wrongly at first"
    );
    for n in 0..4 {
        let (url, _) = &receivers[n % 2];
        client.invoke_workflow("weekly-report").input("n", n).callback_url(url).await?;
    }
    let store = rusqlite::Connection::open(&file)?;
    let reports = || store.query_row("SELECT count(*) FROM reports", [], |row| row.get::<_, u32>(0));
    while reports()? < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("and one that is waited for");
    let call = client.invoke_workflow("weekly-report").input("topic", "enterprise AI");
    let event = call.run_and_wait(&receivers[0].1, Duration::from_secs(60)).await?;
    println!("waited for: {}", event.output_as::<String>()?);

    println!("reports: {}, deliveries: {}", reports()?, emulator.deliveries().len());
    std::fs::remove_file(file)?;
    Ok(())
}
