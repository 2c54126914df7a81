//! The retry engine: a state machine that decides when a call sends a request, waits or ends.
//!
//! It performs no IO and has no clock. A client calls [`RetryEngine::next`], performs the returned
//! [`NextStep`], and reports the result as a [`RetryEvent`]. Time and random numbers are arguments.
//! The async and the blocking client use the same engine. The rules are in the
//! [contract](fetch_hive_types::contract#errors-and-limits).

use std::time::{Duration, SystemTime};

use http::StatusCode;

pub use crate::verdict::Verdict;
use crate::verdict::is_processed;
use crate::{ApiError, Retry, Timeouts};

/// A policy for the number of attempts of a call and the delays between them.
///
/// The policy never overrides [`Retry`]: an invoke that may already have started is not retried,
/// unless [`retry_invokes_on_gateway_errors`](RetryPolicy::retry_invokes_on_gateway_errors) is set.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The maximum number of attempts, including the first one. The default is 3, and 1 disables
    /// retries.
    pub max_attempts: u32,
    /// The maximum delay before the first retry, which doubles with each further retry. The default
    /// is 500 ms.
    ///
    /// The actual delay is random between zero and this maximum (full jitter), so that callers that
    /// failed together do not retry together.
    pub base_delay: Duration,
    /// The upper limit for the doubled delay. The default is 20 s.
    ///
    /// It does not limit a delay that the service asks for in a `Retry-After` header.
    pub max_delay: Duration,
    /// The maximum sum of all delays in one call. The default is 120 s.
    ///
    /// If the next delay would exceed this sum or the deadline of the call, the call returns the
    /// error immediately.
    pub max_total_wait: Duration,
    /// Whether an invoke is retried after the statuses 502, 503 and 504. The default is `false`.
    ///
    /// The run may have started despite such an error, so it may be charged twice.
    pub retry_invokes_on_gateway_errors: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(20),
            max_total_wait: Duration::from_secs(120),
            retry_invokes_on_gateway_errors: false,
        }
    }
}

impl RetryPolicy {
    /// Creates a policy that disables retries.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }
}

/// The current time and a random number, which the retry engine needs for each decision.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// The time since the call started, from a monotonic clock.
    pub elapsed: Duration,
    /// The time of day, which `Retry-After` dates are compared with.
    pub wall_clock: SystemTime,
    /// A uniformly distributed random number, different for each decision.
    pub random: u64,
}

/// An event of a call that a client reports to the retry engine.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RetryEvent<'a> {
    /// The call started, and nothing was sent yet.
    Started,
    /// The delay before the next attempt has passed.
    Slept,
    /// The attempt returned a success status and, unless the response is streamed, a complete body.
    Succeeded,
    /// The attempt failed before any part of the request reached the service.
    NotSent,
    /// A proxy refused to connect to the service, with this status.
    ProxyRejected(StatusCode),
    /// The attempt failed without a response, and the request may have reached the service.
    MayHaveRun,
    /// The service returned an error response.
    Rejected(&'a ApiError),
}

/// The next step of a call, which the retry engine returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NextStep {
    /// Send the request with these timeouts, and report the result.
    Send(Timeouts),
    /// Wait for this delay, and report [`RetryEvent::Slept`].
    Sleep(Duration),
    /// Return the result of the last attempt.
    Finish,
}

impl RetryEvent<'_> {
    /// Returns the consequences of the event for an operation, which is described by
    /// [`Endpoint::RETRY`](crate::Endpoint::RETRY) and
    /// [`Endpoint::STARTS_RUN`](crate::Endpoint::STARTS_RUN).
    pub fn verdict(&self, retry: Retry, starts_run: bool) -> Verdict {
        let (reached, may_succeed_later) = match self {
            Self::Started | Self::Slept => (false, false),
            Self::Succeeded => (true, false),
            Self::NotSent => (false, true),
            Self::ProxyRejected(status) => (false, matches!(status.as_u16(), 408 | 429 | 500..)),
            Self::MayHaveRun => (true, true),
            Self::Rejected(error) => (is_processed(error.status), error.is_temporary()),
        };
        Verdict::new(retry, starts_run, reached, may_succeed_later)
    }
}

/// The time that has to remain before the deadline for another attempt after the first.
const MIN_RETRY_TIME: Duration = Duration::from_millis(25);

/// The retry engine of one call, which counts the attempts and the delays between them.
#[derive(Clone, Debug)]
pub struct RetryEngine {
    retry: Retry,
    policy: RetryPolicy,
    timeouts: Timeouts,
    attempts: u32,
    waited: Duration,
    current_delay: Duration,
}

impl RetryEngine {
    /// Creates the retry engine of a call that has not started.
    ///
    /// `timeouts.deadline` applies to the whole call, including all attempts and delays.
    pub fn new(retry: Retry, policy: RetryPolicy, timeouts: Timeouts) -> Self {
        Self { retry, policy, timeouts, attempts: 0, waited: Duration::ZERO, current_delay: Duration::ZERO }
    }

