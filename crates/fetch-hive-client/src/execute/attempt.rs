use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::{ApiError, KeyHeader, Timeouts, find_request_id};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::response::Parts;
use http_body::Body;

use super::body_buffer::{BodyBuffer, BodyTooLarge};
use super::prepared_call::{PreparedCall, ResponseMode};
use super::shared::Shared;
use super::span::Span;
use super::telemetry::{AttemptTelemetry, CallTelemetry};
use super::timeout::with_timeout;
use crate::clock::{Clock, IdleTimer, Stopwatch};
use crate::credentials::Credentials;
use crate::error::{Error, ErrorKind, MAX_STALE_CONNECTIONS, PartialResponse, Timeout, TransportError};
use crate::transport::{ResponseBody, check_files};

/// The response of a successful attempt, and its unread body if a stream was requested and
/// received.
type AttemptResult = Result<(http::Response<Bytes>, Option<ResponseBody>), Error>;

fn is_stale_connection(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Transport(error) if error.is_stale_connection())
}

/// Sends the request once, and records the attempt.
pub(super) async fn attempt(
    telemetry: &CallTelemetry<'_>,
    call: &PreparedCall<'_>,
    timeouts: Timeouts,
) -> AttemptResult {
    let shared = telemetry.shared;
    let mut telemetry = AttemptTelemetry::start(telemetry);
    let span = telemetry.span.clone();
    let mut stale_connections = 0;
    let result = loop {
        let result = span.instrument(send_once(shared, call, &span, timeouts)).await;
        if stale_connections == MAX_STALE_CONNECTIONS || !result.as_ref().is_err_and(is_stale_connection) {
            break result;
        }
        stale_connections += 1;
    };
    if telemetry.is_enabled() {
        let (status, id, error) = match &result {
            Ok((response, _)) => (Some(response.status()), find_request_id(response.headers(), response.body()), None),
            Err(error) => (error.status(), error.request_id(), Some(error.error_type())),
        };
        telemetry.end(status, id.as_ref(), error);
    } else {
        telemetry.end(None, None, None);
    }
    result
}

async fn send_once(shared: &Shared, call: &PreparedCall<'_>, span: &Span, timeouts: Timeouts) -> AttemptResult {
    let operation = call.operation.name;
    let clock = &*shared.clock;
    let started = Stopwatch::start(clock);
    let failed = |kind| Error::new(operation, kind);
    let transport_failed = |error| failed(ErrorKind::Transport(error));
    let mut head: Option<Parts> = None;
    let mut buffer = BodyBuffer::new(0);
    let mut stream_body = None;
    let exchange = async {
        let key = if call.needs_key { Some(api_key(shared).await.map_err(failed)?) } else { None };
        let mut request = (call.build)(key.as_ref()).map_err(|invalid| failed(ErrorKind::Invalid(invalid)))?;
        check_files(request.body()).map_err(|invalid| failed(ErrorKind::Invalid(invalid)))?;
        if let Some(hook) = call.on_upload_progress {
            request = request.map(|body| body.on_progress(Arc::clone(hook)));
        }
        for (name, value) in call.headers {
            request.headers_mut().insert(name, value.clone());
        }
        request.extensions_mut().insert(remaining(timeouts, clock, started));
        let mut sending = shared.transport.send(request);
        let sent = with_timeout(clock, timeouts.headers, Timeout::Headers, sending.as_mut()).await;
        let (parts, body) = sent.and_then(|sent| sent).map_err(transport_failed)?.into_parts();
        span.response_head(parts.status, parts.version);
        let success = parts.status.is_success();
        let is_stream = call.mode == ResponseMode::EventStream && success && may_be_event_stream(&parts.headers);
        let length = content_length(&parts.headers);
        head = Some(parts);
        if is_stream {
            stream_body = Some(body);
            return Ok(());
        }
        buffer = BodyBuffer::new(if success { shared.max_response_bytes } else { shared.max_error_bytes });
        read_body(clock, timeouts.idle, body, &mut buffer).await.map_err(failed)?;
        // A stack may treat a stream that the server resets without an error as a complete body.
        match length.filter(|length| buffer.received() < *length) {
            Some(length) => {
                let reason = format!("the body ended after {} of {length} bytes", buffer.received());
                Err(transport_failed(TransportError::may_have_run(reason)))
            }
            None => Ok(()),
        }
    };
    let ended = with_timeout(clock, timeouts.deadline, Timeout::Deadline, pin!(exchange)).await;
    let result = ended.unwrap_or_else(|error| Err(transport_failed(error)));
    let body = buffer.into_bytes();
    let Some(parts) = head else {
        let no_head = || transport_failed(TransportError::may_have_run("the response has no head"));
        return Err(result.err().unwrap_or_else(no_head));
    };
    if !parts.status.is_success() {
        // The error response counts even if its body is incomplete.
        return Err(failed(ErrorKind::Api(ApiError::new(call.operation, http::Response::from_parts(parts, body)))));
    }
    match result {
        Ok(()) => Ok((http::Response::from_parts(parts, body), stream_body)),
        Err(error) => {
            let received = body.len() as u64;
            let partial = PartialResponse { status: parts.status, headers: parts.headers, body, received };
            Err(error.with_partial(Some(partial)))
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

async fn api_key(shared: &Shared) -> Result<KeyHeader, ErrorKind> {
    match &shared.credentials {
        Credentials::Key(key) => Ok(key.clone()),
        Credentials::Provider(provider) => {
            let key = provider.api_key().await.map_err(ErrorKind::Credentials)?;
            KeyHeader::new(&key).map_err(ErrorKind::Invalid)
        }
    }
}

/// Returns the timeouts for a transport, without the time that fetching the key has taken.
///
/// A transport that is still connecting when the call ends then reports an elapsed connect timeout,
/// which states that nothing was sent, before the deadline of the call elapses here.
fn remaining(mut timeouts: Timeouts, clock: &dyn Clock, started: Stopwatch) -> Timeouts {
    timeouts.deadline = timeouts.deadline.map(|deadline| started.remaining(clock, deadline));
    timeouts
}

/// Returns whether a success may be an event stream, which excludes JSON, HTML and XML.
fn may_be_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes().to_ascii_lowercase()).unwrap_or_default();
    let media_type = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
    let contains = |part: &[u8]| media_type.windows(part.len()).any(|window| window == part);
    !contains(b"json") && !contains(b"html") && !contains(b"xml")
}

async fn read_body(
    clock: &dyn Clock,
    idle: Option<Duration>,
    mut body: ResponseBody,
    buffer: &mut BodyBuffer,
) -> Result<(), ErrorKind> {
    let mut idle_timer = IdleTimer::new(idle);
    loop {
        let next = poll_fn(|cx| match Pin::new(&mut body).poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(frame.transpose()),
            Poll::Pending => idle_timer.poll(clock, cx).map(|()| Err(TransportError::timeout(Timeout::Idle))),
        });
        let Some(frame) = next.await.map_err(ErrorKind::Transport)? else { return Ok(()) };
        idle_timer.reset();
        if let Ok(chunk) = frame.into_data() {
            buffer.push(chunk).map_err(|BodyTooLarge { limit }| ErrorKind::TooLarge { limit })?;
        }
    }
}
