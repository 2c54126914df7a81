use std::pin::pin;
use std::time::Duration;

use fetch_hive_core::Timeouts;
use fetch_hive_core::engine::{Action, Call, Input, Moment, RetryPolicy};

use super::attempt::attempt;
use super::telemetry::CallTelemetry;
use super::timeout::with_timeout;
use super::{BuildRequest, Executed, Requirements, RunPermit, random_bits};
use crate::error::{Error, ErrorKind, Timeout, TransportError};

/// Acquires a run permit if the operation needs one, and sends attempts until the retry engine ends the call.
pub(super) async fn run_attempts(
    telemetry: &mut CallTelemetry<'_>,
    timeouts: Timeouts,
    retry: RetryPolicy,
    requirements: Requirements,
    build: &BuildRequest<'_>,
) -> Result<Executed, Error> {
    let (shared, operation) = (telemetry.shared, telemetry.operation);
    let timed_out = |timeout| Error::new(operation.name, ErrorKind::Transport(TransportError::timeout(timeout)));
    let mut permit = match &shared.run_limiter {
        Some(limiter) if operation.runs => {
            let acquire = pin!(limiter.acquire());
            let acquired = with_timeout(&*shared.clock, timeouts.deadline, Timeout::Queue, acquire).await;
            telemetry.queued = telemetry.elapsed();
            Some(acquired.map_err(|_| timed_out(Timeout::Queue))?)
        }
        _ => None,
    };
    let mut call = Call::new(operation.repeat, retry, timeouts);
    let mut action = call.next(moment(telemetry), Input::Begin);
    let mut last = None;
    loop {
        (telemetry.attempts, telemetry.waited) = (call.attempts(), call.waited());
        match action {
            Action::Send(timeouts) => {
                set_active(&mut permit, true);
                let result = last.insert(attempt(telemetry, timeouts, requirements, build).await);
                let active = match result {
                    Ok((_, stream_body)) => stream_body.is_some(),
                    Err(error) => error.run_may_be_active(),
                };
                set_active(&mut permit, active);
                let input = match result {
                    Ok(_) => break,
                    Err(error) => match error.kind() {
                        ErrorKind::Api(api) => Input::Refused(api),
                        ErrorKind::Transport(error) if error.is_not_sent() => Input::NotSent,
                        ErrorKind::Transport(_) => Input::MayHaveRun,
                        _ => break,
                    },
                };
                action = call.next(moment(telemetry), input);
                let wait = match action {
                    Action::Send(_) => Duration::ZERO,
                    Action::Sleep(wait) => wait,
                    _ => break,
                };
                let error_type = result.as_ref().err().map_or("", Error::error_type);
                telemetry.span.retry(operation, call.attempts(), error_type, wait);
            }
            Action::Sleep(duration) => {
                shared.clock.sleep(duration).await;
                action = call.next(moment(telemetry), Input::Slept);
            }
            _ => break,
        }
    }
    (telemetry.attempts, telemetry.waited) = (call.attempts(), call.waited());
    // A zero timeout ends the call before anything is sent, which is an elapsed connect timeout.
    let (response, stream_body) = last.unwrap_or_else(|| Err(timed_out(Timeout::Connect)))?;
    Ok(Executed {
        response,
        permit: permit.filter(|_| stream_body.is_some()),
        stream_body,
        span: telemetry.span.clone(),
        attempts: telemetry.attempts,
        waited: telemetry.waited,
    })
}

fn set_active(permit: &mut Option<RunPermit>, active: bool) {
    if let Some(permit) = permit {
        permit.set_active(active);
    }
}

fn moment(telemetry: &CallTelemetry<'_>) -> Moment {
    Moment { elapsed: telemetry.elapsed(), wall: telemetry.shared.clock.wall(), random: random_bits() }
}