    /// Returns the number of attempts so far.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the sum of the delays so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns the next step after an event.
    pub fn next(&mut self, now: Now, event: RetryEvent<'_>) -> NextStep {
        match event {
            RetryEvent::Started => self.send(now),
            RetryEvent::Slept => {
                self.waited += std::mem::take(&mut self.current_delay);
                self.send(now)
            }
            _ if self.attempts >= self.policy.max_attempts || !self.may_retry(&event) => NextStep::Finish,
            // Usually a pooled connection was stale, so the first retry needs no delay.
            RetryEvent::NotSent if self.attempts == 1 => self.send(now),
            RetryEvent::Rejected(error) => self.sleep(now, error.retry_after(now.wall_clock)),
            _ => self.sleep(now, None),
        }
    }

    fn may_retry(&self, event: &RetryEvent<'_>) -> bool {
        let is_gateway_error =
            || matches!(event, RetryEvent::Rejected(error) if matches!(error.status.as_u16(), 502..=504));
        event.verdict(self.retry, true).is_retryable
            || (self.policy.retry_invokes_on_gateway_errors && is_gateway_error())
    }

    fn send(&mut self, now: Now) -> NextStep {
        let deadline = self.timeouts.deadline.map(|deadline| deadline.saturating_sub(now.elapsed));
        let min_time = if self.attempts == 0 { Duration::from_nanos(1) } else { MIN_RETRY_TIME };
        if deadline.is_some_and(|remaining| remaining < min_time) {
            return NextStep::Finish;
        }
        self.attempts += 1;
        NextStep::Send(Timeouts { deadline, ..self.timeouts })
    }

