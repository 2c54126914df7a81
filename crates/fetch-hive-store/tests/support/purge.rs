//! A check of the purge that every database must pass.

use std::time::Duration;

use bytes::Bytes;
use fetch_hive_client::callback::{
    AcceptedRun, ClaimResult, DedupStore as _, DeliverResult, EventKey, PendingRuns as _, RawDelivery, RunToken,
    TakeResult,
};
use fetch_hive_store::{Purged, Store};

const LONG: Duration = Duration::from_secs(60);

fn event() -> RawDelivery {
    RawDelivery::new(http::HeaderMap::new(), Bytes::from("{}"))
}

/// `execute` runs a statement in the database of the store.
pub async fn keeps_what_is_not_settled(store: &Store, execute: impl Fn(&str)) {
    let (runs, dedup) = (store.pending_runs(), store.dedup());
    let [acknowledged, stored, unstarted, recent] = [(); 4].map(|()| RunToken::random().unwrap());
    for token in [&acknowledged, &stored, &unstarted] {
        runs.open(token).await.unwrap();
    }
    for token in [&acknowledged, &stored] {
        runs.started(token, AcceptedRun::new(Some("req_1".into()), None)).await.unwrap();
        runs.deliver(token, event(), true).await.unwrap();
    }
    assert!(matches!(runs.deliver(&unstarted, event(), false).await.unwrap(), DeliverResult::Held));
    let TakeResult::Event { taken, .. } = runs.take(&acknowledged, LONG).await.unwrap() else { panic!("no event") };
    runs.acknowledge(&acknowledged, taken).await.unwrap();
    for (key, is_committed) in [("committed", true), ("claimed", false)] {
        let ClaimResult::Acquired(claim) = dedup.claim(&EventKey::new(key), LONG).await.unwrap() else {
            panic!("{key}")
        };
        if is_committed {
            dedup.commit(&claim).await.unwrap();
        }
    }
    assert_eq!(store.purge().await.unwrap(), Purged::default());
    assert!(runs.find(&unstarted).await.unwrap().is_some());
    execute("UPDATE fetch_hive_run SET changed = 0");
    execute("UPDATE fetch_hive_event SET changed = 0");
    runs.open(&recent).await.unwrap();
    assert!(matches!(runs.deliver(&recent, event(), false).await.unwrap(), DeliverResult::Held));
    // The numbers of held deliveries can be equal, because concurrent transactions choose them.
    execute("UPDATE fetch_hive_held SET number = 1");

    let purged = store.purge().await.unwrap();
    assert_eq!((purged.runs, purged.unstarted_runs, purged.events), (1, 1, 1));
    assert!(runs.find(&acknowledged).await.unwrap().is_none());
    assert!(runs.find(&unstarted).await.unwrap().is_none());
    let held = runs.started(&recent, AcceptedRun::new(None, None)).await.unwrap();
    assert_eq!(held.len(), 1, "the delivery of another run is kept");
    // A new run with the same token has none of the old deliveries.
    runs.open(&unstarted).await.unwrap();
    assert!(runs.started(&unstarted, AcceptedRun::new(None, None)).await.unwrap().is_empty());
    // The event of the other run is still there, until it is erased.
    assert!(matches!(runs.take(&stored, Duration::ZERO).await.unwrap(), TakeResult::Event { .. }));
    assert!(store.erase_run(&"req_1".into()).await.unwrap());
    assert!(!store.erase_run(&"req_1".into()).await.unwrap());
    assert!(matches!(runs.take(&stored, LONG).await.unwrap(), TakeResult::UnknownRun));
}
