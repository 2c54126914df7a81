use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, metric, number_data_point};
use prost::Message as _;
use tokio::net::TcpListener;

use super::prometheus::Series;

/// A server that receives OTLP over HTTP, encoded as protobuf.
pub(crate) struct OtlpReceiver {
    url: String,
    received: Received,
}

#[derive(Clone, Default)]
struct Received {
    metrics: Arc<Mutex<Vec<ExportMetricsServiceRequest>>>,
    traces: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

/// A received span.
#[derive(Debug)]
pub(crate) struct Span {
    pub(crate) name: String,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    attributes: Vec<(String, String)>,
}

impl Span {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl OtlpReceiver {
    pub(crate) async fn start() -> Self {
        let received = Received::default();
        let app = Router::new()
            .route("/v1/metrics", post(receive_metrics))
            .route("/v1/traces", post(receive_traces))
            .with_state(received.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, received }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// Returns the series of the last export.
    pub(crate) fn series(&self) -> Vec<Series> {
        let received = self.received.metrics.lock().unwrap();
        let resource = received.last().unwrap().resource_metrics.first().unwrap();
        let service = attributes(&resource.resource.as_ref().unwrap().attributes);
        assert!(service.contains(&("service.name".to_owned(), "test".to_owned())), "{service:?}");
        let scope = resource.scope_metrics.first().unwrap();
        assert_eq!(scope.scope.as_ref().unwrap().name, "fetch_hive_client");
        let mut all = Vec::new();
        for metric in &scope.metrics {
            let series = |labels: &[KeyValue], count, sum, is_counter| {
                let labels = attributes(labels).into_iter().collect();
                Series { name: metric.name.clone(), labels, count, sum, unit: metric.unit.clone(), is_counter }
            };
            match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) => {
                    assert!(sum.is_monotonic);
                    all.extend(sum.data_points.iter().map(|point| series(&point.attributes, value(point), 0.0, true)));
                }
                metric::Data::Gauge(gauge) => {
                    let points = gauge.data_points.iter();
                    all.extend(points.map(|point| series(&point.attributes, value(point), 0.0, false)));
                }
                metric::Data::Histogram(histogram) => {
                    let points = histogram.data_points.iter();
                    all.extend(
                        points
                            .map(|point| series(&point.attributes, point.count, point.sum.unwrap_or_default(), false)),
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        all
    }

    /// Returns the spans of all exports.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received.traces.lock().unwrap();
        let scopes = received.iter().flat_map(|request| &request.resource_spans).flat_map(|spans| &spans.scope_spans);
        let spans = scopes.flat_map(|scope| &scope.spans).map(|span| Span {
            name: span.name.clone(),
            id: span.span_id.clone(),
            parent: span.parent_span_id.clone(),
            attributes: attributes(&span.attributes),
        });
        spans.collect()
    }
}

async fn receive_metrics(State(received): State<Received>, body: Bytes) {
    received.metrics.lock().unwrap().push(ExportMetricsServiceRequest::decode(body).unwrap());
}

async fn receive_traces(State(received): State<Received>, body: Bytes) {
    received.traces.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
}

fn attributes(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        any_value::Value::StringValue(text) => text.clone(),
        any_value::Value::BoolValue(value) => value.to_string(),
        any_value::Value::IntValue(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute))).collect()
}

fn value(point: &NumberDataPoint) -> u64 {
    match point.value.unwrap() {
        number_data_point::Value::AsInt(value) => u64::try_from(value).unwrap(),
        number_data_point::Value::AsDouble(value) => panic!("{value}"),
    }
}
