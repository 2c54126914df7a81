use std::fmt;
use std::time::Duration;

use fetch_hive_core::types::{EscapedLine, RequestId, RunStatus};

use super::transport::BoxError;

/// An error that occurs when the client stops waiting for a run before the run's result is known.
///
/// The run itself may still be running or may have ended. Look it up by its request id, and do not
/// invoke it again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// The run did not end within the timeout.
    #[error(
        "{} not finished within {timeout:?} (timeout){}; it may still be running: wait again or look it up, and do not invoke it again",
        Run(request_id),
        LastStatus(last_status)
    )]
    Timeout {
        /// The request id of the run, if it is known.
        request_id: Option<RequestId>,
        /// The timeout.
        timeout: Duration,
        /// The status of the run in the last look-up, such as `awaiting_approval`.
        last_status: Option<RunStatus>,
        /// The [`Error`](crate::Error) of the last look-up, if it failed.
        #[source]
        last_error: Option<BoxError>,
    },
    /// No secret is known to verify the callback with, neither from the response nor in the
    /// receiver.
    #[error(
        "{} was started, but no webhook secret is known to verify its callback; look it up by its request id",
        Run(request_id)
    )]
    NoSecret {
        /// The request id of the run, if it is known.
        request_id: Option<RequestId>,
    },
    /// An earlier wait already returned the event that ends the run and acknowledged it.
    #[error(
        "the callback of {} was already returned by an earlier wait; look it up by its request id",
        Run(request_id)
    )]
    AlreadyTaken {
        /// The request id of the run, if it is known.
        request_id: Option<RequestId>,
    },
    /// The [`PendingRuns`](crate::callback::PendingRuns) of the receiver failed after the run was
    /// started.
    #[error(
        "the store of pending runs failed for {}: {source}; the run was started: resume waiting or look it up, and do not invoke it again",
        Run(request_id)
    )]
    Store {
        /// The request id of the run, if it is known.
        request_id: Option<RequestId>,
        /// The error of the store.
        source: BoxError,
    },
}

impl WaitError {
    /// Returns the request id of the run, if it is known.
    pub fn request_id(&self) -> Option<&RequestId> {
        match self {
            Self::Timeout { request_id, .. }
            | Self::NoSecret { request_id }
            | Self::AlreadyTaken { request_id }
            | Self::Store { request_id, .. } => request_id.as_ref(),
        }
    }
}

struct Run<'a>(&'a Option<RequestId>);

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, "run {}", EscapedLine(id)),
            None => f.write_str("a run without a request id"),
        }
    }
}

struct LastStatus<'a>(&'a Option<RunStatus>);

impl fmt::Display for LastStatus<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |status| write!(f, ", last status {}", EscapedLine(status)))
    }
}
