use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::retry::{NextStep, Now, RetryEngine, RetryEvent, RetryPolicy};
use fetch_hive_core::{ApiError, InvalidInput, KeyHeader, Timeouts, Operation, find_request_id};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http_body::Body;

use crate::client::Shared;
use crate::credentials::Credentials;
use crate::error::PartialResponse;
use crate::run_limit::RunPermit;
use crate::trace::Span;
use crate::watch::{AttemptWatch, CallWatch};
use crate::{Clock, Error, ErrorKind, ResponseBody, Timeout, TransportError};

/// Builds the request of an attempt; asked for each one, so that a rotated key is taken up and nothing is cloned for a repeat that
/// never comes.
type Build<'a> = dyn Fn(Option<&KeyHeader>) -> Result<http::Request<Bytes>, InvalidInput> + Send + Sync + 'a;

/// A response with a success status, and what it took.
pub(crate) struct Done {
    pub(crate) response: http::Response<Bytes>,
    /// The body that is still to be read, where a stream was asked for and came.
    pub(crate) open: Option<ResponseBody>,
    /// The place of the run that the open body tells of.
    pub(crate) place: Option<RunPermit>,
    pub(crate) span: Span,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
}

/// What an operation needs of its exchange.
#[derive(Clone, Copy)]
pub(crate) struct Needs {
    /// The API key.
    pub(crate) key: bool,
    /// The body as it comes, if it is an event stream.
    pub(crate) stream: bool,
}

/// Carries out one call as the engine says; the key is asked for only where the operation needs it.
pub(crate) async fn exchange(
    shared: &Shared,
    operation: &Operation,
    timeouts: Timeouts,
    policy: RetryPolicy,
    needs: Needs,
    build: &Build<'_>,
) -> Result<Done, Error> {
    let mut watch = CallWatch::begin(shared, operation);
    let span = watch.span.clone();
    let ended = span.around(converse(&mut watch, timeouts, policy, needs, build)).await;
    let ended = ended.map_err(|error| {
        let error = error.with_attempts(watch.attempts, watch.waited);
        error.of_class(operation.retry, shared.clock.wall())
    });
    watch.end(ended.as_ref().err());
    ended
}

async fn converse(
    watch: &mut CallWatch<'_>,
    timeouts: Timeouts,
    policy: RetryPolicy,
    needs: Needs,
    build: &Build<'_>,
) -> Result<Done, Error> {
    let (shared, operation) = (watch.shared, watch.operation);
    let (clock, began) = (&*shared.clock, watch.began);
    let broken = |timeout| Error::new(operation.name, ErrorKind::Transport(TransportError::timeout(timeout)));
    let mut place = match &shared.places {
        Some(places) if operation.occupies_run_slot => {
            let entered = within(clock, timeouts.deadline, Timeout::Queue, pin!(places.enter())).await;
            watch.queued = watch.elapsed();
            Some(entered.map_err(|_| broken(Timeout::Queue))?)
        }
        _ => None,
    };
    let mut call = RetryEngine::new(operation.retry, policy, timeouts);
    let mut action = call.next(moment(clock, began), RetryEvent::Started);
    let mut last = None;
    loop {
        (watch.attempts, watch.waited) = (call.attempts(), call.waited());
        match action {
            NextStep::Send(timeouts) => {
                set_running(&mut place, true);
                let attempted = last.insert(attempt(watch, timeouts, needs, build).await);
                let running = match attempted {
                    Ok((_, open)) => open.is_some(),
                    Err(error) => error.run_may_go_on(),
                };
                set_running(&mut place, running);
                let input = match attempted {
                    // After a success there is nothing to ask.
                    Ok(_) => break,
                    Err(error) => match error.kind() {
                        ErrorKind::Api(api) => RetryEvent::Rejected(api),
                        ErrorKind::Transport(error) if error.is_not_sent() => RetryEvent::NotSent,
                        ErrorKind::Transport(_) => RetryEvent::MayHaveRun,
                        _ => break,
                    },
                };
                action = call.next(moment(clock, began), input);
                let wait = match action {
                    NextStep::Send(_) => Duration::ZERO,
                    NextStep::Sleep(wait) => wait,
                    _ => break,
                };
                let why = attempted.as_ref().err().map_or("", Error::error_type);
                watch.span.repeat(operation, call.attempts(), why, wait);
            }
            NextStep::Sleep(duration) => {
                clock.sleep(duration).await;
                action = call.next(moment(clock, began), RetryEvent::Slept);
            }
            _ => break,
        }
    }
    (watch.attempts, watch.waited) = (call.attempts(), call.waited());
    // A deadline of zero ends the call before anything is sent: it leaves no time to connect.
    let (response, open) = last.unwrap_or_else(|| Err(broken(Timeout::Connect)))?;
    let place = place.filter(|_| open.is_some());
    Ok(Done { response, open, place, span: watch.span.clone(), attempts: watch.attempts, waited: watch.waited })
}

fn set_running(place: &mut Option<RunPermit>, running: bool) {
    if let Some(place) = place {
        place.set_running(running);
    }
}

fn moment(clock: &dyn Clock, began: std::time::Instant) -> Now {
    Now { elapsed: clock.now().saturating_duration_since(began), wall_clock: clock.wall(), random: random() }
}

/// The standard library's hash keys are random per process and change with each use: enough to spread waits, and for nothing else.
pub(crate) fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

type Attempted = Result<(http::Response<Bytes>, Option<ResponseBody>), Error>;

