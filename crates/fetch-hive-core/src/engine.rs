//! The call engine: one state machine for attempts, waits and verdicts, for every client (contract, section 7).
//!
//! It does no IO and knows no clock: a client asks [`Call::next`] what to do, does it, and tells how it went. Time and random
//! numbers are arguments. The async and the blocking client are thin shells around it.

use std::time::{Duration, SystemTime};

use http::StatusCode;

use crate::{ApiError, Timeouts, RateLimit, Retry};

/// How often, and after which waits, a call is repeated.
///
/// Only what the contract allows is ever repeated: an invoke that may have started is not, whatever the numbers here.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Attempts at the most, the first one included; 1 turns repeats off.
    pub max_attempts: u32,
    /// The longest wait before the first repeat; it doubles with each further one. The wait itself is random between nothing and
    /// this (full jitter), so that callers that failed together do not come back together.
    pub base_delay: Duration,
    /// The longest wait before any repeat, except where the service asks for a longer one.
    pub max_delay: Duration,
    /// The longest time waited in one call, all waits together. A wait that would go beyond it, or beyond the call's deadline, is
    /// not begun: the error comes back at once.
    pub max_total_wait: Duration,
    /// Repeats an invoke after 502, 503 and 504 too. The run may have started all the same: it can be charged twice.
    pub repeat_invokes_on_gateway_errors: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            base_delay: Duration::from_millis(500),
            max_delay: Duration::from_secs(20),
            max_total_wait: Duration::from_secs(120),
            repeat_invokes_on_gateway_errors: false,
        }
    }
}

impl RetryPolicy {
    /// Sends every request once.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::default() }
    }
}

/// The time at which the engine is asked, and a random number.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Since the call began, by a clock that never goes back.
    pub elapsed: Duration,
    /// The time of day, for a `Retry-After` date.
    pub wall: SystemTime,
    /// Uniform over all values; one of its own for each question.
    pub random: u64,
}

/// How the last action went.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Nothing was done yet.
    Begin,
    /// The wait is over.
    Slept,
    /// The reply's status is a success, and what is wanted of the body is in.
    Succeeded,
    /// The request surely never reached the service.
    NotSent,
    /// The request may have reached the service, and there is no reply.
    MayHaveRun,
    /// The service refused.
    Refused(&'a ApiError),
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Send the request, within these timeouts.
    Send(Timeouts),
    /// Wait, then ask again with [`Input::Slept`].
    Sleep(Duration),
    /// The last outcome is the result of the call.
    Done,
}

/// Whether an operation may be sent again after a refusal without harm, and with hope (contract, section 7).
pub fn is_transient(repeat: Retry, error: &ApiError) -> bool {
    match error.status {
        StatusCode::TOO_MANY_REQUESTS => !matches!(error.rate_limit(), Some(RateLimit::DailyCap { .. })),
        status => repeat == Retry::Idempotent && matches!(status.as_u16(), 408 | 500 | 502..=504),
    }
}

/// No attempt after the first is begun with less time than this before the deadline; the first one needs any time at all.
const LEAST_TIME: Duration = Duration::from_millis(25);

/// One call: its attempts and the waits between them.
#[derive(Clone, Debug)]
pub struct Call {
    repeat: Retry,
    policy: RetryPolicy,
    timeouts: Timeouts,
    attempts: u32,
    waited: Duration,
    waiting: Duration,
}

impl Call {
    /// A call that has not begun. `timeouts.deadline` is that of the whole call, attempts and waits included.
    pub fn new(repeat: Retry, policy: RetryPolicy, timeouts: Timeouts) -> Self {
        Self { repeat, policy, timeouts, attempts: 0, waited: Duration::ZERO, waiting: Duration::ZERO }
    }

    /// How often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long was waited between the attempts.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// What to do now that the last action went as `input` says.
    pub fn next(&mut self, at: Moment, input: Input<'_>) -> Action {
        match input {
            Input::Begin => self.send(at),
            Input::Slept => {
                self.waited += std::mem::take(&mut self.waiting);
                self.send(at)
            }
            Input::Succeeded => Action::Done,
            _ if self.attempts >= self.policy.max_attempts => Action::Done,
            Input::NotSent => {
                // What was never sent is usually a connection that went stale: the first repeat has nothing to wait for.
                if self.attempts == 1 { self.send(at) } else { self.wait(at, None) }
            }
            Input::MayHaveRun if self.repeat == Retry::Idempotent => self.wait(at, None),
            Input::Refused(error) if self.may_repeat_after(error) => self.wait(at, error.retry_after(at.wall)),
            Input::MayHaveRun | Input::Refused(_) => Action::Done,
        }
    }

