use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::retry::{NextStep, Now, RetryEngine, RetryEvent};
use fetch_hive_core::types::RequestId;

use super::attempt::attempt;
use super::prepared_call::{Executed, PreparedCall, ResponseMode, random_bits};
use super::run_limiter::{RunEnd, RunPermit, RunRequest};
use super::telemetry::CallTelemetry;
use super::timeout::with_timeout;
use crate::error::{Error, ErrorKind, Timeout, TransportError};

/// Acquires a run permit if the operation needs one, and sends the request.
pub(super) async fn run_attempts(
    telemetry: &mut CallTelemetry<'_>,
    call: &PreparedCall<'_>,
) -> Result<Executed, Error> {
    let (shared, operation) = (telemetry.shared, telemetry.operation);
    let timed_out = |timeout| Error::new(operation.name, ErrorKind::Transport(TransportError::timeout(timeout)));
    let permit = match call.run_limiter {
        Some(limiter) if operation.occupies_run_slot => {
            let run = RunRequest::new(operation.name, call.target);
            let permit = if let Some(permit) = Arc::clone(limiter).try_acquire(run) {
                permit
            } else {
                let acquire = pin!(Arc::clone(limiter).acquire(run));
                let acquired = with_timeout(&*shared.clock, call.timeouts.deadline, Timeout::Queue, acquire).await;
                telemetry.queued = telemetry.elapsed();
                let acquired =
                    acquired.map_err(|_| timed_out(Timeout::Queue).with_paused_until(limiter.paused_until()))?;
                acquired.map_err(|error| Error::new(operation.name, ErrorKind::Store(error)))?
            };
            Some(permit)
        }
        _ => None,
    };
    // Boxed after the wait, so that a call in the queue takes little memory.
    Box::pin(send_attempts(telemetry, call, permit)).await
}

/// Sends attempts until the retry engine ends the call.
async fn send_attempts(
    telemetry: &mut CallTelemetry<'_>,
    call: &PreparedCall<'_>,
    mut permit: Option<RunPermit>,
) -> Result<Executed, Error> {
    let (shared, operation) = (telemetry.shared, telemetry.operation);
    let timed_out = |timeout| Error::new(operation.name, ErrorKind::Transport(TransportError::timeout(timeout)));
    let until_callback = call.mode == ResponseMode::UntilCallback;
    let mut engine = RetryEngine::new(operation.retry, call.retry, *call.timeouts);
    let mut step = engine.next(now(telemetry), RetryEvent::Started);
    let mut last = None;
    loop {
        (telemetry.attempts, telemetry.waited) = (engine.attempts(), engine.waited());
        match step {
            NextStep::Send(timeouts) => {
                set_active(&mut permit, true, None);
                telemetry.is_sending = true;
                let result = last.insert(attempt(telemetry, call, timeouts).await);
                telemetry.is_sending = false;
                let active = match result {
                    Ok((_, stream_body)) => stream_body.is_some() || until_callback,
                    Err(error) => error.run_may_be_active(),
                };
                let request_id = result.as_ref().err().filter(|_| active).and_then(Error::request_id);
                set_active(&mut permit, active, request_id);
                if let (Some(limiter), Err(error)) = (call.run_limiter, &result) {
                    if let Some(api) = error.api().filter(|api| api.rate_limit().is_some()) {
                        limiter.refused(api);
                    }
                }
                let event = match result {
                    Ok(_) => break,
                    Err(error) => match error.retry_event() {
                        Some(event) => event,
                        None => break,
                    },
                };
                step = engine.next(now(telemetry), event);
                let wait = match step {
                    NextStep::Send(_) => Duration::ZERO,
                    NextStep::Sleep(wait) => wait,
                    _ => break,
                };
                let error_type = result.as_ref().err().map_or("", Error::error_type);
                telemetry.span.retry(operation, engine.attempts(), error_type, wait);
            }
            NextStep::Sleep(duration) => {
                shared.clock.sleep(duration).await;
                step = engine.next(now(telemetry), RetryEvent::Slept);
            }
            _ => break,
        }
    }
    (telemetry.attempts, telemetry.waited) = (engine.attempts(), engine.waited());
    // A zero timeout ends the call before anything is sent, which is an elapsed connect timeout.
    let (response, stream_body) = last.unwrap_or_else(|| Err(timed_out(Timeout::Connect)))?;
    Ok(Executed {
        response,
        permit: permit.filter(|_| stream_body.is_some() || until_callback),
        stream_body,
        run: telemetry.run(),
        span: telemetry.span.clone(),
        attempts: telemetry.attempts,
        waited: telemetry.waited,
    })
}

fn set_active(permit: &mut Option<RunPermit>, active: bool, request_id: Option<RequestId>) {
    if let Some(permit) = permit {
        permit.set_end(if active { RunEnd::MayBeRunning { request_id } } else { RunEnd::Ended });
    }
}

fn now(telemetry: &CallTelemetry<'_>) -> Now {
    let wall_clock = telemetry.shared.clock.wall();
    Now { elapsed: telemetry.elapsed(), wall_clock, random: random_bits(wall_clock) }
}