/// One attempt, and what is told of it.
async fn attempt(call: &CallWatch<'_>, timeouts: Timeouts, needs: Needs, build: &Build<'_>) -> Attempted {
    let mut watch = AttemptWatch::begin(call, call.attempts);
    let span = watch.span.clone();
    let attempted = span.around(send(call, &span, timeouts, needs, build)).await;
    if watch.is_on() {
        let (status, id, error) = match &attempted {
            Ok((response, _)) => (Some(response.status()), find_request_id(response.headers(), response.body()), None),
            Err(error) => (error.status(), error.request_id(), Some(error.error_type())),
        };
        watch.end(status, id.as_ref(), error);
    } else {
        watch.end(None, None, None);
    }
    attempted
}

/// Sends the request once: the response if its status is a success, whole or with the stream that follows; else the error it makes.
async fn send(call: &CallWatch<'_>, span: &Span, timeouts: Timeouts, needs: Needs, build: &Build<'_>) -> Attempted {
    let (shared, operation) = (call.shared, call.operation.name);
    let failed = |kind| Error::new(operation, kind);
    let broken = |error| failed(ErrorKind::Transport(error));
    let mut head: Option<Parts> = None;
    let mut collected = Collected::default();
    let mut open = None;
    let clock = &*shared.clock;
    let work = async {
        let key = match &shared.credentials {
            _ if !needs.key => None,
            Credentials::Key(key) => Some(key.clone()),
            Credentials::Provider(provider) => {
                let key = provider.api_key().await.map_err(|error| failed(ErrorKind::Credentials(error)))?;
                Some(KeyHeader::new(&key).map_err(|invalid| failed(ErrorKind::Invalid(invalid)))?)
            }
        };
        let mut request = build(key.as_ref()).map_err(|invalid| failed(ErrorKind::Invalid(invalid)))?;
        request.extensions_mut().insert(timeouts);
        let sent = within(clock, timeouts.headers, Timeout::Headers, shared.transport.send(request).as_mut()).await;
        let (parts, body) = sent.and_then(|sent| sent).map_err(broken)?.into_parts();
        span.head(parts.status, parts.version);
        let success = parts.status.is_success();
        let stream = needs.stream && success && may_be_stream(&parts.headers);
        head = Some(parts);
        if stream {
            open = Some(body);
            return Ok(());
        }
        let limit = if success { shared.max_response_bytes } else { shared.max_error_bytes };
        collect(clock, timeouts.idle, body, limit, &mut collected).await.map_err(failed)
    };
    let ended = within(clock, timeouts.deadline, Timeout::Deadline, pin!(work)).await;
    let result = ended.unwrap_or_else(|error| Err(broken(error)));
    let body = collected.into_bytes();
    let Some(parts) = head else {
        // No head, so there is an error; the engine never takes one for a success.
        return Err(result.err().unwrap_or_else(|| broken(TransportError::may_have_run("the reply has no head"))));
    };
    if !parts.status.is_success() {
        // The body of a refusal is kept as far as it came.
        return Err(failed(ErrorKind::Api(ApiError::new(operation, http::Response::from_parts(parts, body)))));
    }
    match result {
        Ok(()) => Ok((http::Response::from_parts(parts, body), open)),
        Err(error) => {
            let received = body.len() as u64;
            let partial = PartialResponse { status: parts.status, headers: parts.headers, body, received };
            Err(error.with_partial(Some(partial)))
        }
    }
}

/// Whether a success may be an event stream: what calls itself JSON, HTML or XML is none. Parameters of the type say nothing.
fn may_be_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let names = |part: &[u8]| media_type.windows(part.len()).any(|window| window == part);
    !names(b"json") && !names(b"html") && !names(b"xml")
}

/// The pieces of a body; the first one is kept as it came, for it is mostly the only one.
#[derive(Default)]
struct Collected {
    first: Bytes,
    all: Vec<u8>,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        if self.first.is_empty() {
            self.first = piece;
        } else {
            if self.all.is_empty() {
                self.all.extend_from_slice(&self.first);
            }
            self.all.extend_from_slice(&piece);
        }
    }

    fn into_bytes(self) -> Bytes {
        if self.all.is_empty() { self.first } else { self.all.into() }
    }
}

async fn collect(
    clock: &dyn Clock,
    idle: Option<Duration>,
    mut body: ResponseBody,
    limit: usize,
    into: &mut Collected,
) -> Result<(), ErrorKind> {
    loop {
        let next = pin!(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)));
        let frame = within(clock, idle, Timeout::Idle, next).await;
        let frame = frame.and_then(Option::transpose).map_err(ErrorKind::Transport)?;
        let Some(frame) = frame else { return Ok(()) };
        let Ok(piece) = frame.into_data() else { continue };
        let room = limit.saturating_sub(into.len());
        if piece.len() > room {
            into.push(piece.slice(..room));
            return Err(ErrorKind::TooLarge { limit });
        }
        into.push(piece);
    }
}

/// Waits for a future, no longer than a limit. The clock is asked only if the future is not ready at once. The future stays where its
/// caller has it: moved in here, it would take its room in the call twice.
fn within<'a, F: Future + ?Sized>(
    clock: &'a dyn Clock,
    limit: Option<Duration>,
    timeout: Timeout,
    mut future: Pin<&'a mut F>,
) -> impl Future<Output = Result<F::Output, TransportError>> + 'a {
    let mut sleep = None;
    poll_fn(move |cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let Some(limit) = limit else { return Poll::Pending };
        sleep
            .get_or_insert_with(|| clock.sleep(limit))
            .as_mut()
            .poll(cx)
            .map(|()| Err(TransportError::timeout(timeout)))
    })
}