    /// Starts the delay that the service requested, or a random delay with exponential backoff.
    fn sleep(&mut self, now: Now, retry_after: Option<Duration>) -> NextStep {
        let doublings = self.attempts.saturating_sub(1).min(31);
        let bound = self.policy.base_delay.saturating_mul(1 << doublings).min(self.policy.max_delay);
        let nanos = (bound.as_nanos() * u128::from(now.random >> 32)) >> 32;
        let jitter = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // Callers that received the same `Retry-After` are spread by up to a quarter of it.
        let delay = retry_after.map_or(jitter, |asked| asked.saturating_add(jitter.min(asked / 4)));
        let ends_before = |deadline: Duration| now.elapsed.saturating_add(delay) < deadline;
        let total_wait = self.waited.saturating_add(delay);
        if total_wait <= self.policy.max_total_wait && self.timeouts.deadline.is_none_or(ends_before) {
            self.current_delay = delay;
            NextStep::Sleep(delay)
        } else {
            NextStep::Finish
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Operation;

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 3,
        base_delay: Duration::from_millis(500),
        max_delay: Duration::from_secs(20),
        max_total_wait: Duration::from_secs(120),
        retry_invokes_on_gateway_errors: false,
    };
    const DEADLINE: Timeouts =
        Timeouts { connect: None, headers: None, idle: None, deadline: Some(Duration::from_secs(120)) };

    fn at(seconds: u64, random: u64) -> Now {
        Now { elapsed: Duration::from_secs(seconds), wall_clock: SystemTime::UNIX_EPOCH, random }
    }

    fn operation() -> Operation {
        Operation::raw("op", http::Method::POST, Retry::OnlyIfNotSent)
    }

    fn api_error(status: u16, retry_after: Option<&str>, body: &'static str) -> ApiError {
        let mut response = http::Response::builder().status(status);
        if let Some(value) = retry_after {
            response = response.header("retry-after", value);
        }
        ApiError::new(&operation(), response.body(Bytes::from_static(body.as_bytes())).unwrap())
    }

    fn started(retry: Retry, policy: RetryPolicy, timeouts: Timeouts) -> RetryEngine {
        let mut engine = RetryEngine::new(retry, policy, timeouts);
        assert_eq!(engine.next(at(0, 0), RetryEvent::Started), NextStep::Send(timeouts));
        engine
    }

    fn after(retry: Retry, policy: RetryPolicy, input: RetryEvent<'_>) -> NextStep {
        started(retry, policy, DEADLINE).next(at(1, u64::MAX / 2), input)
    }

    const CONCURRENCY: &str = r#"{"error":"You have reached your concurrency limit."}"#;
    const DAILY: &str = r#"{"error":"E","error_code":"api_rate_limit_exceeded"}"#;

    #[test]
    fn invokes_that_may_have_started_are_not_retried() {
        assert_eq!(after(Retry::OnlyIfNotSent, POLICY, RetryEvent::MayHaveRun), NextStep::Finish);
        for status in [408, 500, 502, 503, 504] {
            let error = api_error(status, Some("0"), "");
            assert_eq!(after(Retry::OnlyIfNotSent, POLICY, RetryEvent::Rejected(&error)), NextStep::Finish, "{status}");
            assert!(
                matches!(after(Retry::Idempotent, POLICY, RetryEvent::Rejected(&error)), NextStep::Sleep(_)),
                "{status}"
            );
        }
        assert!(matches!(after(Retry::Idempotent, POLICY, RetryEvent::MayHaveRun), NextStep::Sleep(_)));
        assert!(matches!(after(Retry::OnlyIfNotSent, POLICY, RetryEvent::NotSent), NextStep::Send(_)));
        let opted_in = RetryPolicy { retry_invokes_on_gateway_errors: true, ..POLICY };
        for (status, retried) in [(408, false), (500, false), (502, true), (503, true), (504, true)] {
            let step = after(Retry::OnlyIfNotSent, opted_in, RetryEvent::Rejected(&api_error(status, None, "")));
            assert_eq!(matches!(step, NextStep::Sleep(_)), retried, "{status}");
        }
    }

    #[test]
    fn every_429_except_the_daily_cap_is_retried() {
        for retry in [Retry::Idempotent, Retry::OnlyIfNotSent] {
            assert_eq!(after(retry, POLICY, RetryEvent::Rejected(&api_error(429, Some("1"), DAILY))), NextStep::Finish);
            let step = after(retry, POLICY, RetryEvent::Rejected(&api_error(429, Some("8"), CONCURRENCY)));
            let NextStep::Sleep(delay) = step else { panic!("{step:?}") };
            assert!(delay >= Duration::from_secs(8) && delay <= Duration::from_secs(10), "{delay:?}");
        }
        assert_eq!(
            after(Retry::Idempotent, POLICY, RetryEvent::Rejected(&api_error(404, Some("1"), ""))),
            NextStep::Finish
        );
    }

    #[test]
    fn delays_beyond_the_deadline_or_the_total_end_the_call() {
        let long = api_error(429, Some("119"), CONCURRENCY);
        assert_eq!(after(Retry::Idempotent, POLICY, RetryEvent::Rejected(&long)), NextStep::Finish);
        let endless = api_error(429, Some("121"), CONCURRENCY);
        let mut engine = started(Retry::Idempotent, POLICY, Timeouts::default());
        assert_eq!(engine.next(at(1, 0), RetryEvent::Rejected(&endless)), NextStep::Finish);
    }

    #[test]
    fn delays_double_and_are_random() {
        let policy = RetryPolicy { max_attempts: 10, ..POLICY };
        let bound = |random| {
            let mut engine = started(Retry::Idempotent, policy, Timeouts::default());
            let mut delays = Vec::new();
            while let NextStep::Sleep(delay) = engine.next(at(0, random), RetryEvent::MayHaveRun) {
                delays.push(delay);
                assert!(matches!(engine.next(at(0, 0), RetryEvent::Slept), NextStep::Send(_)));
            }
            assert_eq!((engine.attempts(), engine.waited()), (10, delays.iter().sum()));
            delays
        };
        assert_eq!(bound(0), [Duration::ZERO; 9]);
        let longest: Vec<_> = bound(u64::MAX).iter().map(|delay| delay.as_millis().div_ceil(100)).collect();
        assert_eq!(longest, [5, 10, 20, 40, 80, 160, 200, 200, 200]);
    }

    #[test]
    fn attempts_are_limited_and_share_the_deadline() {
        let mut engine = started(Retry::Idempotent, POLICY, DEADLINE);
        assert!(matches!(engine.next(at(10, 0), RetryEvent::MayHaveRun), NextStep::Sleep(_)));
        let left = Timeouts { deadline: Some(Duration::from_secs(100)), ..DEADLINE };
        assert_eq!(engine.next(at(20, 0), RetryEvent::Slept), NextStep::Send(left));
        assert!(matches!(engine.next(at(30, 0), RetryEvent::NotSent), NextStep::Sleep(_)));
        assert!(matches!(engine.next(at(40, 0), RetryEvent::Slept), NextStep::Send(_)));
        assert_eq!(engine.next(at(50, 0), RetryEvent::NotSent), NextStep::Finish);
        assert_eq!(engine.attempts(), 3);
        assert_eq!(after(Retry::Idempotent, RetryPolicy::never(), RetryEvent::NotSent), NextStep::Finish);
        // A zero timeout fails before anything is sent.
        let mut none =
            RetryEngine::new(Retry::Idempotent, POLICY, Timeouts { deadline: Some(Duration::ZERO), ..DEADLINE });
        assert_eq!((none.next(at(0, 0), RetryEvent::Started), none.attempts()), (NextStep::Finish, 0));
        let mut late = started(Retry::Idempotent, POLICY, DEADLINE);
        assert!(matches!(late.next(at(119, 0), RetryEvent::MayHaveRun), NextStep::Sleep(_)));
        assert_eq!(late.next(at(121, 0), RetryEvent::Slept), NextStep::Finish);
    }
}
