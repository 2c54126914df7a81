//! The history, on both databases.

use std::time::Duration;

use fetch_hive_store::{HistoryOutcome, Store};

/// Two processes add entries to one history, and a killed command leaves one without an outcome.
pub async fn history_is_shared_by_processes(first: &Store, second: &Store) {
    let (mine, theirs) = (first.history(), second.history());
    assert_eq!(mine.start("workflow run w", "invokeWorkflow", Some("w")).await.unwrap(), 1);
    assert_eq!(theirs.start("api POST /x", "api", None).await.unwrap(), 2);
    mine.set_request_id(1, "req_1").await.unwrap();
    let outcome = HistoryOutcome {
        verdict: "ok".to_owned(),
        duration: Duration::from_millis(1_500),
        tokens: Some(7),
        ..HistoryOutcome::default()
    };
    mine.finish(1, &outcome).await.unwrap();
    let entries = theirs.list(10).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!((entries[0].target.as_deref(), &entries[0].outcome), (None, &None));
    let entry = theirs.get(1).await.unwrap().unwrap();
    assert_eq!((entry.arguments.as_str(), entry.request_id.as_deref()), ("workflow run w", Some("req_1")));
    // The id that was stored first is kept.
    assert_eq!(entry.outcome, Some(HistoryOutcome { request_id: Some("req_1".to_owned()), ..outcome }));
    assert!(entry.started > 1_600_000_000_000);
    assert_eq!(theirs.get(3).await.unwrap(), None);
    assert_eq!(mine.clear().await.unwrap(), 2);
    // Numbers are not used again.
    assert_eq!(mine.start("x", "api", None).await.unwrap(), 3);
}
