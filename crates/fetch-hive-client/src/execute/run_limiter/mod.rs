//! The seam that decides when a run may start, and the permit of a run.

mod memory;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use fetch_hive_core::ApiError;
use fetch_hive_core::types::RequestId;

pub use self::memory::MemoryRunLimiter;
use crate::BoxError;

/// A limiter of concurrent runs, which decides when a run may start.
///
/// The client acquires a permit before it sends an operation that occupies a
/// [run slot](fetch_hive_core::Endpoint::OCCUPIES_RUN_SLOT), and retries of the call keep the
/// permit. [`MemoryRunLimiter`] limits the runs of one process. `fetch-hive-store` limits those of
/// all processes that share a database.
#[async_trait]
pub trait RunLimiter: Send + Sync + 'static {
    /// Waits until the run may start. Dropping the future leaves the queue.
    ///
    /// # Errors
    ///
    /// Returns any error of the store. The call then fails with
    /// [`ErrorKind::Store`](crate::ErrorKind::Store), and nothing is sent.
    async fn acquire(self: Arc<Self>, run: RunRequest<'_>) -> Result<RunPermit, BoxError>;

    /// Returns a permit if a slot is free and nobody waits for it. The default returns `None`, so
    /// that the client calls [`acquire`](Self::acquire).
    fn try_acquire(self: Arc<Self>, run: RunRequest<'_>) -> Option<RunPermit> {
        let _ = run;
        None
    }

    /// Ends a permit. It is called once per permit, when the permit is dropped, and must not block.
    fn release(&self, slot: u64, end: RunEnd);

    /// Reports the request id of a run that ends by callback, so that its end can free the slot
    /// even if this process ends first. The default does nothing.
    fn run_started(&self, slot: u64, request_id: &RequestId) {
        let _ = (slot, request_id);
    }

    /// Reports the end of a run whose permit ended as [`RunEnd::MayBeRunning`], so that its slot is
    /// freed early. The default does nothing.
    fn run_ended(&self, request_id: &RequestId) {
        let _ = request_id;
    }

    /// Returns the time until which no run starts because of the daily cap, if the cap was reached.
    /// The default returns `None`.
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
    /// Creates a request for a permit. Only the client and tests of limiters need to call this.
    pub const fn new(operation: &'static str, target: Option<&'a str>) -> Self {
        Self { operation, target }
    }
}

/// The use of a limiter at one moment, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLimiterUsage {
    /// The number of slots.
    pub slots: u64,
    /// The slots of runs that are in progress.
    pub running: u64,
    /// The slots of runs that may still be running, although nothing waits for them.
    pub held: u64,
    /// The runs that wait for a slot.
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
    /// The run has ended or was never started, so its slot is free.
    Ended,
    /// The run may still be running, for example after a timeout. Its slot stays occupied for a
    /// while.
    MayBeRunning {
        /// The request id of the run, if it is known.
        request_id: Option<RequestId>,
    },
}

/// The right to start one run. Dropping it ends it in the state that was set last.
pub struct RunPermit(Box<PermitState>);

/// Boxed, so that a stream of events stays small.
struct PermitState {
    limiter: Arc<dyn RunLimiter>,
    slot: u64,
    end: RunEnd,
}

impl RunPermit {
    /// Creates the permit of a slot, whose number is passed to [`RunLimiter::release`]. Only
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

    /// Sets the state in which the permit ends when it is dropped. The first state is
    /// [`RunEnd::Ended`].
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
