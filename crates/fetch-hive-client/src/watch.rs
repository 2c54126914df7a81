//! What is told of a call and its attempts: to spans, and to the hooks for metrics. One that is dropped midway is told as cancelled.

use std::time::{Duration, Instant};

use fetch_hive_core::Operation;
use fetch_hive_core::types::RequestId;
use http::StatusCode;

use crate::client::Shared;
use crate::trace::Span;
use crate::{AttemptReport, CallReport, Error};

const CANCELLED: &str = "cancelled";

pub(crate) struct CallWatch<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) operation: &'a Operation,
    pub(crate) span: Span,
    pub(crate) began: Instant,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
    pub(crate) queued: Duration,
    ended: bool,
}

impl<'a> CallWatch<'a> {
    pub(crate) fn begin(shared: &'a Shared, operation: &'a Operation) -> Self {
        let (span, began) = (Span::call(operation), shared.clock.now());
        let zero = Duration::ZERO;
        Self { shared, operation, span, began, attempts: 0, waited: zero, queued: zero, ended: false }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.shared.clock.now().saturating_duration_since(self.began)
    }

    pub(crate) fn end(&mut self, error: Option<&Error>) {
        if let Some(id) = error.filter(|_| self.span.is_on()).and_then(Error::request_id) {
            self.span.request_id(id.as_str());
        }
        self.tell(error.map(Error::error_type));
    }

    fn tell(&mut self, error_type: Option<&str>) {
        self.ended = true;
        self.span.counts(self.attempts, self.waited, self.queued);
        if let Some(error_type) = error_type {
            self.span.failed(error_type);
        }
        if let Some(hook) = &self.shared.on_call {
            hook(CallReport {
                operation: self.operation,
                attempts: self.attempts,
                waited: self.waited,
                queued: self.queued,
                duration: self.elapsed(),
                error_type,
            });
        }
    }
}

impl Drop for CallWatch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(Some(CANCELLED));
        }
    }
}

pub(crate) struct AttemptWatch<'a> {
    shared: &'a Shared,
    operation: &'a Operation,
    pub(crate) span: Span,
    attempt: u32,
    began: Instant,
    ended: bool,
}

impl<'a> AttemptWatch<'a> {
    pub(crate) fn begin(call: &CallWatch<'a>, attempt: u32) -> Self {
        let CallWatch { shared, operation, span, .. } = call;
        let span = span.attempt(operation, &shared.server, attempt);
        Self { shared, operation, span, attempt, began: shared.clock.now(), ended: false }
    }

    /// Whether anybody looks at it.
    pub(crate) fn is_on(&self) -> bool {
        self.span.is_on() || self.shared.on_attempt.is_some()
    }

    pub(crate) fn end(&mut self, status: Option<StatusCode>, request_id: Option<&RequestId>, error_type: Option<&str>) {
        self.ended = true;
        let duration = self.shared.clock.now().saturating_duration_since(self.began);
        self.span.took(duration);
        if let Some(id) = request_id {
            self.span.request_id(id.as_str());
        }
        if let Some(error_type) = error_type {
            self.span.failed(error_type);
        }
        if let Some(hook) = &self.shared.on_attempt {
            let (operation, attempt) = (self.operation, self.attempt);
            hook(AttemptReport { operation, attempt, status, error_type, duration, request_id });
        }
    }
}

impl Drop for AttemptWatch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(None, None, Some(CANCELLED));
        }
    }
}
