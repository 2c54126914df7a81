use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fetch_hive_client::{RunEnd, RunLimiter, RunPermit, RunRequest};

use super::report::{CheckResult, ensure};
use crate::conformance::wait::timeout;

const SOON: Duration = Duration::from_secs(20);
/// A time in which a permit would be granted by mistake.
const A_WHILE: Duration = Duration::from_millis(400);

const RUN: RunRequest<'static> = RunRequest::new("invokeWorkflow", Some("conformance"));

async fn acquire(limiter: &Arc<dyn RunLimiter>) -> Result<RunPermit, String> {
    match timeout(SOON, Arc::clone(limiter).acquire(RUN)).await {
        Some(Ok(permit)) => Ok(permit),
        Some(Err(error)) => Err(format!("acquire failed: {error}")),
        None => Err("a free slot was not granted within 20 s".into()),
    }
}

async fn is_full(limiter: &Arc<dyn RunLimiter>) -> bool {
    timeout(A_WHILE, Arc::clone(limiter).acquire(RUN)).await.is_none()
}

pub(super) async fn limit_is_kept(first: &Arc<dyn RunLimiter>, second: &Arc<dyn RunLimiter>) -> CheckResult {
    let held = [acquire(first).await?, acquire(second).await?];
    for limiter in [first, second] {
        ensure(is_full(limiter).await, "a third permit of a limiter with two slots was granted")?;
        ensure(Arc::clone(limiter).try_acquire(RUN).is_none(), "try_acquire exceeded the limit")?;
    }
    drop(held);
    drop((acquire(second).await?, acquire(first).await?));
    Ok(())
}

pub(super) async fn queue_is_fair(first: &Arc<dyn RunLimiter>, second: &Arc<dyn RunLimiter>) -> CheckResult {
    let mut held = vec![acquire(first).await?, acquire(first).await?];
    let limiters = [first, second, first, second];
    let mut waiting = Vec::new();
    for limiter in limiters {
        let mut acquire = Arc::clone(limiter).acquire(RUN);
        // Each waiter joins the queue before the next one.
        let joined = timeout(A_WHILE, poll_fn(|cx| acquire.as_mut().poll(cx).map(drop))).await;
        ensure(joined.is_none(), "a permit beyond the limit was granted")?;
        waiting.push(Some(acquire));
    }
    for expected in 0..waiting.len() {
        held.pop();
        let granted = poll_fn(|cx| {
            for (index, acquire) in waiting.iter_mut().enumerate() {
                if let Some(Poll::Ready(permit)) = acquire.as_mut().map(|acquire| acquire.as_mut().poll(cx)) {
                    *acquire = None;
                    return Poll::Ready((index, permit));
                }
            }
            Poll::Pending
        });
        let Some((index, permit)) = timeout(SOON, granted).await else {
            return Err("a freed slot was not granted within 20 s".into());
        };
        held.push(permit.map_err(|error| format!("acquire failed: {error}"))?);
        ensure(index == expected, format!("waiter {index} was served before waiter {expected}"))?;
    }
    Ok(())
}

pub(super) async fn leaving_loses_no_slot(first: &Arc<dyn RunLimiter>, second: &Arc<dyn RunLimiter>) -> CheckResult {
    let held = (acquire(first).await?, acquire(second).await?);
    for limiter in [first, second, first] {
        ensure(is_full(limiter).await, "a permit beyond the limit was granted")?;
    }
    drop(held);
    // The waiters above left the queue, so both slots are free.
    drop((acquire(first).await?, acquire(second).await?));
    Ok(())
}

pub(super) async fn unresolved_run_keeps_its_slot(
    first: &Arc<dyn RunLimiter>,
    second: &Arc<dyn RunLimiter>,
) -> CheckResult {
    let mut lost = acquire(first).await?;
    let held = acquire(second).await?;
    lost.set_end(RunEnd::MayBeRunning { request_id: Some("req_conformance".into()) });
    drop(lost);
    ensure(is_full(second).await, "the slot of an unresolved run was free at once")?;
    second.run_ended(&"req_conformance".into());
    let again = acquire(first).await?;
    drop((held, again));
    Ok(())
}
