//! Receives callbacks with axum and handles each event exactly once, even in several processes. The
//! handler writes its result and commits its claim in one SQLite transaction.
//!
//! ```sh
//! # Two receivers and the emulator in one process:
//! cargo run --example axum_receiver
//! # One receiver:
//! export FETCH_HIVE_WEBHOOK_SECRET=whsec_...
//! cargo run --example axum_receiver -- 127.0.0.1:8080 events.db
//! ```

use std::env;
use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use fetch_hive_client::callback::{Delivery, Receiver, Verifier};
use fetch_hive_client::types::RequestId;
use fetch_hive_client::{BoxError, Client};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use fetch_hive_receivers::SqliteDedupStore;
use tokio::net::TcpListener;

/// The table of the handler, with one report per run.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS reports (run TEXT, text TEXT)";

#[derive(Clone)]
struct App {
    receiver: Receiver,
    store: SqliteDedupStore,
}

impl App {
    fn new(receiver: Receiver, store: SqliteDedupStore) -> Self {
        // The lease must be longer than the handler ever takes. This handler takes milliseconds.
        let receiver = receiver
            .dedup(store.clone())
            .lease(Duration::from_secs(3))
            .on_delivery(|report| eprintln!("callback {}", report.outcome));
        Self { receiver, store }
    }

    fn router(self) -> Router {
        // Each run that `run_and_wait` starts has its own URL below /callbacks.
        Router::new().route("/callbacks", any(callbacks)).route("/callbacks/{*run}", any(callbacks)).with_state(self)
    }
}

async fn callbacks(State(app): State<App>, request: Request) -> impl IntoResponse {
    app.receiver.receive(request, |delivery| store_report(&app.store, delivery)).await
}

/// Handles an event: stores a report of the run.
async fn store_report(store: &SqliteDedupStore, delivery: Delivery) -> Result<(), BoxError> {
    let run = delivery.event.request_id.clone().map(RequestId::into_string);
    // The event of a failed run is handled too. An error would ask the service to redeliver it.
    let output = delivery.event.to_run().into_output();
    let text = output.map_or_else(|error| format!("failed: {error}"), |output| output.to_string());
    let claim = delivery.claim.ok_or("the receiver has no dedup store")?;
    // Gives `cargo xtask callbacks` time to kill the process in the middle of a handler.
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
            let app = App::new(Receiver::new(Verifier::new([secret])), SqliteDedupStore::open(file, SCHEMA)?);
            let listener = TcpListener::bind(address).await?;
            println!("listening on {}", listener.local_addr()?);
            Ok(axum::serve(listener, app.router()).await?)
        }
        _ => Err("usage: axum_receiver [ADDRESS FILE]".into()),
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

    // Two receivers on two ports, each with its own connection to the same file.
    let file = env::temp_dir().join(format!("fetch-hive-receivers-{}.db", std::process::id()));
    let mut receivers = Vec::new();
    for _ in 0..2 {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/callbacks", listener.local_addr()?);
        let receiver = Receiver::new(Verifier::new(["whsec_example"])).callback_url(&url);
        let app = App::new(receiver, SqliteDedupStore::open(&file, SCHEMA)?);
        receivers.push((url, app.receiver.clone()));
        tokio::spawn(async move { axum::serve(listener, app.router()).await });
    }

    println!("starting four runs; the first is delivered three times, the second has a wrong signature at first");
    for n in 0..4 {
        let (url, _) = &receivers[n % 2];
        client.invoke_workflow("weekly-report").input("n", n).callback_url(url).await?;
    }
    let store = rusqlite::Connection::open(&file)?;
    let reports = || store.query_row("SELECT count(*) FROM reports", [], |row| row.get::<_, u32>(0));
    while reports()? < 4 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("starting a run and waiting for it");
    let call = client.invoke_workflow("weekly-report").input("topic", "enterprise AI");
    let delivery = call.run_and_wait(&receivers[0].1).timeout(Duration::from_secs(60)).await?;
    println!("waited for: {}", delivery.event.output_as::<String>()?);

    println!("reports: {}, deliveries: {}", reports()?, emulator.deliveries().len());
    std::fs::remove_file(file)?;
    Ok(())
}
