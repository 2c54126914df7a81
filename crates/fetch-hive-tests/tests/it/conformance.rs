//! Tests of the conformance suite: the hyper transport passes it, and each check detects a
//! transport that violates only its requirement.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::{
    HyperTransport, RequestBody, ResponseBody, Timeout, Timeouts, Transport, TransportError, TransportErrorKind,
};
use fetch_hive_testing::conformance::{Capability, Check, Outcome, Suite};
use http::header::{CONTENT_ENCODING, COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

type SendResult = Result<Response<ResponseBody>, TransportError>;

/// The hyper transport with one deliberate defect.
struct Defective {
    hyper: Arc<HyperTransport>,
    violates: Check,
    serialize: tokio::sync::Mutex<()>,
    cookie: Mutex<Option<HeaderValue>>,
}

impl Defective {
    fn new(violates: Check) -> Self {
        let hyper = Arc::new(HyperTransport::builder().build().unwrap());
        Self { hyper, violates, serialize: tokio::sync::Mutex::default(), cookie: Mutex::default() }
    }

    async fn follow_redirect(&self, request: Request<RequestBody>) -> SendResult {
        let uri = request.uri().clone();
        let response = self.hyper.send(request).await?;
        let Some(location) = response.headers().get(LOCATION) else { return Ok(response) };
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(location.to_str().unwrap().parse().unwrap());
        let next = Request::get(Uri::from_parts(parts).unwrap()).body(Bytes::new()).unwrap();
        self.hyper.send(next.map(RequestBody::from)).await
    }

    async fn store_cookies(&self, mut request: Request<RequestBody>) -> SendResult {
        if let Some(cookie) = self.cookie.lock().unwrap().clone() {
            request.headers_mut().insert(COOKIE, cookie);
        }
        let response = self.hyper.send(request).await?;
        *self.cookie.lock().unwrap() = response.headers().get(SET_COOKIE).cloned();
        Ok(response)
    }

    async fn return_informational(&self, mut request: Request<RequestBody>) -> SendResult {
        let first: Arc<Mutex<Option<StatusCode>>> = Arc::default();
        let seen = Arc::clone(&first);
        hyper::ext::on_informational(&mut request, move |response| {
            seen.lock().unwrap().get_or_insert(response.status());
        });
        let mut response = self.hyper.send(request).await?;
        if let Some(status) = *first.lock().unwrap() {
            *response.status_mut() = status;
        }
        Ok(response)
    }

    async fn with_body(&self, request: Request<RequestBody>, defect: BodyDefect) -> SendResult {
        let response = self.hyper.send(request).await?;
        Ok(response.map(|body| ResponseBody::streaming(DefectiveBody { first: None, body, defect })))
    }
}

#[async_trait]
impl Transport for Defective {
    async fn send(&self, mut request: Request<RequestBody>) -> SendResult {
        match self.violates {
            Check::Statuses => match self.hyper.send(request).await? {
                response if response.status() == StatusCode::NOT_FOUND => Err(TransportError::may_have_run("404")),
                response => Ok(response),
            },
            Check::Redirects => self.follow_redirect(request).await,
            Check::HeadersFirst => {
                let (parts, mut body) = self.hyper.send(request).await?.into_parts();
                let first = body.frame().await.transpose()?;
                let body = DefectiveBody { first, body, defect: BodyDefect::None };
                Ok(Response::from_parts(parts, ResponseBody::streaming(body)))
            }
            Check::Streaming => self.with_body(request, BodyDefect::Buffered(None)).await,
            Check::LargeBody => self.with_body(request, BodyDefect::Limited(1 << 20)).await,
            Check::TruncatedBody => self.with_body(request, BodyDefect::IgnoresErrors).await,
            Check::DropBody => self.with_body(request, BodyDefect::ReadsAfterDrop).await,
            Check::EmptyBody => match self.hyper.send(request).await? {
                empty if empty.status() == StatusCode::NO_CONTENT => Ok(empty.map(|_| ResponseBody::whole("null"))),
                response => Ok(response),
            },
            Check::Informational => self.return_informational(request).await,
            Check::RepeatedHeaders => {
                let mut response = self.hyper.send(request).await?;
                let all = std::mem::take(response.headers_mut());
                *response.headers_mut() = all.iter().fold(HeaderMap::new(), |mut last, (name, value)| {
                    last.insert(name, value.clone());
                    last
                });
                Ok(response)
            }
            Check::Encoding => {
                let mut response = self.hyper.send(request).await?;
                response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                Ok(response)
            }
            Check::RequestHead => {
                *request.uri_mut() = request.uri().to_string().replace("%2F", "/").parse().unwrap();
                self.hyper.send(request).await
            }
            Check::Upload => {
                let body = std::mem::take(request.body_mut()).into_whole().unwrap();
                let trimmed = body.strip_suffix(b"\n").unwrap_or(&body);
                *request.body_mut() = Bytes::copy_from_slice(trimmed).into();
                self.hyper.send(request).await
            }
            Check::EarlyResponse => match self.hyper.send(request).await? {
                early if early.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(TransportError::may_have_run("reset")),
                response => Ok(response),
            },
            Check::Cookies => self.store_cookies(request).await,
            Check::Concurrency => {
                let _guard = self.serialize.lock().await;
                self.hyper.send(request).await
            }
            Check::ConnectionRefused => self.hyper.send(request).await.map_err(|error| match error.kind() {
                TransportErrorKind::NotSent => TransportError::may_have_run(error),
                _ => error,
            }),
            Check::LostResponse => self.hyper.send(request).await.map_err(|error| match error.kind() {
                TransportErrorKind::MayHaveRun => TransportError::not_sent(error),
                _ => error,
            }),
            Check::Retries => match self.hyper.send(request.clone()).await {
                Err(_) => self.hyper.send(request).await,
                response => response,
            },
            Check::ConnectTimeout => {
                request.extensions_mut().insert(Timeouts::default());
                self.hyper.send(request).await
            }
            Check::DropRequest => {
                let hyper = Arc::clone(&self.hyper);
                tokio::spawn(async move { hyper.send(request).await }).await.unwrap()
            }
            _ => self.hyper.send(request).await,
        }
    }
}

/// A response body with one deliberate defect.
struct DefectiveBody {
    first: Option<Frame<Bytes>>,
    body: ResponseBody,
    defect: BodyDefect,
}

enum BodyDefect {
    None,
    Buffered(Option<Vec<u8>>),
    Limited(usize),
    IgnoresErrors,
    ReadsAfterDrop,
}

impl Body for DefectiveBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            let frame = std::task::ready!(Pin::new(&mut this.body).poll_frame(cx));
            return Poll::Ready(match (&mut this.defect, frame) {
                (BodyDefect::Buffered(buffer), Some(Ok(frame))) => {
                    buffer.get_or_insert_default().extend_from_slice(frame.data_ref().unwrap());
                    continue;
                }
                (BodyDefect::Buffered(buffer), None) => buffer.take().map(|bytes| Ok(Frame::data(bytes.into()))),
                (BodyDefect::Limited(left), Some(Ok(frame))) => {
                    let mut data = frame.into_data().unwrap();
                    data.truncate(*left);
                    *left -= data.len();
                    if data.is_empty() { None } else { Some(Ok(Frame::data(data))) }
                }
                (BodyDefect::IgnoresErrors, Some(Err(_))) => None,
                (_, frame) => frame,
            });
        }
    }
}

