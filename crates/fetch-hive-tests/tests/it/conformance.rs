//! The conformance kit: our transport passes it, and for each check there is a transport that fails in just that one.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::conformance::{Capability, Check, Outcome, Suite};
use fetch_hive_client::{HyperTransport, Timeouts, ResponseBody, Timeout, Transport, TransportError, TransportErrorKind};
use http::header::{CONTENT_ENCODING, COOKIE, HeaderValue, LOCATION, SET_COOKIE};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::BodyExt;

type Answer = Result<Response<ResponseBody>, TransportError>;

/// The hyper transport with one thing done wrong.
struct Mutant {
    hyper: Arc<HyperTransport>,
    wrong: Check,
    turn: tokio::sync::Mutex<()>,
    cookie: Mutex<Option<HeaderValue>>,
}

impl Mutant {
    fn new(wrong: Check) -> Self {
        let hyper = Arc::new(HyperTransport::builder().build().unwrap());
        Self { hyper, wrong, turn: tokio::sync::Mutex::default(), cookie: Mutex::default() }
    }

    async fn follow(&self, request: Request<Bytes>) -> Answer {
        let uri = request.uri().clone();
        let response = self.hyper.send(request).await?;
        let Some(location) = response.headers().get(LOCATION) else { return Ok(response) };
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(location.to_str().unwrap().parse().unwrap());
        let next = Request::get(Uri::from_parts(parts).unwrap()).body(Bytes::new()).unwrap();
        self.hyper.send(next).await
    }

    async fn with_cookies(&self, mut request: Request<Bytes>) -> Answer {
        if let Some(cookie) = self.cookie.lock().unwrap().clone() {
            request.headers_mut().insert(COOKIE, cookie);
        }
        let response = self.hyper.send(request).await?;
        *self.cookie.lock().unwrap() = response.headers().get(SET_COOKIE).cloned();
        Ok(response)
    }

    async fn first_informational(&self, mut request: Request<Bytes>) -> Answer {
        let seen: Arc<Mutex<Option<StatusCode>>> = Arc::default();
        let first = Arc::clone(&seen);
        hyper::ext::on_informational(&mut request, move |response| {
            first.lock().unwrap().get_or_insert(response.status());
        });
        let mut response = self.hyper.send(request).await?;
        if let Some(status) = *seen.lock().unwrap() {
            *response.status_mut() = status;
        }
        Ok(response)
    }
}

