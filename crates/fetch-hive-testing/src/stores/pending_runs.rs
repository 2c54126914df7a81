use std::time::Duration;

use fetch_hive_client::callback::{
    AcceptedRun, Changed, ClaimLost, DeliverResult, PendingRunState, PendingRuns, RawDelivery, RunToken, TakeResult,
};
use fetch_hive_client::types::WebhookSecret;
use http::{HeaderMap, HeaderValue};

use super::report::{CheckResult, ensure};
use crate::conformance::wait::{sleep, timeout};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(20);

type Runs<'a> = &'a dyn PendingRuns;

fn delivery(text: &str) -> RawDelivery {
    let mut headers = HeaderMap::new();
    headers.insert("x-fetch-hive-signature", HeaderValue::from_static("00ff"));
    RawDelivery::new(headers, text.to_owned())
}

async fn deliver(runs: Runs<'_>, token: &RunToken, text: &str, verified: bool) -> Result<DeliverResult, String> {
    runs.deliver(token, delivery(text), verified).await.map_err(|error| format!("deliver failed: {error}"))
}

async fn take(runs: Runs<'_>, token: &RunToken, lease: Duration) -> Result<TakeResult, String> {
    runs.take(token, lease).await.map_err(|error| format!("take failed: {error}"))
}

async fn take_event(runs: Runs<'_>, token: &RunToken, lease: Duration) -> Result<(RawDelivery, u64), String> {
    match take(runs, token, lease).await? {
        TakeResult::Event { delivery, taken } => Ok((delivery, taken)),
        other => Err(format!("take of a stored event returned {other:?}")),
    }
}

async fn take_nothing(runs: Runs<'_>, token: &RunToken) -> Result<Changed, String> {
    match take(runs, token, LONG).await? {
        TakeResult::Pending(changed) => Ok(changed),
        other => Err(format!("take without an event to take returned {other:?}")),
    }
}

fn random_token() -> Result<RunToken, String> {
    RunToken::random().map_err(|error| error.to_string())
}

async fn open(runs: Runs<'_>) -> Result<RunToken, String> {
    let token = random_token()?;
    runs.open(&token).await.map_err(|error| format!("open failed: {error}"))?;
    Ok(token)
}

/// Opens and starts a run, and returns its token.
async fn start(runs: Runs<'_>) -> Result<RunToken, String> {
    let token = open(runs).await?;
    let accepted = AcceptedRun::new(Some("req_conformance".into()), Some("whsec_conformance".into()));
    let held = runs.started(&token, accepted).await.map_err(|error| format!("started failed: {error}"))?;
    ensure(held.is_empty(), "started returned deliveries of a new run")?;
    Ok(token)
}

/// Delivers the verified end of a run.
async fn end(runs: Runs<'_>, token: &RunToken, text: &str) -> CheckResult {
    match deliver(runs, token, text, true).await? {
        DeliverResult::Stored | DeliverResult::Held | DeliverResult::Unacknowledged(_) => Ok(()),
        other => Err(format!("delivery of the end of a run returned {other:?}")),
    }
}

pub(super) async fn unknown_run(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = random_token()?;
    for verified in [false, true] {
        let result = deliver(second, &token, "{}", verified).await?;
        ensure(matches!(result, DeliverResult::UnknownRun), format!("delivery for an unknown run: {result:?}"))?;
    }
    let state = first.find(&token).await.map_err(|error| error.to_string())?;
    ensure(state.is_none(), "find returned a run for an unknown token")?;
    let result = take(first, &token, LONG).await?;
    ensure(matches!(result, TakeResult::UnknownRun), format!("take of an unknown run returned {result:?}"))
}

pub(super) async fn event_is_taken_once(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = start(first).await?;
    drop(take_nothing(first, &token).await?);
    end(second, &token, "one").await?;
    let (event, number) = take_event(first, &token, LONG).await?;
    ensure(event == delivery("one"), "the headers or the body of the event were changed")?;
    // A redelivery, even a different one, does not replace the event.
    deliver(second, &token, "two", true).await?;
    drop(take_nothing(second, &token).await?);
    first.acknowledge(&token, number).await.map_err(|error| format!("acknowledge failed: {error}"))?;
    for runs in [first, second] {
        let result = take(runs, &token, LONG).await?;
        ensure(matches!(result, TakeResult::Acknowledged), format!("take after the end returned {result:?}"))?;
        let again = deliver(runs, &token, "one", true).await?;
        ensure(matches!(again, DeliverResult::AlreadyStored), format!("redelivery after the end: {again:?}"))?;
        let state = runs.find(&token).await.map_err(|error| error.to_string())?;
        let has_secret = matches!(state, Some(PendingRunState::Started(run)) if run.webhook_secret.is_some());
        ensure(has_secret, "the secret is lost after the end, so redeliveries cannot be verified")?;
    }
    Ok(())
}

