use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fetch_hive_client::callback::{DeliveryReport, Outcome, Receiver};
use fetch_hive_client::{AttemptReport, CallReport, ClientBuilder, RunLimiterUsage, RunReport, UsageReport};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

use crate::labels;

/// Seconds. The boundaries up to 10 s are those of the HTTP conventions; runs take longer.
const SECONDS: [f64; 18] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0, 600.0];

/// Seconds. The boundaries up to 81.92 s are those of the conventions for generative AI.
const GEN_AI_SECONDS: [f64; 17] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68, 655.36];

/// Tokens, as in the conventions for generative AI.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// The value of `gen_ai.provider.name`.
const PROVIDER: &str = "fetch_hive";

/// The OpenTelemetry metrics of clients, callback receivers and run limiters. Cloning is cheap.
///
/// The values of all labels come from bounded sets.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Instruments>);

#[derive(Debug)]
struct Instruments {
    meter: Meter,
    calls: Counter<u64>,
    call_duration: Histogram<f64>,
    attempts: Counter<u64>,
    request_duration: Histogram<f64>,
    runs_started: Counter<u64>,
    runs_ended: Counter<u64>,
    runs_unresolved: Counter<u64>,
    operation_duration: Histogram<f64>,
    tokens: Histogram<u64>,
    callbacks: Counter<u64>,
    deliveries: Counter<u64>,
    delivery_duration: Histogram<f64>,
    wait_time: Histogram<f64>,
}

impl Metrics {
    /// Creates the metrics.
    pub fn new(meter: &Meter) -> Self {
        let counter = |name: &'static str, unit: &'static str, description: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(description).build()
        };
        let seconds = |name: &'static str, boundaries: &[f64], description: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(boundaries.to_vec()).build()
        };
        let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}");
        Self(Arc::new(Instruments {
            calls: counter("fetch_hive.calls", "{call}", "Calls"),
            call_duration: seconds("fetch_hive.call.duration", &SECONDS, "Duration of calls with all attempts"),
            attempts: counter("fetch_hive.attempts", "{attempt}", "Attempts of calls"),
            request_duration: seconds("http.client.request.duration", &SECONDS, "Duration of HTTP client requests"),
            runs_started: counter("fetch_hive.runs.started", "{run}", "Runs that the service accepted"),
            runs_ended: counter("fetch_hive.runs.ended", "{run}", "Runs whose result was received"),
            runs_unresolved: counter("fetch_hive.runs.unresolved", "{run}", "Runs that may have been charged"),
            operation_duration: seconds("gen_ai.client.operation.duration", &GEN_AI_SECONDS, "Duration of runs"),
            tokens: tokens.with_description("Tokens of runs").with_boundaries(TOKENS.to_vec()).build(),
            callbacks: counter("fetch_hive.callbacks", "{callback}", "Callbacks that were accepted"),
            deliveries: counter("fetch_hive.deliveries", "{delivery}", "Deliveries of callbacks"),
            delivery_duration: seconds("fetch_hive.delivery.duration", &SECONDS, "Duration of deliveries"),
            wait_time: seconds("fetch_hive.run_limiter.wait_time", &SECONDS, "Time that calls waited for a run slot"),
            meter: meter.clone(),
        }))
    }

    /// Sets the four hooks of an async or a blocking client, and replaces hooks that were set
    /// before.
    pub fn observe_client<C>(&self, builder: ClientBuilder<C>) -> ClientBuilder<C> {
        let [attempts, calls, runs, usage] = [(); 4].map(|()| Arc::clone(&self.0));
        builder
            .on_attempt(move |report| attempts.attempt(&report))
            .on_call(move |report| calls.call(&report))
            .on_run(move |report| runs.run(&report))
            .on_usage(move |report| usage.usage(&report))
    }

    /// Sets the hook of a callback receiver, and replaces one that was set before.
    #[must_use]
    pub fn observe_receiver(&self, receiver: Receiver) -> Receiver {
        let instruments = Arc::clone(&self.0);
        receiver.on_delivery(move |report| instruments.delivery(&report))
    }

    /// Adds gauges for the slots and the queue of a run limiter.
    ///
    /// `usage` is called at each collection. It returns `None` if the usage is not known. For a
    /// limiter of a database, use [`poll_usage`].
    pub fn observe_run_limiter(
        &self,
        name: &'static str,
        usage: impl Fn() -> Option<RunLimiterUsage> + Send + Sync + 'static,
    ) {
        let usage = Arc::new(usage);
        let slot_usage = Arc::clone(&usage);
        let name = KeyValue::new("fetch_hive.run_limiter.name", name);
        let slots = self.0.meter.u64_observable_gauge("fetch_hive.run_limiter.slots").with_unit("{slot}");
        let slots = slots.with_description("Slots for concurrent runs by state");
        let limiter = name.clone();
        let slots = slots.with_callback(move |gauge| {
            let Some(usage) = slot_usage() else { return };
            let free = usage.slots.saturating_sub(usage.running + usage.held);
            for (state, slots) in [("free", free), ("held", usage.held), ("running", usage.running)] {
                gauge.observe(slots, &[limiter.clone(), KeyValue::new("fetch_hive.run_limiter.state", state)]);
            }
        });
        slots.build();
        let queue = self.0.meter.u64_observable_gauge("fetch_hive.run_limiter.queue").with_unit("{run}");
        let queue = queue.with_description("Runs that wait for a slot").with_callback(move |gauge| {
            if let Some(usage) = usage() {
                gauge.observe(usage.waiting, std::slice::from_ref(&name));
            }
        });
        queue.build();
    }
}