    fn may_repeat_after(&self, error: &ApiError) -> bool {
        let gateway = matches!(error.status.as_u16(), 502..=504);
        is_transient(self.repeat, error) || (gateway && self.policy.repeat_invokes_on_gateway_errors)
    }

    fn send(&mut self, at: Moment) -> Action {
        let deadline = self.timeouts.deadline.map(|deadline| deadline.saturating_sub(at.elapsed));
        let least = if self.attempts == 0 { Duration::from_nanos(1) } else { LEAST_TIME };
        if deadline.is_some_and(|left| left < least) {
            return Action::Done;
        }
        self.attempts += 1;
        Action::Send(Timeouts { deadline, ..self.timeouts })
    }

    /// Waits as the service asks, else a random time below a bound that doubles; not at all when the call's time would run out.
    fn wait(&mut self, at: Moment, asked: Option<Duration>) -> Action {
        let doublings = self.attempts.saturating_sub(1).min(31);
        let bound = self.policy.base_delay.saturating_mul(1 << doublings).min(self.policy.max_delay);
        let nanos = (bound.as_nanos() * u128::from(at.random >> 32)) >> 32;
        let random = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        // Those whom the service sends away with one `Retry-After` are spread out as well.
        let delay = asked.map_or(random, |asked| asked.saturating_add(random.min(asked / 4)));
        let fits = |deadline: Duration| at.elapsed.saturating_add(delay) < deadline;
        let total = self.waited.saturating_add(delay);
        if total <= self.policy.max_total_wait && self.timeouts.deadline.is_none_or(fits) {
            self.waiting = delay;
            Action::Sleep(delay)
        } else {
            Action::Done
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        max_attempts: 3,
        base_delay: Duration::from_millis(500),
        max_delay: Duration::from_secs(20),
        max_total_wait: Duration::from_secs(120),
        repeat_invokes_on_gateway_errors: false,
    };
    const DEADLINE: Timeouts =
        Timeouts { connect: None, headers: None, idle: None, deadline: Some(Duration::from_secs(120)) };

    fn at(seconds: u64, random: u64) -> Moment {
        Moment { elapsed: Duration::from_secs(seconds), wall: SystemTime::UNIX_EPOCH, random }
    }

    fn refusal(status: u16, retry_after: Option<&str>, body: &'static str) -> ApiError {
        let mut response = http::Response::builder().status(status);
        if let Some(value) = retry_after {
            response = response.header("retry-after", value);
        }
        ApiError::new("op", response.body(Bytes::from_static(body.as_bytes())).unwrap())
    }

    fn begun(repeat: Retry, policy: RetryPolicy, timeouts: Timeouts) -> Call {
        let mut call = Call::new(repeat, policy, timeouts);
        assert_eq!(call.next(at(0, 0), Input::Begin), Action::Send(timeouts));
        call
    }

    fn after(repeat: Retry, policy: RetryPolicy, input: Input<'_>) -> Action {
        begun(repeat, policy, DEADLINE).next(at(1, u64::MAX / 2), input)
    }

    const CONCURRENCY: &str = r#"{"error":"You have reached your concurrency limit."}"#;
    const DAILY: &str = r#"{"error":"E","error_code":"api_rate_limit_exceeded"}"#;

    #[test]
    fn trap_05_an_invoke_that_may_have_started_is_never_repeated() {
        assert_eq!(after(Retry::OnlyIfNotSent, POLICY, Input::MayHaveRun), Action::Done);
        for status in [408, 500, 502, 503, 504] {
            let error = refusal(status, Some("0"), "");
            assert_eq!(after(Retry::OnlyIfNotSent, POLICY, Input::Refused(&error)), Action::Done, "{status}");
            assert!(matches!(after(Retry::Idempotent, POLICY, Input::Refused(&error)), Action::Sleep(_)), "{status}");
        }
        assert!(matches!(after(Retry::Idempotent, POLICY, Input::MayHaveRun), Action::Sleep(_)));
        assert!(matches!(after(Retry::OnlyIfNotSent, POLICY, Input::NotSent), Action::Send(_)));
        let opted_in = RetryPolicy { repeat_invokes_on_gateway_errors: true, ..POLICY };
        for (status, repeated) in [(408, false), (500, false), (502, true), (503, true), (504, true)] {
            let action = after(Retry::OnlyIfNotSent, opted_in, Input::Refused(&refusal(status, None, "")));
            assert_eq!(matches!(action, Action::Sleep(_)), repeated, "{status}");
        }
    }

    #[test]
    fn the_daily_cap_is_not_slept_on_and_other_429_are() {
        for repeat in [Retry::Idempotent, Retry::OnlyIfNotSent] {
            assert_eq!(after(repeat, POLICY, Input::Refused(&refusal(429, Some("1"), DAILY))), Action::Done);
            let action = after(repeat, POLICY, Input::Refused(&refusal(429, Some("8"), CONCURRENCY)));
            let Action::Sleep(delay) = action else { panic!("{action:?}") };
            assert!(delay >= Duration::from_secs(8) && delay <= Duration::from_secs(10), "{delay:?}");
        }
        assert_eq!(after(Retry::Idempotent, POLICY, Input::Refused(&refusal(404, Some("1"), ""))), Action::Done);
    }

    #[test]
    fn a_wait_beyond_the_deadline_or_the_total_returns_the_error() {
        let long = refusal(429, Some("119"), CONCURRENCY);
        assert_eq!(after(Retry::Idempotent, POLICY, Input::Refused(&long)), Action::Done);
        let endless = refusal(429, Some("121"), CONCURRENCY);
        let mut call = begun(Retry::Idempotent, POLICY, Timeouts::default());
        assert_eq!(call.next(at(1, 0), Input::Refused(&endless)), Action::Done);
    }

    #[test]
    fn waits_grow_are_random_and_counted() {
        let policy = RetryPolicy { max_attempts: 10, ..POLICY };
        let bound = |random| {
            let mut call = begun(Retry::Idempotent, policy, Timeouts::default());
            let mut delays = Vec::new();
            while let Action::Sleep(delay) = call.next(at(0, random), Input::MayHaveRun) {
                delays.push(delay);
                assert!(matches!(call.next(at(0, 0), Input::Slept), Action::Send(_)));
            }
            assert_eq!((call.attempts(), call.waited()), (10, delays.iter().sum()));
            delays
        };
        assert_eq!(bound(0), [Duration::ZERO; 9]);
        let longest: Vec<_> = bound(u64::MAX).iter().map(|delay| delay.as_millis().div_ceil(100)).collect();
        assert_eq!(longest, [5, 10, 20, 40, 80, 160, 200, 200, 200]);
    }

    #[test]
    fn attempts_are_limited_and_the_deadline_shrinks() {
        let mut call = begun(Retry::Idempotent, POLICY, DEADLINE);
        assert!(matches!(call.next(at(10, 0), Input::MayHaveRun), Action::Sleep(_)));
        let left = Timeouts { deadline: Some(Duration::from_secs(100)), ..DEADLINE };
        assert_eq!(call.next(at(20, 0), Input::Slept), Action::Send(left));
        assert!(matches!(call.next(at(30, 0), Input::NotSent), Action::Sleep(_)));
        assert!(matches!(call.next(at(40, 0), Input::Slept), Action::Send(_)));
        assert_eq!(call.next(at(50, 0), Input::NotSent), Action::Done);
        assert_eq!(call.attempts(), 3);
        assert_eq!(after(Retry::Idempotent, RetryPolicy::never(), Input::NotSent), Action::Done);
        // No time at all: nothing is sent, not even once.
        let mut none = Call::new(Retry::Idempotent, POLICY, Timeouts { deadline: Some(Duration::ZERO), ..DEADLINE });
        assert_eq!((none.next(at(0, 0), Input::Begin), none.attempts()), (Action::Done, 0));
        let mut late = begun(Retry::Idempotent, POLICY, DEADLINE);
        assert!(matches!(late.next(at(119, 0), Input::MayHaveRun), Action::Sleep(_)));
        assert_eq!(late.next(at(121, 0), Input::Slept), Action::Done);
    }
}
