//! The trait that decides when a run may start, and the permit for a run.

mod memory;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use fetch_hive_core::ApiError;
use fetch_hive_core::types::RequestId;

pub use self::memory::MemoryRunLimiter;
use crate::BoxError;

/// A limiter for concurrent runs, which decides when a run may start.
///
/// The client acquires a permit before it sends an operation that occupies a [run
/// slot](fetch_hive_core::Endpoint::OCCUPIES_RUN_SLOT), and keeps the permit while it retries the
/// call. [`MemoryRunLimiter`] limits the runs of one process. The limiter in `fetch-hive-store`
/// limits the runs of all processes that share a database.
#[async_trait]
pub trait RunLimiter: Send + Sync + 'static {
    /// Waits until the run may start, and returns its permit.
    ///
    /// Dropping the future must leave the queue.
    ///
    /// # Errors
    ///
    /// Returns any error from the limiter's store. The call then fails with
    /// [`ErrorKind::Store`](crate::ErrorKind::Store), and nothing is sent.
    async fn acquire(self: Arc<Self>, run: RunRequest<'_>) -> Result<RunPermit, BoxError>;

    /// Returns a permit if a slot is free and no other run is waiting for it.
    ///
    /// If it returns `None`, as the default does, the client calls [`acquire`](Self::acquire).
    fn try_acquire(self: Arc<Self>, run: RunRequest<'_>) -> Option<RunPermit> {
        let _ = run;
        None
    }

    /// Ends a permit, and frees or holds its slot depending on `end`. It is called once per permit,
    /// when the permit is dropped, and must not block.
    fn release(&self, slot: u64, end: RunEnd);

    /// Reports the request id of a run that ends by callback. The limiter can then free the slot
    /// when the run ends, even if this process has exited. The default does nothing.
    fn run_started(&self, slot: u64, request_id: &RequestId) {
        let _ = (slot, request_id);
    }

    /// Reports that a run has ended whose permit ended as [`RunEnd::MayBeRunning`], so that its
    /// slot can be freed early. The default does nothing.
    fn run_ended(&self, request_id: &RequestId) {
        let _ = request_id;
    }

    /// If the daily cap was reached, returns the time until which no run starts. The default
    /// returns `None`.
    fn paused_until(&self) -> Option<SystemTime> {
        None
    }

    /// Reports an error response with status 429. The default does nothing.
    fn refused(&self, error: &ApiError) {
        let _ = error;
    }
}

/// The run for which a permit is requested.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RunRequest<'a> {
    /// The name of the operation, such as `invokeWorkflow`.
    pub operation: &'static str,
    /// The deployment or the agent to run.
    pub target: Option<&'a str>,
}

impl<'a> RunRequest<'a> {
    /// Creates a request for a permit. Only the client and the tests of limiters need to call this.
    pub const fn new(operation: &'static str, target: Option<&'a str>) -> Self {
        Self { operation, target }
    }
}

/// A snapshot of a limiter's usage, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLimiterUsage {
    /// The number of slots.
    pub slots: u64,
    /// The number of slots that are occupied by runs in progress.
    pub running: u64,
    /// The number of slots that are held for runs that may still be in progress, although nothing
    /// waits for them.
    pub held: u64,
    /// The number of runs that are waiting for a slot.
    pub waiting: u64,
}

impl RunLimiterUsage {
    /// Creates a report. Only limiters need to call this.
    pub const fn new(slots: u64, running: u64, held: u64, waiting: u64) -> Self {
        Self { slots, running, held, waiting }
    }
}

/// The state of a run when its permit ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// The run has ended or was never started, so its slot becomes free.
    Ended,
    /// The run may still be in progress, for example after a timeout, so its slot stays occupied
    /// for a while.
    MayBeRunning {
        /// The request id of the run, if it is known.
        request_id: Option<RequestId>,
    },
}

/// A permit to start one run. Dropping it frees its slot, or holds the slot for a while if the run
/// may still be in progress.
pub struct RunPermit(Box<PermitState>);

/// The state is boxed to keep streams small.
struct PermitState {
    limiter: Arc<dyn RunLimiter>,
    slot: u64,
    end: RunEnd,
}

impl RunPermit {
    /// Creates a permit for a slot, whose number is passed to [`RunLimiter::release`]. Only
    /// limiters need to call this.
    pub fn new(limiter: Arc<dyn RunLimiter>, slot: u64) -> Self {
        Self(Box::new(PermitState { limiter, slot, end: RunEnd::Ended }))
    }

    /// Returns the number of the slot.
    pub fn slot(&self) -> u64 {
        self.0.slot
    }

    /// Reports the request id of the run to the limiter.
    pub(crate) fn run_started(&self, request_id: &RequestId) {
        self.0.limiter.run_started(self.0.slot, request_id);
    }

    /// Sets the state that is passed to [`RunLimiter::release`] when the permit is dropped. The
    /// default is [`RunEnd::Ended`].
    pub fn set_end(&mut self, end: RunEnd) {
        self.0.end = end;
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        let PermitState { limiter, slot, end } = &mut *self.0;
        limiter.release(*slot, std::mem::replace(end, RunEnd::Ended));
    }
}

impl fmt::Debug for RunPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunPermit").field("slot", &self.0.slot).field("end", &self.0.end).finish_non_exhaustive()
    }
}
