//! One process: it starts runs, receives callbacks and waits for runs of any process.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use fetch_hive_client::callback::{ClaimResult, DedupStore as _, Delivery, Receiver};
use fetch_hive_client::types::RequestId;
use fetch_hive_client::{
    ApiError, Client, ErrorKind, RetryPolicy, RunEnd, RunLimiter, RunPermit, RunRequest, WaitError,
};
use fetch_hive_store::{Store, StoreRunLimiter};
use fetch_hive_tests::process::BoxError;
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::jobs::Jobs;

/// The number of tasks that start runs.
const STARTERS: usize = 3;
/// The number of tasks that wait for runs.
const WAITERS: usize = 3;

/// Short, so that the test does not wait long for the leases of killed processes.
const LEASE: Duration = Duration::from_secs(1);

const PAUSE: Duration = Duration::from_millis(50);

struct Replica {
    client: Client,
    receiver: Receiver,
    store: Store,
    jobs: Arc<Jobs>,
}

/// A limiter that stores the intent to start a run once the run has a slot. Until then, another
/// process may start the run instead.
struct IntentLimiter {
    limiter: Arc<StoreRunLimiter>,
    jobs: Arc<Jobs>,
}

#[async_trait::async_trait]
impl RunLimiter for IntentLimiter {
    async fn acquire(self: Arc<Self>, run: RunRequest<'_>) -> Result<RunPermit, BoxError> {
        let id = run.target.and_then(|target| target.strip_prefix("run-")?.parse().ok()).ok_or("the run has no id")?;
        let permit = Arc::clone(&self.limiter).acquire(run).await?;
        if self.jobs.set_starting(id).await? { Ok(permit) } else { Err("another process has started the run".into()) }
    }

    // The permits belong to the inner limiter.
    fn release(&self, _: u64, _: RunEnd) {}

    fn run_ended(&self, request_id: &RequestId) {
        self.limiter.run_ended(request_id);
    }

    fn refused(&self, error: &ApiError) {
        self.limiter.refused(error);
    }
}

pub(crate) async fn run(database: &str, base_url: &str, callback_url: &str) -> Result<(), BoxError> {
    let store = if database.starts_with("postgres://") {
        Store::connect(database).await?
    } else {
        Store::open(database).await?
    };
    let jobs = Arc::new(Jobs::open(database)?);
    let limiter = store.run_limiter_builder("plan", 3).lease(LEASE).unresolved_run_hold(LEASE).build();
    let receiver = store.receiver(callback_url).lease(LEASE);
    let client = Client::builder()
        .api_key("fhk_fleet")
        .base_url(base_url)
        .run_limiter(Arc::new(IntentLimiter { limiter, jobs: Arc::clone(&jobs) }))
        .timeout(Duration::from_secs(20))
        .retry(RetryPolicy::never())
        .build()?;
    let replica = Arc::new(Replica { client, receiver, store, jobs });

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    for _ in 0..STARTERS {
        let replica = Arc::clone(&replica);
        tokio::spawn(async move {
            loop {
                // Retries while the database is down.
                if !replica.start_run().await.unwrap_or(false) {
                    sleep(PAUSE).await;
                }
            }
        });
    }
    for _ in 0..WAITERS {
        let replica = Arc::clone(&replica);
        tokio::spawn(async move {
            loop {
                if !replica.wait_for_run().await.unwrap_or(false) {
                    sleep(PAUSE).await;
                }
            }
        });
    }
    let router = Router::new().route("/callbacks/{*run}", any(receive)).with_state(replica);
    Ok(axum::serve(listener, router).await?)
}

async fn receive(State(replica): State<Arc<Replica>>, request: Request) -> impl IntoResponse {
    replica.receiver.receive(request, |_: Delivery| async { Ok::<_, BoxError>(()) }).await
}

impl Replica {
    /// Starts the next run. Returns whether there was one.
    async fn start_run(&self) -> Result<bool, BoxError> {
        let Some(id) = self.jobs.claim_start().await? else { return Ok(false) };
        match self.client.invoke_workflow(format!("run-{id}")).input("id", id).start(&self.receiver).await {
            Ok(started) => {
                let token = serde_json::to_string(started.pending.resume_token())?;
                until_stored(|| self.jobs.set_started(id, &token)).await;
            }
            Err(error) if error.may_have_run() => until_stored(|| self.jobs.set_unknown(id)).await,
            // Nothing was sent. The state is kept, because another process may have started the
            // run.
            Err(error) if matches!(error.kind(), ErrorKind::Store(_)) => {}
            Err(_) => until_stored(|| self.jobs.set_ready(id)).await,
        }
        Ok(true)
    }

    /// Waits for a run that any process has started, and handles its event. Returns whether there
    /// was one.
    async fn wait_for_run(&self) -> Result<bool, BoxError> {
        let Some((id, token)) = self.jobs.claim_wait().await? else { return Ok(false) };
        let mut run = self.client.resume(&self.receiver, serde_json::from_str(&token)?).await?;
        run.timeout(Duration::from_secs(2));
        let handled = run.handle(|delivery| self.handle(id, delivery)).await;
        match handled {
            Ok(()) => Ok(true),
            Err(error) => match error.downcast_ref::<fetch_hive_client::Error>().map(fetch_hive_client::Error::kind) {
                // An earlier waiter was killed after it had acknowledged the event.
                Some(ErrorKind::Wait(wait)) if matches!(**wait, WaitError::AlreadyTaken { .. }) => {
                    self.jobs.set_done(id).await?;
                    Ok(true)
                }
                _ => Err(error),
            },
        }
    }

    /// Handles an event exactly once: the row and the commit of the claim are one transaction.
    async fn handle(&self, id: i64, delivery: Delivery) -> Result<(), BoxError> {
        let dedup = self.store.dedup();
        match dedup.claim(&delivery.key(), LEASE).await? {
            ClaimResult::Acquired(claim) => self.jobs.handle(id, &dedup.commit_statement(&claim)).await,
            ClaimResult::InProgress => Err("another process handles the event".into()),
            ClaimResult::AlreadyHandled => self.jobs.set_done(id).await,
        }
    }
}

/// Retries an update until it succeeds.
async fn until_stored<F: Future<Output = Result<(), BoxError>>>(update: impl Fn() -> F) {
    while update().await.is_err() {
        sleep(PAUSE).await;
    }
}
