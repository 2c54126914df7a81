use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One series: a name with a set of labels. A histogram counts as one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// The value of a counter or a gauge, or the number of values of a histogram.
    pub(crate) count: u64,
    /// The sum of the values of a histogram.
    pub(crate) sum: f64,
    /// The unit, which Prometheus appends to the name.
    pub(crate) unit: String,
    pub(crate) is_counter: bool,
}

impl Series {
    pub(crate) fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { name: name.to_owned(), labels, count: 0, sum: 0.0, unit: String::new(), is_counter: false }
    }

    /// Renames the series in the way of Prometheus.
    pub(crate) fn to_prometheus(&self) -> Self {
        let mut name = self.name.replace('.', "_");
        if self.unit == "s" {
            name.push_str("_seconds");
        }
        if self.is_counter {
            name.push_str("_total");
        }
        let labels = self.labels.iter().map(|(name, value)| (name.replace('.', "_"), value.clone())).collect();
        Self { name, labels, unit: String::new(), is_counter: false, ..self.clone() }
    }
}

/// Sends a GET request and returns the body of its response.
pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

/// Reads the series of a Prometheus text.
pub(crate) fn parse(text: &str) -> Vec<Series> {
    let mut histograms: Vec<&str> = Vec::new();
    let mut all: Vec<Series> = Vec::new();
    for line in text.lines() {
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            histograms.extend(kind.strip_suffix(" histogram"));
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap();
        let histogram = histograms.iter().find(|histogram| name.starts_with(**histogram));
        let mut parsed = Series::new(histogram.unwrap_or(&name), &[]);
        // No label of the tests contains a comma or a quote.
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (name, value) = label.split_once('=').unwrap();
            parsed.labels.insert(name.to_owned(), value.trim_matches('"').to_owned());
        }
        match histogram.map(|histogram| &name[histogram.len()..]) {
            Some("_bucket") => {}
            Some("_sum") => {
                parsed.sum = value.parse().unwrap();
                all.push(parsed);
            }
            Some(_) => {
                let same = all.iter_mut().find(|other| (&other.name, &other.labels) == (&parsed.name, &parsed.labels));
                same.unwrap().count = value.parse().unwrap();
            }
            None => {
                parsed.count = value.parse().unwrap();
                all.push(parsed);
            }
        }
    }
    all
}
