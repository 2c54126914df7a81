//! The service: it summarizes texts with a workflow whose result arrives by callback.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{any, get, post};
use fetch_hive_client::callback::{Delivery, Receiver};
use fetch_hive_client::{BoxError, Client};
use fetch_hive_store::Store;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The limit of concurrent runs in all processes together.
pub const MAX_RUNS: u32 = 3;

/// The counters of a process, for the table of the example.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The number of returned summaries.
    pub answered: usize,
    /// The number of summaries whose callback reached another process.
    pub received_elsewhere: usize,
    /// The number of attempts that were answered with 429.
    pub refused: usize,
}

#[derive(Clone)]
struct App {
    client: Client,
    receiver: Receiver,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    answered: AtomicUsize,
    received_elsewhere: AtomicUsize,
    refused: AtomicUsize,
    /// The paths of the callbacks that arrived at this process.
    received: Mutex<HashSet<String>>,
}

/// Runs the service until SIGTERM arrives and the requests in progress are answered.
///
/// # Errors
///
/// Returns an error if the database or the port cannot be opened.
pub async fn serve(database: &str, base_url: &str, callback_url: &str) -> Result<(), BoxError> {
    let store = if database.starts_with("postgres://") {
        Store::connect(database).await?
    } else {
        Store::open(database).await?
    };
    let counters = Arc::<Counters>::default();
    let on_attempt = Arc::clone(&counters);
    let client = Client::builder()
        .api_key("fhk_example")
        .base_url(base_url)
        .run_limiter(store.run_limiter("plan", MAX_RUNS))
        .on_attempt(move |attempt| {
            let refused = attempt.status.is_some_and(|status| status == StatusCode::TOO_MANY_REQUESTS);
            on_attempt.refused.fetch_add(usize::from(refused), Ordering::Relaxed);
        })
        .build()?;
    let app = App { client, receiver: store.receiver(callback_url), counters };
    let router = Router::new()
        .route("/summaries", post(summarize))
        .route("/callbacks", any(receive))
        .route("/callbacks/{*run}", any(receive))
        .route("/report", get(report))
        .with_state(app);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = async move {
        terminate.recv().await;
    };
    Ok(axum::serve(listener, router).with_graceful_shutdown(shutdown).await?)
}

async fn summarize(State(app): State<App>, text: String) -> Result<String, (StatusCode, String)> {
    let failed = |error: BoxError| (StatusCode::BAD_GATEWAY, error.to_string());
    let call = app.client.invoke_workflow("summarize").input("text", text);
    let mut run = call.start(&app.receiver).await.map_err(|error| failed(error.into()))?.pending;
    let handled = run.handle(|delivery| async move { Ok::<_, BoxError>(delivery.event.to_run().output_as()?) });
    let summary = handled.await.map_err(failed)?;
    let counters = &app.counters;
    counters.answered.fetch_add(1, Ordering::Relaxed);
    let path = format!("/callbacks/{}", run.resume_token().token);
    let received_here = counters.received.lock().unwrap_or_else(PoisonError::into_inner).contains(&path);
    counters.received_elsewhere.fetch_add(usize::from(!received_here), Ordering::Relaxed);
    Ok(summary)
}

async fn receive(State(app): State<App>, request: Request) -> impl IntoResponse {
    let path = request.uri().path().to_owned();
    app.counters.received.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    // The events that end a run go to its waiter, and there are no others in this example.
    app.receiver.receive(request, |_: Delivery| async { Ok::<_, BoxError>(()) }).await
}

async fn report(State(app): State<App>) -> Json<Report> {
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let Counters { answered, received_elsewhere, refused, .. } = &*app.counters;
    Json(Report { answered: count(answered), received_elsewhere: count(received_elsewhere), refused: count(refused) })
}

/// Returns the address that a process of the service printed.
///
/// # Errors
///
/// Returns an error if the process ended before it printed an address.
pub fn read_address(process: &mut std::process::Child) -> Result<SocketAddr, BoxError> {
    use std::io::BufRead;
    let stdout = process.stdout.take().ok_or("the replica has no standard output")?;
    let mut line = String::new();
    std::io::BufReader::new(stdout).read_line(&mut line)?;
    line.trim().parse().map_err(|_| format!("the replica printed {line:?} instead of its address").into())
}
