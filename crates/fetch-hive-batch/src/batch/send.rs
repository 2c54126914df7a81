//! Sends the request for one row.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use fetch_hive_client::callback::{PendingRun, Receiver};
use fetch_hive_client::types::{InvokeWorkflow, RequestId, WebhookSecret};
use fetch_hive_client::{
    ApiError, BoxError, Call, Client, Endpoint, Error as ClientError, ErrorKind, RetryPolicy, RunEnd, RunLimiter,
    RunPermit, RunRequest as PermitRequest,
};
use fetch_hive_store::batches::{RowStatus, RowUpdate, StartedRow, StoreBatches};
use fetch_hive_store::{Store, StoreRunLimiter};

use super::judge::{AttemptId, ToRun};
use crate::RunRequest;

/// The time at which the transaction that stored the intent began.
#[derive(Clone, Copy)]
pub(super) struct Began {
    monotonic: Instant,
    wall_clock: SystemTime,
    lease: Duration,
}

impl Began {
    pub(super) fn now(lease: Duration) -> Self {
        Self { monotonic: Instant::now(), wall_clock: SystemTime::now(), lease }
    }

    /// Returns whether more than half of the lease has passed, so that another worker may soon
    /// consider the row abandoned. Both clocks are checked, because one of them stops while the
    /// machine is suspended.
    fn is_late(self) -> bool {
        let wall_clock = self.wall_clock.elapsed().unwrap_or(Duration::MAX);
        self.monotonic.elapsed().max(wall_clock) > self.lease / 2
    }
}

/// A limiter that returns the permit that was acquired together with the row.
struct Granted {
    permit: Mutex<Option<RunPermit>>,
    limiter: Arc<StoreRunLimiter>,
    began: Began,
}

#[async_trait]
impl RunLimiter for Granted {
    async fn acquire(self: Arc<Self>, run: PermitRequest<'_>) -> Result<RunPermit, BoxError> {
        self.try_acquire(run).ok_or_else(|| "the worker was suspended before it sent the row".into())
    }

    fn try_acquire(self: Arc<Self>, _: PermitRequest<'_>) -> Option<RunPermit> {
        // This is the last check before the request is sent.
        if self.began.is_late() {
            return None;
        }
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    // The permit belongs to the store's limiter, which releases it.
    fn release(&self, _: u64, _: RunEnd) {}

    fn run_ended(&self, request_id: &RequestId) {
        self.limiter.run_ended(request_id);
    }

    fn refused(&self, error: &ApiError) {
        self.limiter.refused(error);
    }
}

/// The outcome of sending a row.
pub(super) struct Sent {
    pub(super) update: RowUpdate,
    /// A run that ends by callback. Its slot stays occupied until this is dropped.
    pub(super) pending: Option<PendingRun>,
    /// The deployment's webhook secret, if the response contains it.
    pub(super) secret: Option<WebhookSecret>,
}

impl Sent {
    fn direct(update: RowUpdate) -> Self {
        Self { update, pending: None, secret: None }
    }
}

/// The state that is the same for all rows of a worker.
pub(super) struct Sender {
    pub(super) client: Client,
    pub(super) limiter: Arc<StoreRunLimiter>,
    pub(super) batches: StoreBatches,
    pub(super) store: Store,
    pub(super) batch: String,
    /// The deployment whose secret signs the callbacks.
    pub(super) deployment: String,
    pub(super) receiver: Option<Receiver>,
    pub(super) max_run_time: Duration,
}

impl Sender {
    /// Sends the request for a row once.
    pub(super) async fn send(&self, row: StartedRow, request: RunRequest, began: Began) -> Sent {
        let id = AttemptId { number: row.number, attempt: row.attempt, started: began.wall_clock };
        let permit = Mutex::new(Some(row.permit));
        let limiter = Arc::new(Granted { permit, limiter: Arc::clone(&self.limiter), began });
        match request {
            RunRequest::Workflow(request) => match &self.receiver {
                Some(receiver) => self.start(id, request, receiver, limiter).await,
                None => Sent::direct(self.direct(id, request, limiter).await),
            },
            RunRequest::Prompt(request) => Sent::direct(self.direct(id, request, limiter).await),
            RunRequest::Agent(request) => Sent::direct(self.direct(id, request, limiter).await),
        }
    }

    fn call<E: Endpoint + 'static>(&self, request: E, limiter: Arc<Granted>) -> Call<E> {
        self.client.call(request).retry(RetryPolicy::never()).timeout(self.max_run_time).run_limiter(limiter)
    }

    async fn direct<E>(&self, id: AttemptId, request: E, limiter: Arc<Granted>) -> RowUpdate
    where
        E: Endpoint + 'static,
        E::Response: ToRun,
    {
        id.after_response(&self.call(request, limiter).await)
    }

    /// Starts a workflow run whose outcome is delivered to the receiver.
    async fn start(&self, id: AttemptId, request: InvokeWorkflow, receiver: &Receiver, limiter: Arc<Granted>) -> Sent {
        let pending_runs = self.store.pending_runs().for_row(&self.batch, id.number, id.attempt);
        let receiver = receiver.clone().pending_runs(pending_runs);
        match self.call(request, limiter).start(&receiver).await {
            Ok(started) => {
                let secret = started.webhook_secret().cloned();
                let mut update = id.after_run(started.response.to_run(), started.response.body(), false);
                if update.look_up_in.is_some() {
                    update.look_up_in = Some(self.max_run_time);
                }
                Sent { update, pending: Some(started.pending), secret }
            }
            Err(error) => Sent::direct(self.after_failed_start(id, &error)),
        }
    }

    fn after_failed_start(&self, id: AttemptId, error: &ClientError) -> RowUpdate {
        let mut update = id.after_error(error);
        // The run was accepted, and its event will contain the result.
        if matches!(error.kind(), ErrorKind::Decode(_) | ErrorKind::TooLarge { .. }) {
            update.status = RowStatus::Accepted;
            update.result = None;
            update.look_up_in = Some(self.max_run_time);
        }
        if update.look_up_in.is_some() {
            update.look_up_in = Some(self.max_run_time);
        }
        update
    }
}
