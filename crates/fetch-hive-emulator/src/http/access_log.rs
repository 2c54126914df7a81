//! The log of requests, for the logger and the page.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;

use crate::http::mask::masked;
use crate::http::response::{Body, ConnectionBroken, Response};
use crate::state::State;
use crate::state::recorded::RecordedRequest;
#[cfg(feature = "page")]
use crate::state::traffic::TrafficEntry;

/// The log entry of one request. It is completed when it is dropped.
pub(crate) struct AccessLogEntry {
    state: Arc<State>,
    /// The number of the page's entry, or 0 if the page is off.
    #[cfg(feature = "page")]
    number: u64,
    started: Instant,
    line: String,
    fault: Option<String>,
    status: Option<u16>,
    chunks: usize,
    end: Option<&'static str>,
}

impl AccessLogEntry {
    /// Creates a log entry for a request, or returns `None` if neither a logger nor the page is
    /// active.
    pub(crate) fn start(state: &Arc<State>, request: &RecordedRequest) -> Option<Self> {
        #[cfg(feature = "page")]
        let (number, page) =
            if state.settings.page { (state.traffic.push(TrafficEntry::new(request)), true) } else { (0, false) };
        #[cfg(not(feature = "page"))]
        let page = false;
        (page || state.logger.is_some()).then(|| Self {
            state: Arc::clone(state),
            #[cfg(feature = "page")]
            number,
            started: Instant::now(),
            line: format!("{} {}", request.method, masked(&request.path)),
            fault: None,
            status: None,
            chunks: 0,
            end: None,
        })
    }

    /// Sets the fault that is injected into the request.
    pub(crate) fn set_fault(&mut self, action: String, after_run: bool) {
        self.fault = Some(if after_run { format!("{action} after-run") } else { action });
    }

    /// Returns the same response with a body that is logged while it is sent.
    pub(crate) fn wrap(mut self, response: Response) -> Response {
        let (parts, body) = response.into_parts();
        self.status = Some(parts.status.as_u16());
        // The server does not poll an empty body.
        self.end = http_body::Body::is_end_stream(&body).then_some("complete");
        #[cfg(feature = "page")]
        self.state.traffic.update(self.number, |entry| entry.set_head(&parts));
        Response::from_parts(parts, LoggedBody { body, entry: self }.boxed_unsync())
    }

    fn add_chunk(&mut self, chunk: &Bytes) {
        self.chunks += usize::from(!chunk.is_empty());
        #[cfg(feature = "page")]
        self.state.traffic.update(self.number, |entry| entry.add_chunk(self.started.elapsed(), chunk));
    }
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        let end = self.end.unwrap_or(if self.status.is_some() { "client disconnected" } else { "no response" });
        #[cfg(feature = "page")]
        self.state.traffic.update(self.number, |entry| entry.set_end(duration, end));
        self.state.log(|| {
            let status = self.status.map_or_else(|| "-".to_owned(), |status| status.to_string());
            let chunks = if self.chunks > 1 { format!(", {} chunks", self.chunks) } else { String::new() };
            let fault = self.fault.as_ref().map_or_else(String::new, |fault| format!(" (fault {fault})"));
            format!("{} {status} {} ms{chunks}, {end}{fault}", self.line, duration.as_millis())
        });
    }
}

struct LoggedBody {
    body: Body,
    entry: AccessLogEntry,
}

impl http_body::Body for LoggedBody {
    type Data = Bytes;
    type Error = ConnectionBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionBroken>>> {
        let polled = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &polled {
            Some(Ok(frame)) => {
                if let Some(chunk) = frame.data_ref() {
                    self.entry.add_chunk(chunk);
                }
            }
            Some(Err(_)) => self.entry.end = Some("broken off"),
            None => self.entry.end = Some("complete"),
        }
        // The server does not poll again after the last chunk.
        if self.body.is_end_stream() {
            self.entry.end.get_or_insert("complete");
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}
