use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fetch_hive_core::Timeouts;
use fetch_hive_core::stream::{Event, EventReader, StreamError, StreamingEndpoint};
use fetch_hive_core::types::{AgentRunStatus, RequestId, StreamEvent};
use futures_core::Stream;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body;

use crate::clock::{IdleTimer, Sleep};
use crate::error::{Error, ErrorKind, PartialResponse, Timeout, TransportError};
use crate::execute::{CANCELLED, Executed, RunEnd, RunPermit, RunTelemetry, Shared, Span, UsageReport};
use crate::transport::ResponseBody;

/// The number of bytes kept of a response that is not an event stream.
const MAX_START_BYTES: usize = 64 << 10;
/// The number of malformed events kept of a stream that is collected.
const MAX_MALFORMED: usize = 100;

/// The statuses of a run whose stream states none.
const COMPLETED: &str = "completed";
const FAILED: &str = "failed";

/// A [`Stream`] of the events of a streamed prompt or agent.
///
/// Data is read only when the stream is polled, so a slow reader slows down the service. After a
/// malformed event or an `error` event, which are returned as errors, the stream may continue. A
/// stream that ends without its end marker returns an error after all received events. After the
/// last event or error, it returns `None`.
#[must_use = "events are read when the stream is polled"]
pub struct EventStream<E> {
    shared: Arc<Shared>,
    operation: &'static str,
    target: Box<str>,
    parts: Parts,
    span: Span,
    permit: Option<RunPermit>,
    /// The report of the run, until its result is received.
    run: Option<Box<RunTelemetry>>,
    attempts: u32,
    waited: Duration,
    /// The id of the run, once an event contains it.
    request_id: Option<RequestId>,
    /// The unread body, until its end is reached or it fails.
    body: Option<ResponseBody>,
    reader: EventReader,
    /// The received bytes, while none of them belongs to an event stream.
    start: Vec<Bytes>,
    received: u64,
    idle_timer: IdleTimer,
    deadline: Option<Sleep>,
    /// The error of the body, which is returned after all received events.
    failure: Option<TransportError>,
    endpoint: PhantomData<fn() -> E>,
}

