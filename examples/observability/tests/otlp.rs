//! The metrics and the spans that an OTLP receiver and a Prometheus scraper get over sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::future::IntoFuture as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use axum::routing::any;
use fetch_hive_client::callback::{MemoryDedupStore, Receiver, signed_request};
use fetch_hive_client::{BoxError, Client, MemoryRunLimiter, RunLimiter as _, RunRequest, TokioClock};
use fetch_hive_emulator::{Deployment, Emulator, Fault};
use observability::{Metrics, Telemetry};
use support::otlp::OtlpReceiver;
use support::prometheus::{Series, get, parse};
use tokio::net::TcpListener;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

async fn receive(State(receiver): State<Receiver>, request: Request) -> impl IntoResponse {
    receiver.receive(request, |_| async { Ok::<_, BoxError>(()) }).await
}

async fn until(holds: impl Fn() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition does not hold within 5 s");
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::too_many_lines, reason = "one program, and a list of what it exports")]
async fn otlp_and_prometheus_get_every_metric() {
    let otlp = OtlpReceiver::start().await;
    let telemetry = Arc::new(Telemetry::start("test", Some(&otlp.url())).unwrap());
    tracing_subscriber::registry().with(telemetry.layer()).init();
    let metrics = Metrics::new(&telemetry.meter());

    let emulator = Emulator::builder()
        .deployment(Deployment::workflow("broken").failure("model refused"))
        .deployment(Deployment::workflow("late").delay_ms(50))
        .fault(Fault::status(429).header("retry-after-ms", "20").operation("invokeWorkflow").nth(2))
        // The faults count only the requests that the faults before them left alone.
        .fault(Fault::status(502).body("<html>Bad gateway</html>").operation("invokeWorkflow").nth(5))
        .fault(Fault::callback_redeliver(1))
        .delivery(10, Duration::from_millis(20))
        .start()
        .await
        .unwrap();
    let limiter = MemoryRunLimiter::new(2, Duration::from_secs(60), Arc::new(TokioClock));
    let shared = Arc::clone(&limiter);
    metrics.observe_run_limiter("plan", move || Some(shared.usage()));
    let builder = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).run_limiter(limiter.clone());
    let client = metrics.observe_client(builder).build().unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let receiver = Receiver::with_callback_url(format!("http://{address}/callbacks")).dedup(MemoryDedupStore::new());
    let receiver = metrics.observe_receiver(receiver);
    let callbacks = Router::new().route("/callbacks", any(receive)).route("/callbacks/{*run}", any(receive));
    let app = callbacks.with_state(receiver.clone()).merge(telemetry.prometheus_route());
    tokio::spawn(async move { axum::serve(listener, app).await });

    client.invoke_workflow("weekly-report").await.unwrap();
    let retried = client.invoke_workflow("weekly-report").await.unwrap();
    assert_eq!(retried.parts().attempts, 2);
    assert!(client.invoke_workflow("broken").await.unwrap().into_output().is_err());
    let prompt = client.invoke_prompt("headline").input("topic", "AI").await.unwrap();
    let usage = prompt.usage.clone().unwrap();
    client.requests().get("req_missing").await.unwrap_err();

    client.invoke_workflow("late").run_and_wait(&receiver).await.unwrap();
    until(|| emulator.deliveries().len() == 2).await;
    let forged = signed_request("whsec_other", r#"{"event_type":"workflow.completed"}"#);
    assert_eq!(receiver.receive_bytes(forged, |_| async { Ok::<_, BoxError>(()) }).await.status(), 500);

    // The run may still be running, so its slot is held.
    assert!(client.invoke_workflow("weekly-report").await.unwrap_err().may_have_run());
    // Another run occupies the second slot, and a third waits in the queue.
    let occupy = || Arc::clone(&limiter).try_acquire(RunRequest::new("invokeWorkflow", None)).unwrap();
    let wait = || tokio::spawn(client.invoke_workflow("weekly-report").into_future());
    let (permit, waiting) = (occupy(), wait());
    until(|| limiter.usage().waiting == 1).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(permit);
    waiting.await.unwrap().unwrap();
    let (permit, waiting) = (occupy(), wait());
    until(|| limiter.usage().waiting == 1).await;

    let text = get(address, "/metrics").await;
    let scraped = parse(&text);
    let exporting = Arc::clone(&telemetry);
    tokio::task::spawn_blocking(move || exporting.shutdown()).await.unwrap().unwrap();
    drop(permit);
    waiting.await.unwrap().unwrap();
    let exported = otlp.series();

    // Both contain the same series, with the same values.
    let renamed: Vec<Series> = exported.iter().map(Series::to_prometheus).collect();
    for series in &renamed {
        assert!(scraped.contains(series), "Prometheus has no {series:?} in\n{text}");
    }
    assert_eq!(renamed.len(), scraped.iter().filter(|series| series.name != "target_info").count());

    let port = emulator.address().port().to_string();
    let http = |code, method, template| {
        let error = (code != "200" && code != "202").then_some(("error.type", code));
        let labels = [
            ("http.request.method", method),
            ("http.response.status_code", code),
            ("server.address", "127.0.0.1"),
            ("server.port", port.as_str()),
            ("url.template", template),
        ];
        labels.into_iter().chain(error).collect::<Vec<_>>()
    };
    let workflow = ("fetch_hive.operation", "invokeWorkflow");
    let prompt = ("fetch_hive.operation", "invokePrompt");
    let lookup = ("fetch_hive.operation", "getRequest");
    let status = |status| ("fetch_hive.run.status", status);
    let error = |error| ("error.type", error);
    let gen_ai = |name: &'static str, more: Option<(&'static str, &'static str)>| {
        let required = [("gen_ai.operation.name", name), ("gen_ai.provider.name", "fetch_hive")];
        required.into_iter().chain(more).collect::<Vec<_>>()
    };
    let outcome = |outcome| [("fetch_hive.delivery.outcome", outcome)];
    let limiter = ("fetch_hive.run_limiter.name", "plan");
    let state = |state| [limiter, ("fetch_hive.run_limiter.state", state)];
    let counts = |name: &str, labels: &[(&str, &str)], count: u64| {
        let expected = Series::new(name, labels);
        let found = exported.iter().find(|series| series.name == name && series.labels == expected.labels);
        let found = found.unwrap_or_else(|| panic!("no {expected:?} in {exported:#?}"));
        assert_eq!(found.count, count, "{found:?}");
        found.sum
    };

    for name in ["fetch_hive.calls", "fetch_hive.call.duration"] {
        counts(name, &[workflow], 5);
        counts(name, &[workflow, error("502")], 1);
        counts(name, &[prompt], 1);
        counts(name, &[lookup, error("404")], 1);
    }
    let (first, retry) = (("fetch_hive.retry", "false"), ("fetch_hive.retry", "true"));
    counts("fetch_hive.attempts", &[workflow, first], 4);
    counts("fetch_hive.attempts", &[workflow, first, error("429")], 1);
    counts("fetch_hive.attempts", &[workflow, retry], 1);
    counts("fetch_hive.attempts", &[workflow, first, error("502")], 1);
    for (labels, count) in [
        (http("200", "POST", "/workflow/invoke"), 4),
        (http("202", "POST", "/workflow/invoke"), 1),
        (http("429", "POST", "/workflow/invoke"), 1),
        (http("502", "POST", "/workflow/invoke"), 1),
        (http("200", "POST", "/prompt/invoke"), 1),
        (http("404", "GET", "/public/requests/{id}"), 1),
    ] {
        let seconds = counts("http.client.request.duration", &labels, count);
        assert!(seconds > 0.0 && seconds < 10.0, "{seconds} s");
    }
    counts("fetch_hive.runs.started", &[workflow], 5);
    counts("fetch_hive.runs.ended", &[workflow, status("completed")], 4);
    counts("fetch_hive.runs.ended", &[workflow, status("failed")], 1);
    counts("fetch_hive.runs.ended", &[prompt, status("completed")], 1);
    counts("fetch_hive.runs.unresolved", &[workflow, error("502")], 1);

    for (labels, count) in [
        (gen_ai("invoke_workflow", None), 4),
        (gen_ai("invoke_workflow", Some(error("failed"))), 1),
        (gen_ai("invoke_workflow", Some(error("502"))), 1),
        (gen_ai("chat", None), 1),
    ] {
        let seconds = counts("gen_ai.client.operation.duration", &labels, count);
        // The run with a callback took 50 ms, although the service accepted it at once.
        assert!(count < 4 || seconds >= 0.05, "{seconds} s");
    }
    for (kind, tokens) in [("input", usage.prompt_total()), ("output", usage.completion_total())] {
        let labels = gen_ai("chat", Some(("gen_ai.token.type", kind)));
        let sum = counts("gen_ai.client.token.usage", &labels, 1);
        assert!((sum - f64::from(u32::try_from(tokens.unwrap()).unwrap())).abs() < f64::EPSILON);
    }

    let event = ("fetch_hive.callback.event_type", "workflow.completed");
    counts("fetch_hive.callbacks", &[event, status("completed")], 1);
    for name in ["fetch_hive.deliveries", "fetch_hive.delivery.duration"] {
        counts(name, &outcome("run_ended"), 1);
        counts(name, &outcome("already_handled"), 1);
        counts(name, &outcome("rejected"), 1);
    }
    counts("fetch_hive.run_limiter.slots", &state("free"), 0);
    counts("fetch_hive.run_limiter.slots", &state("held"), 1);
    counts("fetch_hive.run_limiter.slots", &state("running"), 1);
    counts("fetch_hive.run_limiter.queue", &[limiter], 1);
    assert!(counts("fetch_hive.run_limiter.wait_time", &[workflow], 6) >= 0.05);

    let spans = otlp.spans();
    let attempt = spans.iter().find(|span| span.name == "POST /workflow/invoke" && span.get("error.type").is_some());
    let attempt = attempt.unwrap();
    assert_eq!(attempt.get("http.response.status_code"), Some("429"));
    assert_eq!(attempt.get("server.address"), Some("127.0.0.1"));
    let call = spans.iter().find(|span| span.id == attempt.parent).unwrap();
    assert_eq!((call.name.as_str(), call.get("fetch_hive.attempts")), ("invokeWorkflow", Some("2")));
    // Ids are in the spans only.
    let id = retried.request_id().unwrap().as_str();
    assert!(spans.iter().any(|span| span.get("fetch_hive.request_id") == Some(id)));
    assert!(!text.contains("req_") && !format!("{exported:?}").contains("req_"));
}
