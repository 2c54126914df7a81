use std::time::Duration;

use fetch_hive_client::callback::{Claim, ClaimLost, ClaimResult, DedupStore, EventKey, RunToken};

use super::report::{CheckResult, ensure};
use crate::conformance::wait::{join_all, sleep};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);

fn random_key() -> Result<EventKey, String> {
    Ok(EventKey::new(RunToken::random().map_err(|error| error.to_string())?.as_str()))
}

async fn claim(store: &dyn DedupStore, key: &EventKey, lease: Duration) -> Result<ClaimResult, String> {
    store.claim(key, lease).await.map_err(|error| format!("claim failed: {error}"))
}

async fn acquire(store: &dyn DedupStore, key: &EventKey, lease: Duration) -> Result<Claim, String> {
    match claim(store, key, lease).await? {
        ClaimResult::Acquired(claim) => Ok(claim),
        other => Err(format!("a free event is {other:?}")),
    }
}

pub(super) async fn event_is_claimed_once(first: &dyn DedupStore, second: &dyn DedupStore) -> CheckResult {
    let key = random_key()?;
    let held = acquire(first, &key, LONG).await?;
    ensure(claim(second, &key, LONG).await? == ClaimResult::InProgress, "a claimed event is not in progress")?;
    acquire(second, &random_key()?, LONG).await?;
    for _ in 0..2 {
        first.commit(&held).await.map_err(|error| format!("commit failed: {error}"))?;
    }
    first.release(&held).await.map_err(|error| format!("release failed: {error}"))?;
    let handled = claim(second, &key, LONG).await?;
    ensure(handled == ClaimResult::AlreadyHandled, format!("a committed event is {handled:?}"))
}

pub(super) async fn released_event_is_claimed_again(first: &dyn DedupStore, second: &dyn DedupStore) -> CheckResult {
    let key = random_key()?;
    let held = acquire(first, &key, LONG).await?;
    first.release(&held).await.map_err(|error| format!("release failed: {error}"))?;
    let again = acquire(second, &key, LONG).await?;
    ensure(again.number != held.number, "two claims of an event have the same number")
}

pub(super) async fn expired_claim_is_lost(first: &dyn DedupStore, second: &dyn DedupStore) -> CheckResult {
    let key = random_key()?;
    let lost = acquire(first, &key, SHORT).await?;
    sleep(SHORT * 2).await;
    let held = acquire(second, &key, LONG).await?;
    for (action, result) in [("commit", first.commit(&lost).await), ("renew", first.renew(&lost, LONG).await)] {
        let error = result.err().ok_or_else(|| format!("{action} of a lost claim succeeded"))?;
        ensure(error.is::<ClaimLost>(), format!("{action} of a lost claim returned {error} instead of ClaimLost"))?;
    }
    first.release(&lost).await.map_err(|error| format!("release of a lost claim failed: {error}"))?;
    let state = claim(first, &key, LONG).await?;
    ensure(state == ClaimResult::InProgress, format!("releasing a lost claim released the new one: {state:?}"))?;
    second.commit(&held).await.map_err(|error| format!("commit failed: {error}"))
}

pub(super) async fn lease_is_renewed(first: &dyn DedupStore, second: &dyn DedupStore) -> CheckResult {
    let key = random_key()?;
    let held = acquire(first, &key, SHORT).await?;
    first.renew(&held, LONG).await.map_err(|error| format!("renew failed: {error}"))?;
    sleep(SHORT * 2).await;
    let state = claim(second, &key, LONG).await?;
    ensure(state == ClaimResult::InProgress, format!("an event whose lease was renewed is {state:?}"))?;
    first.release(&held).await.map_err(|error| format!("release failed: {error}"))
}

pub(super) async fn concurrent_claims(first: &dyn DedupStore, second: &dyn DedupStore) -> CheckResult {
    for _ in 0..10 {
        let key = &random_key()?;
        let claims = (0..8).map(|n| -> std::pin::Pin<Box<dyn Future<Output = _> + Send + '_>> {
            let store = if n % 2 == 0 { first } else { second };
            Box::pin(async move { claim(store, key, LONG).await })
        });
        let results = join_all(claims.collect()).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        let acquired = results.iter().filter(|result| matches!(result, ClaimResult::Acquired(_))).count();
        ensure(acquired == 1, format!("{acquired} of 8 concurrent claims of one event succeeded"))?;
    }
    Ok(())
}
