//! Spans, events and hooks.
//!
//! It is the only test of its process, because other threads without a subscriber would disable the
//! spans.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::IntoFuture as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fetch_hive_client::RetryPolicy;
use fetch_hive_emulator::{Emulator, Fault};
use fetch_hive_tests::stack;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

type Fields = BTreeMap<String, String>;

/// Stores the closed spans and the events of this crate's target, with names and fields.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<(String, Fields)>>>);

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::new();
        attributes.record(&mut Reader(&mut fields));
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        record.record(&mut Reader(span.extensions_mut().get_mut::<Fields>().unwrap()));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "fetch_hive_client" {
            let mut fields = Fields::new();
            event.record(&mut Reader(&mut fields));
            self.0.lock().unwrap().push(("event".to_owned(), fields));
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).unwrap();
        if span.metadata().target() == "fetch_hive_client" {
            let fields = span.extensions_mut().remove::<Fields>().unwrap();
            self.0.lock().unwrap().push((span.name().to_owned(), fields));
        }
    }
}

#[tokio::test]
async fn spans_and_hooks_report_each_attempt_and_call() {
    let kept = Kept::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(kept.clone()));
    let emulator = Emulator::builder()
        .fault(Fault::status(429).header("retry-after-ms", "20").nth(1))
        .fault(Fault::hang().nth(2))
        .start()
        .await
        .unwrap();
    let port = emulator.address().port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let (attempts, calls) = (Arc::clone(&told), Arc::clone(&told));
    let client = stack::client(&emulator)
        .api_key("fhk_test")
        .on_attempt(move |report| {
            let status = report.status.map(|status| status.as_u16());
            let text = format!("{} {} {status:?} {:?}", report.operation.name, report.attempt, report.error_type);
            assert_eq!(report.request_id.is_some(), status == Some(200));
            assert_eq!((report.server_address, report.server_port), ("127.0.0.1", port));
            attempts.lock().unwrap().push(text);
        })
        .on_call(move |report| {
            assert!(report.duration >= report.waited && report.queued == Duration::ZERO);
            let (attempts, path) = (report.attempts, report.operation.path);
            let text = format!("{attempts} of {path} {:?} may have run: {}", report.error_type, report.may_have_run);
            calls.lock().unwrap().push(text);
        })
        .build()
        .unwrap();
    let run = client.invoke_workflow("d").input("secret", "input").await.unwrap();
    assert_eq!(run.parts().attempts, 2);
    assert!(run.parts().waited >= Duration::from_millis(20));
    // A dropped call is reported too.
    let hanging = client.invoke_workflow("d").retry(RetryPolicy::never()).into_future();
    assert!(tokio::time::timeout(Duration::from_millis(100), hanging).await.is_err());
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(
        told,
        [
            "invokeWorkflow 1 Some(429) Some(\"429\")",
            "invokeWorkflow 2 Some(200) None",
            "2 of /workflow/invoke None may have run: false",
            "invokeWorkflow 1 None Some(\"cancelled\")",
            "1 of /workflow/invoke Some(\"cancelled\") may have run: true",
        ]
    );

    let kept = std::mem::take(&mut *kept.0.lock().unwrap());
    let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
    let attempt = "fetch_hive.attempt";
    assert_eq!(names, [attempt, "event", attempt, "fetch_hive.call", attempt, "fetch_hive.call"]);
    let port = port.to_string();
    let first = &kept[0].1;
    for (field, value) in [
        ("otel.name", "POST /workflow/invoke"),
        ("otel.kind", "client"),
        ("http.request.method", "POST"),
        ("http.response.status_code", "429"),
        ("url.template", "/workflow/invoke"),
        ("server.address", "127.0.0.1"),
        ("server.port", port.as_str()),
        ("error.type", "429"),
        ("fetch_hive.operation", "invokeWorkflow"),
        ("network.protocol.version", "1.1"),
    ] {
        assert_eq!(first.get(field).map(String::as_str), Some(value), "{field}: {first:?}");
    }
    assert!(!first.contains_key("http.request.resend_count") && first.contains_key("http.client.request.duration"));
    assert_eq!((kept[1].1["error.type"].as_str(), kept[1].1["fetch_hive.attempts"].as_str()), ("429", "1"));
    let second = &kept[2].1;
    assert_eq!((second["http.request.resend_count"].as_str(), second.get("error.type")), ("1", None));
    assert_eq!(second["fetch_hive.request_id"], run.request_id.as_ref().unwrap().as_str());
    assert_eq!(kept[3].1["fetch_hive.attempts"], "2");
    assert_eq!(kept[5].1["error.type"], "cancelled");
    assert!(!format!("{kept:?}").contains("input\""), "no body is told");
}
