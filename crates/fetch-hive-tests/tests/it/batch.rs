//! Batches against the emulator: the states of rows, pauses, limits and stops.

mod callbacks;
mod disk;
mod limits;
mod outcomes;
mod resume;
mod standby;

use std::path::PathBuf;
use std::time::Duration;

use fetch_hive_batch::{Batch, Mapping, RowStatus, Rows, Worker};
use fetch_hive_client::Client;
use fetch_hive_emulator::{Emulator, EmulatorBuilder};
use fetch_hive_store::Store;
use serde_json::json;

/// A store in a temporary folder, and an emulator with the workflow `summarise`.
struct Setup {
    folder: PathBuf,
    store: Store,
    emulator: Emulator,
    client: Client,
}

impl Setup {
    async fn start(configure: impl FnOnce(EmulatorBuilder) -> EmulatorBuilder) -> Self {
        let name = format!("fetch-hive-batch-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let store = Store::open(folder.join("runs.db")).await.unwrap();
        let emulator = configure(Emulator::builder()).start().await.unwrap();
        let client =
            Client::builder().api_key("fhk_test").base_url(emulator.base_url()).allow_plain_http().build().unwrap();
        Self { folder, store, emulator, client }
    }

    /// Creates a batch with this many rows.
    async fn batch(&self, rows: usize) -> Batch {
        self.batch_of(rows, &Mapping::workflow("summarise").input("text", "text")).await
    }

    async fn batch_of(&self, rows: usize, mapping: &Mapping) -> Batch {
        Batch::create(&self.store, "reviews", self::rows(rows), mapping).await.unwrap()
    }

    fn worker(&self, batch: &Batch) -> Worker {
        batch.worker(&self.client, &self.store.run_limiter("plan", 3)).spill_folder(&self.folder)
    }

    /// Returns how often the service started a run.
    fn runs(&self) -> usize {
        self.emulator.runs().len()
    }
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn rows(count: usize) -> Rows {
    Rows::from_iter(["id", "text"], (1..=count).map(|id| json!([id, format!("text {id}")]))).unwrap()
}

async fn count(batch: &Batch, status: RowStatus) -> u64 {
    batch.progress().await.unwrap().count(status)
}

const SECOND: Duration = Duration::from_secs(1);
