//! Runs workflows, a prompt and a callback against the emulator, and prints some of the metrics.
//!
//! With the argument `serve`, it then serves the metrics for Prometheus until Ctrl+C is pressed.
//! If `OTEL_EXPORTER_OTLP_ENDPOINT` is set, such as to `http://localhost:4318`, metrics and traces
//! are also exported to it.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use fetch_hive_client::callback::{Delivery, MemoryDedupStore, Receiver};
use fetch_hive_client::{BoxError, Client, MemoryRunLimiter, TokioClock};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use observability::{Metrics, Telemetry};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let otlp_receiver = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok();
    let telemetry = Telemetry::start("reports", otlp_receiver.as_deref())?;
    tracing_subscriber::registry().with(telemetry.layer()).try_init()?;

    let metrics = Metrics::new(&telemetry.meter());
    let limiter = MemoryRunLimiter::new(3, Duration::from_secs(60), std::sync::Arc::new(TokioClock));
    let shared = std::sync::Arc::clone(&limiter);
    metrics.observe_run_limiter("plan", move || Some(shared.usage()));

    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("broken").failure("model refused"))
        .fault(Fault::status(429).header("retry-after-ms", "20").operation("invokeWorkflow").nth(1))
        .start()
        .await?;
    let builder = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).run_limiter(limiter);
    let client = metrics.observe_client(builder).build()?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let receiver = Receiver::with_callback_url(format!("http://{address}/callbacks")).dedup(MemoryDedupStore::new());
    let receiver = metrics.observe_receiver(receiver);
    let app = Router::new()
        .route("/callbacks", any(receive))
        .route("/callbacks/{*run}", any(receive))
        .with_state(receiver.clone())
        .merge(telemetry.prometheus_route());
    tokio::spawn(async move { axum::serve(listener, app).await });

    client.invoke_workflow("weekly-report").input("topic", "enterprise AI").await?;
    client.invoke_workflow("broken").await?;
    client.invoke_prompt("headline").input("topic", "enterprise AI").await?;
    client.invoke_workflow("weekly-report").run_and_wait(&receiver).await?;

    let text = telemetry.prometheus_text()?;
    for line in text.lines().filter(|line| line.starts_with("fetch_hive_runs_")) {
        println!("{line}");
    }
    if std::env::args().any(|argument| argument == "serve") {
        println!("Prometheus text: http://{address}/metrics");
        tokio::signal::ctrl_c().await?;
    }
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?
}

async fn receive(State(receiver): State<Receiver>, request: Request) -> impl IntoResponse {
    receiver.receive(request, |_: Delivery| async { Ok::<_, BoxError>(()) }).await
}
