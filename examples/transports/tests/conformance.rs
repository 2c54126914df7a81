//! The conformance suite for every transport of this package and for the transport of the blocking
//! client.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::blocking::{BlockingTransport, UreqTransport};
use fetch_hive_client::{HyperTransport, RequestBody, ResponseBody, Timeouts, Transport, TransportError};
use fetch_hive_example_transports::{InProcess, IsahcTransport, OnThread, ReqwestTransport, TowerTransport};
use fetch_hive_testing::conformance::{Capability, Check, Outcome, Report, Suite};
use http::{Request, Response, StatusCode};
use http_body_util::Full;

const ON_THREAD: &str = "a thread cannot be cancelled";

fn hyper() -> HyperTransport {
    HyperTransport::builder().build().unwrap()
}

fn ureq() -> UreqTransport {
    UreqTransport::builder().build().unwrap()
}

/// Returns each transport by name, with its unsupported capabilities and expected failures.
fn suites() -> Vec<(&'static str, Suite)> {
    use hyper_util::client::legacy::{Client, Error};
    let client = Client::builder(hyper_util::rt::TokioExecutor::new()).retry_canceled_requests(false).build_http();
    let not_sent = |error: &fetch_hive_client::BoxError| error.downcast_ref().is_some_and(Error::is_connect);
    let tower = TowerTransport::new(client, Full::<Bytes>::new, not_sent);
    let reqwest = ReqwestTransport::new(Duration::from_secs(10)).unwrap();
    // The function forwards to the server of the suite, which then checks how requests and bodies
    // are passed on.
    let upstream = Arc::new(hyper());
    let gateway = move |request: Request<Bytes>| {
        let upstream = Arc::clone(&upstream);
        async move {
            upstream.send(request.map(RequestBody::from)).await.unwrap_or_else(|_| {
                let mut response = Response::new(ResponseBody::whole(""));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            })
        }
    };
    let connect = Capability::ConnectTimeout;
    vec![
        ("hyper", Suite::new(hyper())),
        ("reqwest", Suite::new(reqwest).unsupported(connect, "reqwest has one per client, not per call")),
        (
            "isahc",
            Suite::new(IsahcTransport::new().unwrap())
                .unsupported(connect, "curl does not report which timeout expired, and is built without TLS here")
                .expect_failure(Check::HeadersFirst, "isahc returns the head with the first chunk of the body")
                .expect_failure(Check::LostResponse, "curl treats a truncated head as an empty response")
                .expect_failure(Check::DropRequest, "isahc ends when more data arrives")
                .expect_failure(Check::DropBody, "isahc ends when more data arrives"),
        ),
        ("tower", Suite::new(tower).unsupported(connect, "a tower service has no connect timeout")),
        (
            "in-process",
            Suite::new(InProcess(gateway))
                .unsupported(Capability::Connections, "the transport calls a function in this process"),
        ),
        ("thread", Suite::new(OnThread::new(ureq())).unsupported(Capability::CancelOnDrop, ON_THREAD)),
    ]
}

fn print(reports: &[(&str, Report)]) {
    let mut reasons: Vec<String> = Vec::new();
    print!("{:<19}", "");
    for (name, _) in reports {
        print!("{name:<12}");
    }
    for (row, check) in Check::ALL.iter().enumerate() {
        print!("\n{:<19}", check.name());
        for (name, report) in reports {
            let (cell, reason) = match report.outcomes().nth(row).unwrap().1 {
                Outcome::Passed => ("passed", None),
                Outcome::Failed(what) => ("FAILED", Some(format!("{name}: {what}"))),
                Outcome::Skipped(why) => ("skipped", Some(why.clone())),
                Outcome::ExpectedFailure { error, reason } => ("expected", Some(format!("{name}: {error}: {reason}"))),
                _ => ("?", None),
            };
            let number = reason.map_or(String::new(), |reason| {
                let known = reasons.iter().position(|known| *known == reason).unwrap_or_else(|| {
                    reasons.push(reason);
                    reasons.len() - 1
                });
                format!(" {}", known + 1)
            });
            print!("{:<12}", format!("{cell}{number}"));
        }
    }
    println!();
    for (number, reason) in reasons.iter().enumerate() {
        println!("{:>3}  {reason}", number + 1);
    }
}

#[test]
fn every_transport_meets_the_contract() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut reports = runtime.block_on(async {
        let running: Vec<_> = suites()
            .into_iter()
            .map(|(name, suite)| (name, tokio::spawn(suite.step_timeout(Duration::from_secs(6)).run())))
            .collect();
        let mut reports = Vec::new();
        for (name, report) in running {
            reports.push((name, report.await.unwrap()));
        }
        reports
    });
    reports.push(("blocking", Suite::blocking(ureq()).run_blocking()));
    print(&reports);
    for (name, report) in reports {
        assert!(report.is_success(), "{name} fails {:?}\n{report}", report.failures().collect::<Vec<_>>());
        // Some expected failures depend on timing, so not all of them occur in every run.
        let expected =
            report.outcomes().filter(|(_, outcome)| matches!(outcome, Outcome::ExpectedFailure { .. })).count();
        assert_eq!(expected > 0, name == "isahc", "{name}\n{report}");
    }
}

/// The ureq transport with a change to its timeouts.
struct WithTimeouts(OnThread<UreqTransport>, fn(&mut Timeouts));

#[async_trait]
impl Transport for WithTimeouts {
    async fn send(&self, mut request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let mut timeouts = *request.extensions().get::<Timeouts>().unwrap();
        (self.1)(&mut timeouts);
        request.extensions_mut().insert(timeouts);
        self.0.send(request).await
    }
}

#[tokio::test]
async fn own_timeouts_detects_each_ignored_timeout() {
    let changes: [fn(&mut Timeouts); 4] = [
        |timeouts| timeouts.idle = None,
        |timeouts| timeouts.headers = None,
        |timeouts| timeouts.deadline = None,
        // The idle timeout must not apply before the response head.
        |timeouts| timeouts.headers = timeouts.headers.or(timeouts.idle),
    ];
    for change in changes {
        let suite =
            Suite::new(WithTimeouts(OnThread::new(ureq()), change)).unsupported(Capability::CancelOnDrop, ON_THREAD);
        let report = suite.step_timeout(Duration::from_secs(4)).run().await;
        assert_eq!(report.failures().collect::<Vec<_>>(), [Check::OwnTimeouts], "{report}");
    }
}

#[test]
fn suite_detects_a_blocking_transport_that_buffers() {
    struct Buffering(UreqTransport);
    impl BlockingTransport for Buffering {
        fn send(
            &self,
            request: Request<RequestBody>,
        ) -> Result<Response<Box<dyn std::io::Read + Send>>, TransportError> {
            let (parts, mut body) = self.0.send(request)?.into_parts();
            let mut whole = Vec::new();
            std::io::Read::read_to_end(&mut body, &mut whole).map_err(TransportError::may_have_run)?;
            Ok(Response::from_parts(parts, Box::new(std::io::Cursor::new(whole)) as _))
        }
    }
    let report = Suite::blocking(Buffering(ureq())).step_timeout(Duration::from_secs(2)).run_blocking();
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.contains(&Check::HeadersFirst) && failed.contains(&Check::Streaming), "{report}");
}

#[test]
fn each_file_has_fewer_than_60_lines_of_code() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = text.lines().filter(is_code).count();
        assert!(lines < 60, "{} has {lines} lines of code", path.display());
    }
}
