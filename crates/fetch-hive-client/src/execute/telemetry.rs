//! Records calls and attempts in spans, and reports them to the hooks for metrics.
//!
//! A call or an attempt that is dropped before it ends is recorded as cancelled.

use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::Operation;
use fetch_hive_core::types::RequestId;
use http::StatusCode;

use super::report::{AttemptReport, CallReport, RunHook, RunReport};
use super::shared::Shared;
use super::span::Span;
use crate::clock::{Clock, Stopwatch};
use crate::error::Error;

/// The error type of a call, an attempt or a stream that was dropped.
pub(crate) const CANCELLED: &str = "cancelled";

pub(crate) struct CallTelemetry<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) operation: &'a Operation,
    target: Option<&'a str>,
    pub(crate) span: Span,
    started: Stopwatch,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
    pub(crate) queued: Duration,
    /// Whether an attempt is in progress.
    pub(crate) is_sending: bool,
    ended: bool,
}

impl<'a> CallTelemetry<'a> {
    pub(crate) fn start(shared: &'a Shared, operation: &'a Operation, target: Option<&'a str>) -> Self {
        let (span, started) = (Span::call(operation), Stopwatch::start(&*shared.clock));
        let zero = Duration::ZERO;
        Self {
            shared,
            operation,
            target,
            span,
            started,
            attempts: 0,
            waited: zero,
            queued: zero,
            is_sending: false,
            ended: false,
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed(&*self.shared.clock)
    }

    pub(crate) fn end(&mut self, error: Option<&Error>) {
        if let Some(id) = error.filter(|_| self.span.is_enabled()).and_then(Error::request_id) {
            self.span.request_id(id.as_str());
        }
        self.record(error.map(Error::error_type), error.is_some_and(Error::may_have_run));
    }

    /// Returns the report of the run that the call has started, if a hook is set.
    pub(crate) fn run(&self) -> Option<Box<RunTelemetry>> {
        let hook = self.shared.on_run.as_ref().filter(|_| self.operation.starts_run)?;
        Some(Box::new(RunTelemetry {
            hook: Arc::clone(hook),
            clock: Arc::clone(&self.shared.clock),
            operation: self.operation.name,
            target: self.target.map(Box::from),
            started: self.started,
            queued: self.queued,
        }))
    }

    fn record(&mut self, error_type: Option<&str>, may_have_run: bool) {
        self.ended = true;
        self.span.counts(self.attempts, self.waited, self.queued);
        if let Some(error_type) = error_type {
            self.span.failed(error_type);
        }
        if let Some(hook) = &self.shared.on_call {
            hook(CallReport {
                operation: self.operation,
                target: self.target,
                attempts: self.attempts,
                waited: self.waited,
                queued: self.queued,
                duration: self.elapsed(),
                error_type,
                may_have_run,
            });
        }
    }
}

impl Drop for CallTelemetry<'_> {
    fn drop(&mut self) {
        if !self.ended {
            if self.attempts == 0 {
                // The call was in the queue of the run limiter.
                self.queued = self.elapsed();
            }
            self.record(Some(CANCELLED), self.is_sending && self.operation.starts_run);
        }
    }
}

/// A run whose result was not received yet.
pub(crate) struct RunTelemetry {
    hook: RunHook,
    clock: Arc<dyn Clock>,
    operation: &'static str,
    target: Option<Box<str>>,
    started: Stopwatch,
    queued: Duration,
}

impl RunTelemetry {
    /// Reports the result of the run.
    pub(crate) fn end(self, status: Option<&str>, error_type: Option<&str>) {
        (self.hook)(RunReport {
            operation: self.operation,
            target: self.target.as_deref(),
            status,
            error_type,
            duration: self.started.elapsed(&*self.clock).saturating_sub(self.queued),
        });
    }
}

pub(crate) struct AttemptTelemetry<'a> {
    shared: &'a Shared,
    operation: &'a Operation,
    target: Option<&'a str>,
    pub(crate) span: Span,
    attempt: u32,
    started: Stopwatch,
    ended: bool,
}

impl<'a> AttemptTelemetry<'a> {
    pub(crate) fn start(call: &CallTelemetry<'a>) -> Self {
        let CallTelemetry { shared, operation, target, span, attempts: attempt, .. } = call;
        let attempt = *attempt;
        let span = span.attempt(operation, &shared.server, attempt);
        Self {
            shared,
            operation,
            target: *target,
            span,
            attempt,
            started: Stopwatch::start(&*shared.clock),
            ended: false,
        }
    }

    /// Returns whether a span or a hook records the attempt.
    pub(crate) fn is_enabled(&self) -> bool {
        self.span.is_enabled() || self.shared.on_attempt.is_some()
    }

    pub(crate) fn end(&mut self, status: Option<StatusCode>, request_id: Option<&RequestId>, error_type: Option<&str>) {
        self.ended = true;
        let duration = self.started.elapsed(&*self.shared.clock);
        self.span.duration(duration);
        if let Some(id) = request_id {
            self.span.request_id(id.as_str());
        }
        if let Some(error_type) = error_type {
            self.span.failed(error_type);
        }
        if let Some(hook) = &self.shared.on_attempt {
            hook(AttemptReport {
                operation: self.operation,
                target: self.target,
                attempt: self.attempt,
                status,
                error_type,
                duration,
                request_id,
                server_address: &self.shared.server.address,
                server_port: self.shared.server.port,
            });
        }
    }
}

impl Drop for AttemptTelemetry<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(None, None, Some(CANCELLED));
        }
    }
}