/// Reads the usage of a run limiter at an interval, for a limiter whose usage is in a database.
///
/// The returned function, for [`Metrics::observe_run_limiter`], returns the usage that was read
/// last, or `None` after an error. A task reads the usage until the function is dropped.
///
/// # Panics
///
/// Panics outside of a tokio runtime.
pub fn poll_usage<U, F, E>(interval: Duration, usage: U) -> impl Fn() -> Option<RunLimiterUsage> + Send + Sync + 'static
where
    U: Fn() -> F + Send + 'static,
    F: Future<Output = Result<RunLimiterUsage, E>> + Send,
    E: Send,
{
    let last = Arc::new(Mutex::new(None));
    let shared = Arc::downgrade(&last);
    tokio::spawn(async move {
        loop {
            let read = usage().await.ok();
            let Some(last) = shared.upgrade() else { return };
            *last.lock().unwrap_or_else(PoisonError::into_inner) = read;
            drop(last);
            tokio::time::sleep(interval).await;
        }
    });
    move || *last.lock().unwrap_or_else(PoisonError::into_inner)
}

fn operation(name: &'static str) -> KeyValue {
    KeyValue::new("fetch_hive.operation", name)
}

impl Instruments {
    fn attempt(&self, report: &AttemptReport<'_>) {
        let error_type = labels::error_type(report.error_type);
        let mut labels = vec![operation(report.operation.name), KeyValue::new("fetch_hive.retry", report.attempt > 1)];
        labels.extend(error_type.clone());
        self.attempts.add(1, &labels);

        let mut labels = vec![
            KeyValue::new("http.request.method", labels::method(&report.operation.method)),
            KeyValue::new("server.address", report.server_address.to_owned()),
            KeyValue::new("server.port", i64::from(report.server_port)),
        ];
        if !report.operation.path.is_empty() {
            labels.push(KeyValue::new("url.template", report.operation.path));
        }
        let status = report.status.map(labels::status_code);
        labels.extend(status.map(|code| KeyValue::new("http.response.status_code", i64::from(code))));
        labels.extend(error_type);
        self.request_duration.record(report.duration.as_secs_f64(), &labels);
    }

    fn call(&self, report: &CallReport<'_>) {
        let CallReport { operation: described, error_type, duration, .. } = *report;
        let operation = operation(described.name);
        let error_type = labels::error_type(error_type);
        let labels: Vec<_> = [operation.clone()].into_iter().chain(error_type.clone()).collect();
        self.calls.add(1, &labels);
        self.call_duration.record(duration.as_secs_f64(), &labels);
        if described.occupies_run_slot {
            self.wait_time.record(report.queued.as_secs_f64(), std::slice::from_ref(&operation));
        }
        if report.may_have_run {
            self.runs_unresolved.add(1, &labels);
        }
        match error_type {
            None if described.starts_run => self.runs_started.add(1, &[operation]),
            Some(error_type) => self.gen_ai_operation(described.name, duration, Some(error_type)),
            None => {}
        }
    }

    fn run(&self, report: &RunReport<'_>) {
        let mut labels = vec![operation(report.operation)];
        let mut error_type = labels::error_type(report.error_type);
        let status = report.status.map(labels::run_status);
        if let (None, Some(error_type)) = (status, &error_type) {
            labels.push(error_type.clone());
            self.runs_unresolved.add(1, &labels);
        } else {
            labels.push(KeyValue::new("fetch_hive.run.status", status.unwrap_or(labels::OTHER)));
            self.runs_ended.add(1, &labels);
        }
        if let (None, Some(failed @ ("failed" | "cancelled" | "expired"))) = (&error_type, status) {
            error_type = Some(KeyValue::new("error.type", failed));
        }
        self.gen_ai_operation(report.operation, report.duration, error_type);
    }

    fn gen_ai_operation(&self, operation: &str, duration: Duration, error_type: Option<KeyValue>) {
        let Some(mut labels) = gen_ai(operation) else { return };
        labels.extend(error_type);
        self.operation_duration.record(duration.as_secs_f64(), &labels);
    }

    fn usage(&self, report: &UsageReport<'_>) {
        let Some(labels) = gen_ai(report.operation) else { return };
        let usage = report.usage;
        for (kind, tokens) in [("input", usage.prompt_total()), ("output", usage.completion_total())] {
            if let Some(tokens) = tokens {
                let mut labels = labels.clone();
                labels.push(KeyValue::new("gen_ai.token.type", kind));
                self.tokens.record(tokens, &labels);
            }
        }
    }

    fn delivery(&self, report: &DeliveryReport<'_>) {
        let outcome = [KeyValue::new("fetch_hive.delivery.outcome", report.outcome.kind())];
        self.deliveries.add(1, &outcome);
        if let Some(duration) = report.duration {
            self.delivery_duration.record(duration.as_secs_f64(), &outcome);
        }
        // Redeliveries have other outcomes.
        if matches!(report.outcome, Outcome::Handled(_) | Outcome::CommitFailed { .. } | Outcome::RunEnded(_)) {
            let event_type = report.event_type.map_or(labels::OTHER, labels::event_type);
            let mut labels = vec![KeyValue::new("fetch_hive.callback.event_type", event_type)];
            let status = report.run_status.map(|status| labels::run_status(status.as_str()));
            labels.extend(status.map(|status| KeyValue::new("fetch_hive.run.status", status)));
            self.callbacks.add(1, &labels);
        }
    }
}

/// Returns the required labels of the conventions for generative AI, if the operation starts a run.
fn gen_ai(operation: &str) -> Option<Vec<KeyValue>> {
    let name = labels::gen_ai_operation(operation)?;
    Some(vec![KeyValue::new("gen_ai.operation.name", name), KeyValue::new("gen_ai.provider.name", PROVIDER)])
}
