//! Every transport of this package, and the blocking client's, under the conformance kit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::blocking::{BlockingTransport, UreqTransport};
use fetch_hive_client::conformance::{Capability, Check, Outcome, Report, Suite};
use fetch_hive_client::{HyperTransport, Limits, ResponseBody, Transport, TransportError};
use fetch_hive_example_transports::{InProcess, IsahcTransport, OnThread, ReqwestTransport, TowerTransport};
use http::{Request, Response, StatusCode};
use http_body_util::Full;

const BY_THREAD: &str = "a thread cannot be ended from outside";

fn hyper() -> HyperTransport {
    HyperTransport::builder().build().unwrap()
}

fn ureq() -> UreqTransport {
    UreqTransport::builder().build().unwrap()
}

fn passes(name: &str, report: &Report) {
    println!("{name}\n{report}\n");
    assert!(report.is_passed(), "{name}\n{report}");
}

#[tokio::test]
async fn reqwest_passes() {
    let transport = ReqwestTransport::new(Duration::from_secs(10)).unwrap();
    let suite = Suite::new(transport).lacks(Capability::ConnectLimit, "reqwest has one for a client, not for a call");
    passes("reqwest", &suite.run().await);
}

#[tokio::test]
async fn isahc_passes_but_for_what_curl_does() {
    let suite = Suite::new(IsahcTransport::new().unwrap()).lacks(
        Capability::ConnectLimit,
        "curl does not tell which of its limits ran out, and is built without TLS here",
    );
    let report = suite.patience(Duration::from_secs(4)).run().await;
    println!("isahc\n{report}\n");
    // As the documentation of the transport says; a version of isahc that does better must be noticed.
    let known = [Check::HeadersFirst, Check::LostReply, Check::DropRequest, Check::DropBody];
    assert_eq!(report.failures().collect::<Vec<_>>(), known, "{report}");
}

#[tokio::test]
async fn tower_passes() {
    use hyper_util::client::legacy::{Client, Error};
    let client = Client::builder(hyper_util::rt::TokioExecutor::new()).retry_canceled_requests(false).build_http();
    let not_sent = |error: &fetch_hive_client::BoxError| error.downcast_ref().is_some_and(Error::is_connect);
    let suite = Suite::new(TowerTransport::new(client, Full::<Bytes>::new, not_sent))
        .lacks(Capability::ConnectLimit, "a tower service knows nothing of limits");
    passes("tower", &suite.run().await);
}

#[tokio::test]
async fn in_process_passes() {
    // The function hands on to the server of the kit: what is checked is what the transport does with requests and bodies.
    let hyper = Arc::new(hyper());
    let gateway = move |request| {
        let hyper = Arc::clone(&hyper);
        async move {
            hyper.send(request).await.unwrap_or_else(|_| {
                let mut response = Response::new(ResponseBody::whole(""));
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            })
        }
    };
    let suite = Suite::new(InProcess(gateway)).lacks(Capability::Connections, "a function in this process is called");
    passes("in-process", &suite.run().await);
}

#[tokio::test]
async fn ureq_on_a_thread_passes() {
    passes(
        "ureq on a thread",
        &Suite::new(OnThread::new(ureq())).lacks(Capability::CancelOnDrop, BY_THREAD).run().await,
    );
}

#[test]
fn blocking_ureq_passes() {
    passes("ureq, blocking", &Suite::blocking(ureq()).run_blocking().unwrap());
}

/// Ureq with one limit that it does not keep.
struct Forgets(OnThread<UreqTransport>, fn(&mut Limits));

#[async_trait]
impl Transport for Forgets {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<ResponseBody>, TransportError> {
        let mut limits = *request.extensions().get::<Limits>().unwrap();
        (self.1)(&mut limits);
        request.extensions_mut().insert(limits);
        self.0.send(request).await
    }
}

#[tokio::test]
async fn a_limit_that_is_not_kept_is_caught_by_its_check() {
    let forgets: [fn(&mut Limits); 3] =
        [|limits| limits.idle = None, |limits| limits.headers = None, |limits| limits.deadline = None];
    for forget in forgets {
        let suite = Suite::new(Forgets(OnThread::new(ureq()), forget)).lacks(Capability::CancelOnDrop, BY_THREAD);
        let report = suite.patience(Duration::from_secs(4)).run().await;
        assert_eq!(report.failures().collect::<Vec<_>>(), [Check::OwnLimits], "{report}");
    }
}

#[test]
fn a_blocking_transport_that_buffers_is_caught() {
    struct Buffers(UreqTransport);
    impl BlockingTransport for Buffers {
        fn send(&self, request: Request<Bytes>) -> Result<Response<Box<dyn std::io::Read + Send>>, TransportError> {
            let (parts, mut body) = self.0.send(request)?.into_parts();
            let mut whole = Vec::new();
            std::io::Read::read_to_end(&mut body, &mut whole).map_err(TransportError::may_have_run)?;
            Ok(Response::from_parts(parts, Box::new(std::io::Cursor::new(whole)) as _))
        }
    }
    let report = Suite::blocking(Buffers(ureq())).patience(Duration::from_secs(2)).run_blocking().unwrap();
    let failed: Vec<_> = report.failures().collect();
    assert!(failed.contains(&Check::HeadersFirst) && failed.contains(&Check::Streaming), "{report}");
}

#[test]
fn each_file_is_short_enough_to_copy() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("//");
        let lines = text.lines().filter(is_code).count();
        assert!(lines < 60, "{} has {lines} lines of code", path.display());
    }
}

#[test]
fn reports_are_told_apart() {
    let report = Suite::blocking(ureq()).lacks(Capability::Streaming, "it buffers").run_blocking().unwrap();
    let skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(why) if why == "it buffers");
    assert_eq!(report.outcomes().filter(|(_, outcome)| skipped(outcome)).count(), 2, "{report}");
}