impl<E: StreamingEndpoint> EventStream<E> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        request: &E,
        timeouts: Timeouts,
        executed: Executed,
        body: ResponseBody,
    ) -> Self {
        let Executed { response, permit, run, span, attempts, waited, .. } = executed;
        Self {
            operation: E::NAME,
            target: request.target().unwrap_or_default().into(),
            deadline: timeouts.deadline.map(|deadline| shared.clock.sleep(deadline)),
            parts: response.into_parts().0,
            span,
            permit,
            run,
            attempts,
            waited,
            request_id: None,
            body: Some(body),
            reader: EventReader::new(shared.max_event_bytes),
            start: Vec::new(),
            received: 0,
            idle_timer: IdleTimer::new(timeouts.idle),
            failure: None,
            shared,
            endpoint: PhantomData,
        }
    }

    /// Returns the next event, or `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Returns a stream of the text of the response. Other events are skipped, but errors are not.
    pub fn text(self) -> TextStream<E> {
        TextStream(self)
    }

    /// Reads the stream to its end, and collects the events into the response that the call returns
    /// without streaming.
    ///
    /// A stream that is larger than
    /// [`max_response_bytes`](crate::ClientBuilder::max_response_bytes) is not read further, and
    /// ends with an error.
    pub async fn into_response(mut self) -> CollectedResponse<E::Response> {
        let mut response = E::Response::default();
        let (mut end, mut malformed) = (Ok(()), Vec::new());
        let limit = self.shared.max_response_bytes;
        while let Some(event) = self.next().await {
            match event {
                Ok(event) => E::apply_event(&mut response, event.event),
                Err(error) if matches!(error.stream(), Some(StreamError::Malformed { .. })) => {
                    if malformed.len() < MAX_MALFORMED {
                        malformed.push(error);
                    }
                }
                // The first error is the cause of the others.
                Err(error) => end = end.and(Err(error)),
            }
            if self.received > limit as u64 {
                end = end.and_then(|()| Err(self.error(ErrorKind::TooLarge { limit })));
                break;
            }
        }
        CollectedResponse { response, end, malformed }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            if let Some(event) = self.reader.next_event() {
                return Poll::Ready(Some(self.convert(event)));
            }
            if self.reader.is_done() {
                self.body = None;
                if self.reader.is_concluded() {
                    self.run_ended(Some(COMPLETED), None);
                }
                self.permit = None;
                return Poll::Ready(None);
            }
            // The deadline is checked first, because a body that always has data would starve it.
            if self.body.is_some()
                && self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
            {
                self.fail(TransportError::timeout(Timeout::Deadline));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(self.finish()) };
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.idle_timer.reset();
                    if let Ok(chunk) = frame.into_data() {
                        if !self.reader.is_event_stream() {
                            let room = MAX_START_BYTES
                                .saturating_sub(usize::try_from(self.received).unwrap_or(MAX_START_BYTES));
                            self.start.push(chunk.slice(..chunk.len().min(room)));
                        } else if !self.start.is_empty() {
                            self.start = Vec::new();
                        }
                        self.received += chunk.len() as u64;
                        self.reader.push(chunk);
                    }
                }
                Poll::Ready(Some(Err(error))) => self.fail(error),
                Poll::Ready(None) => self.body = None,
                Poll::Pending => std::task::ready!(self.poll_idle(cx)),
            }
        }
    }

    /// Waits until the idle timeout elapses, and then fails the stream.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        std::task::ready!(self.idle_timer.poll(&*self.shared.clock, cx));
        self.fail(TransportError::timeout(Timeout::Idle));
        Poll::Ready(())
    }

    fn fail(&mut self, error: TransportError) {
        self.body = None;
        self.failure = Some(error);
    }

    /// Returns what remains after the last byte.
    fn finish(&mut self) -> Option<Result<Event, Error>> {
        match self.reader.finish()? {
            Err(StreamError::Cut { unfinished, unframed }) => {
                let rest = || unfinished.clone().or_else(|| unframed.clone()).unwrap_or_default();
                let (kind, body) = match self.failure.take() {
                    Some(error) => (ErrorKind::Transport(error), rest()),
                    None if !self.reader.is_event_stream() => (ErrorKind::NotAStream, self.start.concat().into()),
                    None => {
                        let body = rest();
                        (ErrorKind::Stream(StreamError::Cut { unfinished, unframed }), body)
                    }
                };
                let error = self.error(kind);
                self.report_run(None, Some(error.error_type()));
                Some(Err(error.with_partial(Some(PartialResponse {
                    status: self.parts.status,
                    headers: self.parts.headers.clone(),
                    body,
                    received: self.received,
                }))))
            }
            event => Some(self.convert(event)),
        }
    }

    fn convert(&mut self, event: Result<Event, StreamError>) -> Result<Event, Error> {
        if let Ok(Event { event: StreamEvent::Usage(end), .. }) = &event {
            self.run_ended(Some(end.status.as_ref().map_or(COMPLETED, AgentRunStatus::as_str)), None);
        }
        let has_failed = matches!(event, Err(StreamError::Failed { .. }));
        let event = event.map_err(|error| self.error(ErrorKind::Stream(error)));
        if let (true, Err(error)) = (has_failed, &event) {
            self.run_ended(Some(FAILED), Some(error.error_type()));
        }
        let event = event?;
        if self.request_id.is_none() {
            self.request_id = event.event.request_id().cloned();
            if let Some(id) = &self.request_id {
                self.span.request_id(id.as_str());
            }
        }
        if let (Some(hook), StreamEvent::Usage(end)) = (&self.shared.on_usage, &event.event) {
            if let Some(usage) = &end.usage {
                hook(UsageReport { operation: self.operation, target: &self.target, usage });
            }
        }
        Ok(event)
    }

    /// Frees the slot of the run, which has ended, and reports its result.
    fn run_ended(&mut self, status: Option<&str>, error_type: Option<&str>) {
        if let Some(mut permit) = self.permit.take() {
            permit.set_end(RunEnd::Ended);
        }
        self.report_run(status, error_type);
    }

    fn report_run(&mut self, status: Option<&str>, error_type: Option<&str>) {
        if let Some(run) = self.run.take() {
            run.end(status, error_type);
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        let error = Error::new(self.operation, kind).with_attempts(self.attempts, self.waited);
        self.span.failed(error.error_type());
        error.with_request_id(self.request_id.clone())
    }
}

impl<E> EventStream<E> {
    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// Returns the headers of the response.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Returns the number of bytes of the stream received so far, after decompression.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of attempts that were sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the total time of the waits between attempts.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Returns the id of the run, once an event contains it.
    pub fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }
}

impl<E: StreamingEndpoint> Stream for EventStream<E> {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<E> Drop for EventStream<E> {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.end(None, Some(CANCELLED));
        }
    }
}

impl<E> fmt::Debug for EventStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("operation", &self.operation)
            .field("status", &self.parts.status)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// A [`Stream`] of the text of a streamed response.
#[derive(Debug)]
#[must_use = "text is read when the stream is polled"]
pub struct TextStream<E>(EventStream<E>);

impl<E: StreamingEndpoint> TextStream<E> {
    /// Returns the next chunk of the text, or `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<String, Error>>> {
        loop {
            match std::task::ready!(self.0.poll(cx)) {
                Some(Ok(Event { event: StreamEvent::Response(chunk), .. })) => {
                    return Poll::Ready(Some(Ok(chunk.response.into())));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<E: StreamingEndpoint> Stream for TextStream<E> {
    type Item = Result<String, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

/// A response that was collected from a stream, and the end of that stream.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "the stream may have been cut: check `end`, or call `complete`"]
pub struct CollectedResponse<T> {
    /// The response as far as it was received. It is incomplete if the stream was cut.
    pub response: T,
    /// The error that ended the stream, if it did not reach its end.
    pub end: Result<(), Error>,
    /// The first 100 malformed events, which are missing in the response.
    pub malformed: Vec<Error>,
}

impl<T> CollectedResponse<T> {
    /// Returns the response if it is complete.
    ///
    /// # Errors
    ///
    /// Returns the error that ended the stream, or the first malformed event.
    pub fn complete(self) -> Result<T, Error> {
        self.end?;
        self.malformed.into_iter().next().map_or(Ok(self.response), Err)
    }
}