impl Drop for DefectiveBody {
    fn drop(&mut self) {
        if matches!(self.defect, BodyDefect::ReadsAfterDrop) {
            let mut body = std::mem::replace(&mut self.body, ResponseBody::whole(""));
            tokio::spawn(async move { while body.frame().await.is_some() {} });
        }
    }
}

#[tokio::test]
async fn hyper_transport_passes() {
    let report = Suite::new(HyperTransport::builder().build().unwrap()).run().await;
    println!("{report}");
    assert!(report.is_success(), "{report}");
    let skipped = report.outcomes().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_))).count();
    assert_eq!(skipped, 1, "only `own-timeouts` is skipped: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_check_detects_only_its_defect() {
    let running: Vec<_> = Check::ALL
        .iter()
        .filter(|check| **check != Check::OwnTimeouts)
        .map(|check| {
            let suite = Suite::new(Defective::new(*check)).step_timeout(Duration::from_secs(8));
            (*check, tokio::spawn(suite.run()))
        })
        .collect();
    for (check, report) in running {
        let report = report.await.unwrap();
        assert_eq!(report.failures().collect::<Vec<_>>(), [check], "{}: {report}", check.name());
        let (_, outcome) = report.outcomes().find(|(other, _)| *other == check).unwrap();
        println!("{:<18} {outcome:?}", check.name());
    }
}

/// A transport that enforces the timeouts itself. It can have the defect that each chunk of the
/// body restarts the deadline.
struct EnforcesTimeouts {
    hyper: HyperTransport,
    restarts_deadline: bool,
}

