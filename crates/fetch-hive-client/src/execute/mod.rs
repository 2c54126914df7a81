//! Executes calls: the run limit, attempts and retries, timeouts, reading of bodies, and telemetry.

mod attempt;
mod body_buffer;
mod prepared_call;
mod report;
mod run_attempts;
mod run_limiter;
mod shared;
mod span;
mod telemetry;
mod timeout;

pub(crate) use self::body_buffer::{BodyBuffer, BodyTooLarge};
pub(crate) use self::prepared_call::{BuildRequest, Executed, PreparedCall, ResponseMode, random_bits};
pub(crate) use self::report::{AttemptHook, CallHook, RunHook, UsageHook};
pub use self::report::{AttemptReport, CallReport, RunReport, UsageReport};
use self::run_attempts::run_attempts;
pub use self::run_limiter::{MemoryRunLimiter, RunEnd, RunLimiter, RunLimiterUsage, RunPermit, RunRequest};
pub(crate) use self::shared::Shared;
pub(crate) use self::span::{Server, Span};
use self::telemetry::CallTelemetry;
pub(crate) use self::telemetry::{CANCELLED, RunTelemetry};
use crate::error::Error;

/// Executes one call as the retry engine decides.
pub(crate) async fn execute(shared: &Shared, call: &PreparedCall<'_>) -> Result<Executed, Error> {
    let mut telemetry = CallTelemetry::start(shared, call.operation, call.target);
    let span = telemetry.span.clone();
    let result = span.instrument(run_attempts(&mut telemetry, call)).await;
    let result = result.map_err(|error| {
        let error = error.with_attempts(telemetry.attempts, telemetry.waited).with_timeouts(call.timeouts);
        error
            .with_operation(call.operation)
            .failed_at(shared.clock.wall())
            .with_base_url(shared.api.base_url().as_str())
    });
    telemetry.end(result.as_ref().err());
    result
}
