use fetch_hive_client::callback::{Claim, EventKey, PendingRuns as _, RunToken, SecretSource as _, UnverifiedDelivery};
use fetch_hive_store::{HistoryOutcome, OnStoreFailure, Store, StoreError};
use http::HeaderMap;

use super::{BODY, KEY, Printed, SECRET};

pub(crate) async fn store(printed: &mut Printed) {
    let file = std::env::temp_dir().join(format!("fetch-hive-redaction-{}.db", std::process::id()));
    let builder = Store::builder().seal_with("key-1", &[7; 32]).unwrap();
    print!(printed, debug: fetch_hive_store::StoreBuilder = Store::builder().seal_with("key-1", &[7; 32]).unwrap(););
    let store = builder.open(&file).await.unwrap();
    store.put_secret("weekly-report", &SECRET.into()).await.unwrap();
    let limiter = store.run_limiter_builder("plan", 3).on_store_failure(OnStoreFailure::StartAnyway);
    let claim = Claim::new(EventKey::new(KEY), 1);
    print!(printed, debug:
        fetch_hive_store::Store = store.clone();
        fetch_hive_store::StoreDedup = store.dedup();
        fetch_hive_store::StorePendingRuns = store.pending_runs();
        fetch_hive_store::StoreSecrets = store.secrets();
        fetch_hive_store::StoreRunLimiterBuilder = limiter;
        fetch_hive_store::CommitStatement = store.dedup().commit_statement(&claim);
        fetch_hive_store::OnStoreFailure = OnStoreFailure::Fail;
        fetch_hive_store::Purged = store.purge().await.unwrap();
    );
    let history = store.history();
    let number = history.start(BODY, "invokeWorkflow", Some("w")).await.unwrap();
    let outcome = HistoryOutcome { error: Some(BODY.to_owned()), ..HistoryOutcome::default() };
    history.finish(number, &outcome).await.unwrap();
    print!(printed, debug:
        fetch_hive_store::HistoryEntry = history.get(number).await.unwrap().unwrap();
        fetch_hive_store::HistoryOutcome = outcome;
        fetch_hive_store::StoreHistory = history.clone();
    );
    printed.debug("fetch_hive_store::StoreRunLimiter", &*store.run_limiter("plan", 3));
    // Without the key, the stored secret is an error that does not show it.
    let other = Store::open(&file).await.unwrap();
    let (headers, body) = (HeaderMap::new(), BODY.into());
    let error = other.secrets().secrets(&UnverifiedDelivery::new("/", &headers, &body)).await.unwrap_err();
    printed.error("fetch_hive_store::StoreError", error.downcast_ref::<StoreError>().unwrap());
    let token = RunToken::parse("run-0123456789abcdef0123456789abcdef").unwrap();
    store.pending_runs().open(&token).await.unwrap();
    drop((store, other));
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
    }
}
