use std::fmt;
use std::time::Duration;

use fetch_hive_client::Transport;
use fetch_hive_client::blocking::BlockingTransport;

use super::check::Check;
use super::checks::run_check;
use super::harness::Harness;
use super::report::{Outcome, Report};
use crate::blocking::BlockingAdapter;

/// An ability that some transports lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Capability {
    /// The ability to return a response body as it arrives. Without it, an event stream arrives all
    /// at once, at its end.
    Streaming,
    /// The ability to end a request when its future or body is dropped. Without it, the transport
    /// must enforce all [`Timeouts`](fetch_hive_client::Timeouts) itself.
    CancelOnDrop,
    /// The ability to enforce [`Timeouts::connect`](fetch_hive_client::Timeouts::connect),
    /// including TLS.
    ConnectTimeout,
    /// The ability to report connection failures. A transport that calls a function in the same
    /// process has no connections.
    Connections,
}

/// A set of checks for one transport.
#[must_use = "the checks run only when `run` is awaited"]
pub struct Suite {
    harness: Harness,
    unsupported: Vec<(Capability, String)>,
    expected_failures: Vec<(Check, String)>,
}

impl Suite {
    /// Creates a suite for a transport that has every capability.
    pub fn new(transport: impl Transport) -> Self {
        let harness = Harness {
            transport: Box::new(transport),
            step_timeout: Duration::from_secs(10),
            supports_streaming: true,
            is_blocking: false,
        };
        Self { harness, unsupported: Vec::new(), expected_failures: Vec::new() }
    }

    /// Creates a suite for a blocking transport.
    ///
    /// Run it with [`run_blocking`](Self::run_blocking).
    pub fn blocking(transport: impl BlockingTransport) -> Self {
        let mut suite = Self::new(BlockingAdapter(transport));
        suite.harness.is_blocking = true;
        suite.unsupported(Capability::CancelOnDrop, "a blocking request cannot be dropped")
    }

    /// Declares that the transport lacks a capability, with the reason.
    ///
    /// The checks that need the capability are skipped, and the report contains the reason.
    pub fn unsupported(mut self, capability: Capability, reason: impl Into<String>) -> Self {
        self.harness.supports_streaming &= capability != Capability::Streaming;
        self.unsupported.push((capability, reason.into()));
        self
    }

    /// Declares that the transport fails a check, with the reason.
    ///
    /// The check runs, and its failure is reported as expected. Do not declare
    /// [`TruncatedBody`](Check::TruncatedBody), [`LostResponse`](Check::LostResponse) or
    /// [`Retries`](Check::Retries) for a transport that sends runs. With such a failure, the client
    /// can lose the result of a run or start a run twice.
    pub fn expect_failure(mut self, check: Check, reason: impl Into<String>) -> Self {
        self.expected_failures.push((check, reason.into()));
        self
    }

    /// Sets how long a check waits for each step, such as the arrival of a request.
    ///
    /// Defaults to 10 s.
    pub fn step_timeout(mut self, timeout: Duration) -> Self {
        self.harness.step_timeout = timeout;
        self
    }

    /// Runs all checks, one after the other.
    pub async fn run(self) -> Report {
        let mut outcomes = Vec::new();
        for check in Check::ALL {
            outcomes.push((*check, self.outcome(*check).await));
        }
        Report(outcomes)
    }

    /// Runs all checks on the current thread, one after the other.
    ///
    /// Call this from a thread that may block, not from an async task.
    pub fn run_blocking(self) -> Report {
        pollster::block_on(self.run())
    }

    async fn outcome(&self, check: Check) -> Outcome {
        if let Some(reason) = self.skip_reason(check) {
            return Outcome::Skipped(reason);
        }
        let expected = self.expected_failures.iter().find(|(expected, _)| *expected == check);
        match (run_check(check, &self.harness).await, expected) {
            (Ok(()), _) => Outcome::Passed,
            (Err(error), None) => Outcome::Failed(error),
            (Err(error), Some((_, reason))) => Outcome::ExpectedFailure { error, reason: reason.clone() },
        }
    }

    fn skip_reason(&self, check: Check) -> Option<String> {
        let reason = |capability| {
            let found = self.unsupported.iter().find(|(unsupported, _)| *unsupported == capability);
            found.map(|(_, reason)| reason.clone())
        };
        let needed: &[Capability] = match check {
            Check::HeadersFirst | Check::Streaming => &[Capability::Streaming],
            Check::DropRequest => &[Capability::CancelOnDrop],
            // A blocking transport does not block between two reads, so its body can be dropped.
            Check::DropBody if self.harness.is_blocking => &[Capability::Streaming],
            Check::DropBody => &[Capability::CancelOnDrop, Capability::Streaming],
            Check::ConnectTimeout => &[Capability::ConnectTimeout, Capability::Connections],
            Check::ConnectionRefused | Check::LostResponse | Check::EarlyResponse => &[Capability::Connections],
            Check::OwnTimeouts if reason(Capability::CancelOnDrop).is_none() => {
                return Some("the client enforces the timeouts by dropping the future".to_owned());
            }
            _ => &[],
        };
        needed.iter().find_map(|capability| reason(*capability))
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("unsupported", &self.unsupported)
            .field("expected_failures", &self.expected_failures)
            .finish_non_exhaustive()
    }
}
