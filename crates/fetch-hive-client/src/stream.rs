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
use fetch_hive_core::types::{RequestId, StreamEvent};
use futures_core::Stream;
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use http_body::Body;

use crate::clock::Sleep;
use crate::error::{Error, ErrorKind, PartialResponse, Timeout, TransportError};
use crate::execute::{Executed, RunPermit, Shared, Span, UsageReport};
use crate::transport::ResponseBody;

/// How much of a reply that is no stream is kept.
const MAX_START_BYTES: usize = 64 << 10;
/// How many frames that are no events are kept of a stream that is put together.
const MAX_MALFORMED: usize = 100;

/// The events of a prompt or an agent, as they arrive. It is a [`Stream`] too.
///
/// Nothing is read before it is asked for, so a slow reader holds the service back. A frame that is no event, and an `error` event, are
/// errors after which the stream can go on; a stream that ends without its end mark is an error after everything that came. After the last
/// event or error there is `None`.
#[must_use = "events are read when they are asked for"]
pub struct EventStream<E> {
    shared: Arc<Shared>,
    operation: &'static str,
    target: String,
    parts: Parts,
    span: Span,
    permit: Option<RunPermit>,
    attempts: u32,
    waited: Duration,
    /// The run, as soon as an event named it.
    request_id: Option<RequestId>,
    /// Gone when its end was reached, or when it is of no use any more.
    body: Option<ResponseBody>,
    reader: EventReader,
    /// What came as long as nothing in it was of an event stream.
    start: Vec<Bytes>,
    received: u64,
    idle: Option<Duration>,
    idle_sleep: Option<Sleep>,
    deadline: Option<Sleep>,
    /// Why the body broke off, for when everything that came is handed over.
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
        let Executed { response, permit, span, attempts, waited, .. } = executed;
        Self {
            operation: E::NAME,
            target: request.target().unwrap_or_default().to_owned(),
            deadline: timeouts.deadline.map(|deadline| shared.clock.sleep(deadline)),
            parts: response.into_parts().0,
            span,
            permit,
            attempts,
            waited,
            request_id: None,
            body: Some(body),
            reader: EventReader::new(shared.max_event_bytes),
            start: Vec::new(),
            received: 0,
            idle: timeouts.idle,
            idle_sleep: None,
            failure: None,
            shared,
            endpoint: PhantomData,
        }
    }

    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The pieces of the answer's text, as they arrive. Other events are passed over; errors are not.
    pub fn text(self) -> TextStream<E> {
        TextStream(self)
    }

    /// Reads to the end, and puts the events together into the reply that comes without streaming. A stream of more bytes than
    /// [`max_response_bytes`](crate::ClientBuilder::max_response_bytes) is given up, as such a reply would be.
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
                // What went wrong first is why.
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
                    self.run_ended();
                }
                self.permit = None;
                return Poll::Ready(None);
            }
            // Before the body, which may always have more for a reader that is slower than the service.
            if self.body.is_some()
                && self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready())
            {
                self.fail(TransportError::timeout(Timeout::Deadline));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(self.finish()) };
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.idle_sleep = None;
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

    /// Waits for the idle limit to run out, and breaks off when it does.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(idle) = self.idle else { return Poll::Pending };
        let clock = &self.shared.clock;
        let idle_sleep = self.idle_sleep.get_or_insert_with(|| clock.sleep(idle));
        std::task::ready!(idle_sleep.as_mut().poll(cx));
        self.fail(TransportError::timeout(Timeout::Idle));
        Poll::Ready(())
    }

    fn fail(&mut self, error: TransportError) {
        self.body = None;
        self.failure = Some(error);
    }

    /// What is left when no more bytes come.
    fn finish(&mut self) -> Option<Result<Event, Error>> {
        match self.reader.finish()? {
            Err(StreamError::Cut { unfinished }) => {
                let (kind, body) = match self.failure.take() {
                    Some(error) => (ErrorKind::Transport(error), unfinished.unwrap_or_else(Bytes::new)),
                    None if !self.reader.is_event_stream() => (ErrorKind::NotAStream, self.start.concat().into()),
                    None => return Some(self.convert(Err(StreamError::Cut { unfinished }))),
                };
                Some(Err(self.error(kind).with_partial(Some(PartialResponse {
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
        if matches!(&event, Ok(event) if matches!(event.event, StreamEvent::Usage(_)))
            || matches!(event, Err(StreamError::Failed { .. }))
        {
            self.run_ended();
        }
        let event = event.map_err(|error| self.error(ErrorKind::Stream(error)))?;
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

    /// The run is known to have ended, so its place is free.
    fn run_ended(&mut self) {
        if let Some(mut permit) = self.permit.take() {
            permit.set_active(false);
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        let error = Error::new(self.operation, kind).with_attempts(self.attempts, self.waited);
        self.span.failed(error.error_type());
        error.with_request_id(self.request_id.clone())
    }
}

impl<E> EventStream<E> {
    /// The status of the reply.
    pub fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// The headers of the reply.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// How many bytes of the stream have come so far, after decompression.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How often the request was sent.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long was waited between the attempts.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The run, as soon as an event has named it.
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

impl<E> fmt::Debug for EventStream<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("operation", &self.operation)
            .field("status", &self.parts.status)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// The text of a stream, piece by piece. It is a [`Stream`] too.
#[derive(Debug)]
#[must_use = "text is read when it is asked for"]
pub struct TextStream<E>(EventStream<E>);

impl<E: StreamingEndpoint> TextStream<E> {
    /// The next piece of the answer's text; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<String, Error>>> {
        loop {
            match std::task::ready!(self.0.poll(cx)) {
                Some(Ok(Event { event: StreamEvent::Response(piece), .. })) => {
                    return Poll::Ready(Some(Ok(piece.response.into())));
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

/// A reply put together from a stream, and how the stream ended.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "a stream may have been cut: see `end`, or take the reply by `complete`"]
pub struct CollectedResponse<T> {
    /// The reply, as far as it came: a part of it, if the stream was cut.
    pub response: T,
    /// Whether the stream came to its end, and why not.
    pub end: Result<(), Error>,
    /// Frames that were no events, and so are not in the reply; the first 100 of them.
    pub malformed: Vec<Error>,
}

impl<T> CollectedResponse<T> {
    /// The reply, if it is whole.
    ///
    /// # Errors
    ///
    /// Why the stream did not come to its end, or the first frame that was no event: a part of a reply cannot pass for the whole.
    pub fn complete(self) -> Result<T, Error> {
        self.end?;
        self.malformed.into_iter().next().map_or(Ok(self.response), Err)
    }
}