#[async_trait]
impl Transport for Mutant {
    async fn send(&self, mut request: Request<Bytes>) -> Answer {
        match self.wrong {
            Check::Statuses => match self.hyper.send(request).await? {
                missing if missing.status() == StatusCode::NOT_FOUND => Err(TransportError::may_have_run("404")),
                response => Ok(response),
            },
            Check::Redirects => self.follow(request).await,
            Check::HeadersFirst => {
                let (parts, mut body) = self.hyper.send(request).await?.into_parts();
                let first = body.frame().await.transpose()?;
                Ok(Response::from_parts(parts, ResponseBody::streaming(Odd { first, body, how: How::AsItIs })))
            }
            Check::Streaming => self.body(request, How::Buffered(None)).await,
            Check::LargeBody => self.body(request, How::Truncated(1 << 20)).await,
            Check::CutBody => self.body(request, How::ErrorsAreEnds).await,
            Check::DropBody => self.body(request, How::Drained).await,
            Check::EmptyBody => match self.hyper.send(request).await? {
                empty if empty.status() == StatusCode::NO_CONTENT => Ok(empty.map(|_| ResponseBody::whole("null"))),
                response => Ok(response),
            },
            Check::Informational => self.first_informational(request).await,
            Check::RepeatedHeaders => {
                let mut response = self.hyper.send(request).await?;
                let all = std::mem::take(response.headers_mut());
                *response.headers_mut() = all.iter().fold(HeaderMap::new(), |mut kept, (name, value)| {
                    kept.insert(name, value.clone());
                    kept
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
                let text = request.body().strip_suffix(b"\n").unwrap_or(request.body());
                *request.body_mut() = Bytes::copy_from_slice(text);
                self.hyper.send(request).await
            }
            Check::Cookies => self.with_cookies(request).await,
            Check::Concurrency => {
                let _turn = self.turn.lock().await;
                self.hyper.send(request).await
            }
            Check::Refused => self.hyper.send(request).await.map_err(|error| match error.kind() {
                TransportErrorKind::NotSent => TransportError::may_have_run(error),
                _ => error,
            }),
            Check::LostReply => self.hyper.send(request).await.map_err(|error| match error.kind() {
                TransportErrorKind::MayHaveRun => TransportError::not_sent(error),
                _ => error,
            }),
            Check::Repeats => match self.hyper.send(request.clone()).await {
                Err(_) => self.hyper.send(request).await,
                response => response,
            },
            Check::ConnectLimit => {
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

impl Mutant {
    async fn body(&self, request: Request<Bytes>, how: How) -> Answer {
        let response = self.hyper.send(request).await?;
        Ok(response.map(|body| ResponseBody::streaming(Odd { first: None, body, how })))
    }
}

/// A body with one thing done wrong.
struct Odd {
    first: Option<Frame<Bytes>>,
    body: ResponseBody,
    how: How,
}

enum How {
    AsItIs,
    Buffered(Option<Vec<u8>>),
    Truncated(usize),
    ErrorsAreEnds,
    Drained,
}

impl Body for Odd {
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
            return Poll::Ready(match (&mut this.how, frame) {
                (How::Buffered(all), Some(Ok(frame))) => {
                    all.get_or_insert_default().extend_from_slice(frame.data_ref().unwrap());
                    continue;
                }
                (How::Buffered(all), None) => all.take().map(|all| Ok(Frame::data(all.into()))),
                (How::Truncated(left), Some(Ok(frame))) => {
                    let mut data = frame.into_data().unwrap();
                    data.truncate(*left);
                    *left -= data.len();
                    if data.is_empty() { None } else { Some(Ok(Frame::data(data))) }
                }
                (How::ErrorsAreEnds, Some(Err(_))) => None,
                (_, frame) => frame,
            });
        }
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        if matches!(self.how, How::Drained) {
            let mut body = std::mem::replace(&mut self.body, ResponseBody::whole(""));
            tokio::spawn(async move { while body.frame().await.is_some() {} });
        }
    }
}

#[tokio::test]
async fn the_hyper_transport_passes() {
    let report = Suite::new(HyperTransport::builder().build().unwrap()).run().await;
    println!("{report}");
    assert!(report.is_passed(), "{report}");
    let skipped: Vec<_> = report.outcomes().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_))).collect();
    assert_eq!(skipped.len(), 1, "the limits are kept by the client: {report}");
}

#[tokio::test]
async fn each_check_catches_its_mutant_and_no_other_does() {
    let mutants = Check::ALL.iter().filter(|check| **check != Check::OwnLimits).map(|wrong| async move {
        let report = Suite::new(Mutant::new(*wrong)).patience(Duration::from_secs(4)).run().await;
        (*wrong, report)
    });
    let running: Vec<_> = mutants.map(tokio::spawn).collect();
    for mutant in running {
        let (wrong, report) = mutant.await.unwrap();
        assert_eq!(report.failures().collect::<Vec<_>>(), [wrong], "{}: {report}", wrong.name());
        let said = report.outcomes().find(|(check, _)| *check == wrong).unwrap().1;
        println!("{:<17} {said:?}", wrong.name());
    }
}

/// Keeps the limits itself. As a mutant it starts the deadline anew with each piece of a body.
struct Keeper {
    hyper: HyperTransport,
    starts_anew: bool,
}

/// The limit that runs out first, and when.
fn first(limits: [(Option<Duration>, Instant, Timeout); 2]) -> Option<(Instant, Timeout)> {
    let set = limits.into_iter().filter_map(|(limit, began, timeout)| Some((began + limit?, timeout)));
    set.min_by_key(|(at, _)| *at)
}

#[async_trait]
impl Transport for Keeper {
    async fn send(&self, request: Request<Bytes>) -> Answer {
        let (limits, began) = (request.extensions().get::<Timeouts>().copied().unwrap_or_default(), Instant::now());
        let limit = first([(limits.headers, began, Timeout::Headers), (limits.deadline, began, Timeout::Deadline)]);
        let response = match limit {
            Some((at, timeout)) => {
                let sent = tokio::time::timeout_at(at.into(), self.hyper.send(request)).await;
                sent.unwrap_or_else(|_| Err(TransportError::timeout(timeout)))?
            }
            None => self.hyper.send(request).await?,
        };
        let starts_anew = self.starts_anew;
        Ok(response.map(|body| ResponseBody::streaming(Kept { body, limits, began, starts_anew, running: None })))
    }
}

struct Kept {
    body: ResponseBody,
    limits: Timeouts,
    began: Instant,
    starts_anew: bool,
    running: Option<(Pin<Box<tokio::time::Sleep>>, Timeout)>,
}

impl Body for Kept {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.running = None;
            if this.starts_anew {
                this.began = Instant::now();
            }
            return Poll::Ready(frame);
        }
        let (limits, now) = (this.limits, Instant::now());
        let limit = first([(limits.idle, now, Timeout::Idle), (limits.deadline, this.began, Timeout::Deadline)]);
        let Some((at, timeout)) = limit else { return Poll::Pending };
        let running = this.running.get_or_insert_with(|| (Box::pin(tokio::time::sleep_until(at.into())), timeout));
        running.0.as_mut().poll(cx).map(|()| Some(Err(TransportError::timeout(running.1))))
    }
}