/// Returns the timeout that expires first, and its time.
fn earliest(timeouts: [(Option<Duration>, Instant, Timeout); 2]) -> Option<(Instant, Timeout)> {
    let set = timeouts.into_iter().filter_map(|(duration, start, timeout)| Some((start + duration?, timeout)));
    set.min_by_key(|(at, _)| *at)
}

#[async_trait]
impl Transport for EnforcesTimeouts {
    async fn send(&self, request: Request<RequestBody>) -> SendResult {
        let timeouts = request.extensions().get::<Timeouts>().copied().unwrap_or_default();
        let start = Instant::now();
        let expires =
            earliest([(timeouts.headers, start, Timeout::Headers), (timeouts.deadline, start, Timeout::Deadline)]);
        let response = match expires {
            Some((at, timeout)) => {
                let sent = tokio::time::timeout_at(at.into(), self.hyper.send(request)).await;
                sent.unwrap_or_else(|_| Err(TransportError::timeout(timeout)))?
            }
            None => self.hyper.send(request).await?,
        };
        let restarts_deadline = self.restarts_deadline;
        Ok(response
            .map(|body| ResponseBody::streaming(TimedBody { body, timeouts, start, restarts_deadline, sleep: None })))
    }
}

struct TimedBody {
    body: ResponseBody,
    timeouts: Timeouts,
    start: Instant,
    restarts_deadline: bool,
    sleep: Option<(Pin<Box<tokio::time::Sleep>>, Timeout)>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.sleep = None;
            if this.restarts_deadline {
                this.start = Instant::now();
            }
            return Poll::Ready(frame);
        }
        let (timeouts, now) = (this.timeouts, Instant::now());
        let expires =
            earliest([(timeouts.idle, now, Timeout::Idle), (timeouts.deadline, this.start, Timeout::Deadline)]);
        let Some((at, timeout)) = expires else { return Poll::Pending };
        let (sleep, timeout) =
            this.sleep.get_or_insert_with(|| (Box::pin(tokio::time::sleep_until(at.into())), timeout));
        sleep.as_mut().poll(cx).map(|()| Some(Err(TransportError::timeout(*timeout))))
    }
}

#[tokio::test]
async fn own_timeouts_detects_a_restarted_deadline() {
    for restarts_deadline in [false, true] {
        let transport = EnforcesTimeouts { hyper: HyperTransport::builder().build().unwrap(), restarts_deadline };
        let suite = Suite::new(transport).unsupported(Capability::CancelOnDrop, "the test declares it");
        let report = suite.step_timeout(Duration::from_secs(4)).run().await;
        let want = if restarts_deadline { vec![Check::OwnTimeouts] } else { Vec::new() };
        assert_eq!(report.failures().collect::<Vec<_>>(), want, "{report}");
    }
}

#[tokio::test]
async fn unsupported_capabilities_skip_checks_with_the_reason() {
    let report = Suite::new(HyperTransport::builder().build().unwrap())
        .unsupported(Capability::Streaming, "it buffers")
        .unsupported(Capability::Connections, "it has no connections")
        .run()
        .await;
    let skipped: Vec<_> = report
        .outcomes()
        .filter_map(|(check, outcome)| match outcome {
            Outcome::Skipped(reason) => Some((check.name(), reason.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        skipped,
        [
            ("headers-first", "it buffers"),
            ("streaming", "it buffers"),
            ("early-response", "it has no connections"),
            ("connection-refused", "it has no connections"),
            ("lost-response", "it has no connections"),
            ("connect-timeout", "it has no connections"),
            ("drop-body", "it buffers"),
            ("own-timeouts", "the client enforces the timeouts by dropping the future"),
        ]
    );
    assert!(report.to_string().ends_with("14 passed, 0 failed, 8 skipped"), "{report}");
}

#[tokio::test]
async fn expected_failures_run_and_do_not_count() {
    let report = Suite::new(Defective::new(Check::Cookies))
        .step_timeout(Duration::from_secs(4))
        .expect_failure(Check::Cookies, "it stores cookies")
        .expect_failure(Check::Upload, "this check passes")
        .run()
        .await;
    assert!(report.is_success(), "{report}");
    let outcome = |wanted| report.outcomes().find(|(check, _)| *check == wanted).unwrap().1;
    let cookies = outcome(Check::Cookies);
    assert!(matches!(cookies, Outcome::ExpectedFailure { reason, .. } if reason == "it stores cookies"), "{report}");
    assert_eq!(outcome(Check::Upload), &Outcome::Passed);
    assert!(report.to_string().ends_with("20 passed, 0 failed, 1 skipped, 1 failed as expected"), "{report}");
}