pub(super) async fn waiter_is_woken(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = start(first).await?;
    let mut changed = take_nothing(first, &token).await?;
    let mut deliver = Box::pin(end(second, &token, "event"));
    // The waiter waits before the event arrives.
    let early = timeout(Duration::from_millis(20), &mut changed).await;
    if early.is_some() {
        changed = take_nothing(first, &token).await?;
    }
    deliver.as_mut().await?;
    let began = std::time::Instant::now();
    while began.elapsed() < SOON {
        if timeout(SOON, &mut changed).await.is_none() {
            break;
        }
        match take(first, &token, LONG).await? {
            TakeResult::Event { taken: number, .. } => {
                return first.acknowledge(&token, number).await.map_err(|error| format!("acknowledge failed: {error}"));
            }
            TakeResult::Pending(next) => changed = next,
            other => return Err(format!("take after a wake-up returned {other:?}")),
        }
    }
    Err("the waiter was not woken within 20 s".into())
}

pub(super) async fn event_is_given_back(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = start(first).await?;
    end(first, &token, "event").await?;
    let (_, number) = take_event(first, &token, LONG).await?;
    first.give_back(&token, number).await.map_err(|error| format!("give_back failed: {error}"))?;
    let (event, again) = take_event(second, &token, LONG).await?;
    ensure(event == delivery("event") && again != number, "the event changed, or its number did not")?;
    // The first waiter has lost the event, so its number is refused.
    first.give_back(&token, number).await.map_err(|error| format!("give_back failed: {error}"))?;
    drop(take_nothing(first, &token).await?);
    ensure(first.acknowledge(&token, number).await.is_err(), "an event that was given back was acknowledged")?;
    second.acknowledge(&token, again).await.map_err(|error| format!("acknowledge failed: {error}"))
}

pub(super) async fn lease_expires(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = start(first).await?;
    end(first, &token, "event").await?;
    let (_, lost) = take_event(first, &token, SHORT).await?;
    drop(take_nothing(second, &token).await?);
    sleep(SHORT * 2).await;
    let (_, number) = take_event(second, &token, LONG).await?;
    for (action, result) in
        [("acknowledge", first.acknowledge(&token, lost).await), ("renew", first.renew(&token, lost, LONG).await)]
    {
        let error = result.err().ok_or_else(|| format!("{action} with a lost lease succeeded"))?;
        ensure(error.is::<ClaimLost>(), format!("{action} with a lost lease returned {error} instead of ClaimLost"))?;
    }
    second.acknowledge(&token, number).await.map_err(|error| format!("acknowledge failed: {error}"))
}

pub(super) async fn lease_is_renewed(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = start(first).await?;
    end(first, &token, "event").await?;
    let (_, number) = take_event(first, &token, SHORT).await?;
    first.renew(&token, number, LONG).await.map_err(|error| format!("renew failed: {error}"))?;
    sleep(SHORT * 2).await;
    drop(take_nothing(second, &token).await?);
    first.acknowledge(&token, number).await.map_err(|error| format!("acknowledge failed: {error}"))
}

pub(super) async fn unverified_are_held(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = open(first).await?;
    let texts = ["forged", "genuine"];
    for text in texts {
        let result = deliver(second, &token, text, false).await?;
        ensure(matches!(result, DeliverResult::Held), format!("an unverified delivery was not held: {result:?}"))?;
    }
    drop(take_nothing(first, &token).await?);
    let accepted = AcceptedRun::new(Some("req_conformance".into()), Some("whsec_conformance".into()));
    let held = first.started(&token, accepted).await.map_err(|error| format!("started failed: {error}"))?;
    ensure(held == texts.map(delivery), format!("{} of 2 held deliveries were returned in order", held.len()))?;
    let late = deliver(second, &token, "late", false).await?;
    ensure(matches!(late, DeliverResult::Started), format!("an unverified delivery after the start: {late:?}"))?;
    end(first, &token, "genuine").await?;
    take_event(second, &token, LONG).await.map(drop)?;
    // A run has limits for deliveries that nobody can verify.
    let flooded = open(first).await?;
    for _ in 0..1_000 {
        if let DeliverResult::BufferFull = deliver(second, &flooded, "forged", false).await? {
            return end(second, &flooded, "genuine").await;
        }
    }
    Err("1000 unverified deliveries of one run were held".into())
}

pub(super) async fn known_secret_is_kept(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = open(first).await?;
    let state = second.find(&token).await.map_err(|error| error.to_string())?;
    ensure(matches!(state, Some(PendingRunState::Opened)), format!("the state of an open run is {state:?}"))?;
    let accepted = AcceptedRun::new(Some("req_conformance".into()), Some("whsec_conformance".into()));
    for run in [accepted, AcceptedRun::default()] {
        first.started(&token, run).await.map_err(|error| format!("started failed: {error}"))?;
    }
    second.open(&token).await.map_err(|error| format!("open failed: {error}"))?;
    let Some(PendingRunState::Started(run)) = second.find(&token).await.map_err(|error| error.to_string())? else {
        return Err("a started run is not started in the other handle".into());
    };
    let secret = run.webhook_secret.as_ref().map(WebhookSecret::expose);
    ensure(secret == Some("whsec_conformance"), "the secret of a run was lost")?;
    ensure(run.request_id.as_ref().is_some_and(|id| id == "req_conformance"), "the request id of a run was lost")
}

pub(super) async fn canceled_run_is_forgotten(first: Runs<'_>, second: Runs<'_>) -> CheckResult {
    let token = open(first).await?;
    first.cancel(&token).await.map_err(|error| format!("cancel failed: {error}"))?;
    let result = deliver(second, &token, "{}", true).await?;
    ensure(matches!(result, DeliverResult::UnknownRun), format!("delivery for a canceled run returned {result:?}"))
}
