use std::fmt;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use fetch_hive_client::BoxError;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Encoder as _, Registry, TextEncoder};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// The name of the meter and the tracer.
const SCOPE: &str = "fetch_hive_client";

/// The metrics and the traces of a program, exported over OTLP and kept for Prometheus.
pub struct Telemetry {
    metrics: SdkMeterProvider,
    traces: SdkTracerProvider,
    registry: Registry,
}

impl Telemetry {
    /// Starts the export to an OTLP receiver at a base URL, such as `http://localhost:4318`.
    ///
    /// Without a receiver, the metrics are only kept for Prometheus. Metrics are exported every
    /// 60 s, or at the interval in `OTEL_METRIC_EXPORT_INTERVAL` in milliseconds.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL is invalid.
    pub fn start(service_name: &'static str, otlp_receiver: Option<&str>) -> Result<Self, BoxError> {
        let registry = Registry::new();
        let prometheus =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build()?;
        let resource = Resource::builder().with_service_name(service_name).build();
        let mut metrics = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(prometheus);
        let mut traces = SdkTracerProvider::builder().with_resource(resource);
        if let Some(url) = otlp_receiver.map(|url| url.trim_end_matches('/')) {
            let exporter = MetricExporter::builder().with_http().with_endpoint(format!("{url}/v1/metrics"));
            metrics = metrics.with_periodic_exporter(exporter.build()?);
            let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{url}/v1/traces"));
            traces = traces.with_batch_exporter(exporter.build()?);
        }
        Ok(Self { metrics: metrics.build(), traces: traces.build(), registry })
    }

    /// Returns the meter for [`Metrics::new`](crate::Metrics::new).
    pub fn meter(&self) -> Meter {
        self.metrics.meter(SCOPE)
    }

    /// Returns a layer of `tracing` that exports the spans.
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer().with_tracer(self.traces.tracer(SCOPE))
    }

    /// Returns the route `/metrics` with the metrics as Prometheus text.
    pub fn prometheus_route(&self) -> Router {
        let registry = self.registry.clone();
        let respond = move || {
            let text = prometheus_text(&registry);
            async move {
                let failed = |error: BoxError| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
                text.map(|text| ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text)).map_err(failed).into_response()
            }
        };
        Router::new().route("/metrics", get(respond))
    }

    /// Returns the metrics as Prometheus text.
    ///
    /// # Errors
    ///
    /// Returns an error if the metrics cannot be encoded.
    pub fn prometheus_text(&self) -> Result<String, BoxError> {
        prometheus_text(&self.registry)
    }

    /// Exports the remaining metrics and traces, and stops the exporters. Blocks the thread. If the
    /// traces fail, the metrics are not exported.
    ///
    /// # Errors
    ///
    /// Returns an error if the receiver did not accept the data.
    pub fn shutdown(&self) -> Result<(), BoxError> {
        self.traces.shutdown()?;
        Ok(self.metrics.shutdown()?)
    }
}

fn prometheus_text(registry: &Registry) -> Result<String, BoxError> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(String::from_utf8(text)?)
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}
