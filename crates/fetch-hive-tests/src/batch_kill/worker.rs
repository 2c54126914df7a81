//! One worker process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use fetch_hive_batch::{Batch, Stop};
use fetch_hive_client::Client;
use fetch_hive_client::callback::{Delivery, Receiver};
use fetch_hive_store::{Store, StoreRunLimiter};
use fetch_hive_tests::process::BoxError;
use tokio::net::TcpListener;

/// The concurrent runs that the plan allows.
pub(crate) const MAX_RUNS: u32 = 3;

/// Short, so that the test does not wait long for the rows of killed workers.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// Short, so that a run whose event no worker received is looked up soon.
pub(crate) const MAX_RUN_TIME: Duration = Duration::from_secs(10);

/// How long the slot of a killed worker stays occupied.
const HOLD: Duration = Duration::from_millis(500);

pub(crate) async fn open(database: &str) -> Result<Store, BoxError> {
    let is_url = database.starts_with("postgres://");
    Ok(if is_url { Store::connect(database).await? } else { Store::open(database).await? })
}

pub(crate) fn client(base_url: &str) -> Result<Client, BoxError> {
    Ok(Client::builder().api_key("fhk_batch").base_url(base_url).build()?)
}

pub(crate) fn limiter(store: &Store) -> Arc<StoreRunLimiter> {
    store.run_limiter_builder("plan", MAX_RUNS).lease(HOLD).unresolved_run_hold(HOLD).build()
}

pub(crate) async fn run(
    database: &str,
    base_url: &str,
    name: &str,
    folder: &Path,
    callback_url: &str,
) -> Result<(), BoxError> {
    let store = open(database).await?;
    let batch = Batch::open(&store, name).await?;
    let (client, limiter) = (client(base_url)?, limiter(&store));
    let receiver = store.receiver(callback_url);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let router = Router::new().route("/callbacks/{*run}", any(receive)).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    loop {
        let mut worker = batch.worker(&client, &limiter).lease(LEASE).max_run_time(MAX_RUN_TIME).spill_folder(folder);
        if name == "callbacks" {
            worker = worker.callbacks(receiver.clone());
        }
        worker.run(&Stop::new()).await?;
        // The test resumes a paused batch.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn receive(State(receiver): State<Receiver>, request: Request) -> impl IntoResponse {
    receiver.receive(request, |_: Delivery| async { Ok::<_, BoxError>(()) }).await
}
