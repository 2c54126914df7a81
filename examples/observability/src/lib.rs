//! Metrics and traces of the client for OpenTelemetry and Prometheus.
//!
//! [`Metrics`] turns the reports of the client's hooks into OpenTelemetry metrics. It needs only
//! the crate `opentelemetry`, so it works with every exporter. [`Telemetry`] exports metrics and
//! traces over OTLP and keeps the metrics for Prometheus.

mod labels;
mod metrics;
mod telemetry;

pub use metrics::{Metrics, poll_usage};
pub use telemetry::Telemetry;