#[tokio::test]
async fn limits_that_a_transport_keeps_itself_are_kept_as_the_client_would() {
    for starts_anew in [false, true] {
        let keeper = Keeper { hyper: HyperTransport::builder().build().unwrap(), starts_anew };
        let suite = Suite::new(keeper).lacks(Capability::CancelOnDrop, "it is not dropped here");
        let report = suite.patience(Duration::from_secs(4)).run().await;
        let want = if starts_anew { vec![Check::OwnLimits] } else { Vec::new() };
        assert_eq!(report.failures().collect::<Vec<_>>(), want, "{report}");
    }
}

#[tokio::test]
async fn what_a_transport_lacks_is_skipped_with_its_reason() {
    let report = Suite::new(HyperTransport::builder().build().unwrap())
        .lacks(Capability::Streaming, "it buffers")
        .lacks(Capability::Connections, "it makes none")
        .run()
        .await;
    let skipped: Vec<_> = report
        .outcomes()
        .filter_map(|(check, outcome)| match outcome {
            Outcome::Skipped(why) => Some((check.name(), why.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        skipped,
        [
            ("headers-first", "it buffers"),
            ("streaming", "it buffers"),
            ("refused", "it makes none"),
            ("lost-reply", "it makes none"),
            ("connect-limit", "it makes none"),
            ("drop-body", "it buffers"),
            ("own-limits", "the client keeps the limits, by dropping"),
        ]
    );
    assert!(report.to_string().ends_with("14 passed, 0 failed, 7 skipped"), "{report}");
}

#[tokio::test]
async fn what_is_known_to_fail_is_run_and_told_and_does_not_count() {
    let suite = Suite::new(Mutant::new(Check::Cookies)).patience(Duration::from_secs(4));
    let report =
        suite.known_to_fail(Check::Cookies, "it is a mutant").known_to_fail(Check::Upload, "unused").run().await;
    assert!(report.is_passed(), "{report}");
    let outcome = |wanted| report.outcomes().find(|(check, _)| *check == wanted).unwrap().1;
    assert!(matches!(outcome(Check::Cookies), Outcome::Known { why, .. } if why == "it is a mutant"), "{report}");
    assert_eq!(outcome(Check::Upload), &Outcome::Passed);
    assert!(report.to_string().ends_with("19 passed, 0 failed, 1 skipped, 1 known to fail"), "{report}");
}
