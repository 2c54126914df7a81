use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Sleep;

use crate::reply::{Broken, Reply};
use crate::service::Service;

/// What a stream says, step by step, byte for byte (contract, section 7).
///
/// ```
/// # use std::time::Duration;
/// # use fetch_hive_emulator::Script;
/// # use serde_json::json;
/// let script = Script::new()
///     .comment("thinking")
///     .wait(Duration::from_millis(50))
///     .text("Hello")
///     .event(&json!({"type": "tool", "tool": "search", "tool_input": {"q": 1}, "observation": "{}"}))
///     .event(&json!({"type": "usage", "stop_reason": "completed"}))
///     .done();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script {
    steps: VecDeque<Step>,
    chunk: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Write(Bytes),
    Wait(Duration),
    Break,
}

impl Script {
    /// A stream that says nothing and ends.
    pub fn new() -> Self {
        Self::default()
    }

    /// An event.
    #[must_use]
    pub fn event(self, event: &Value) -> Self {
        self.raw(format!("data: {event}\n\n"))
    }

    /// A piece of the answer's text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.event(&json!({"type": "response", "response": text}))
    }

    /// A comment, which is no event.
    #[must_use]
    pub fn comment(self, text: &str) -> Self {
        self.raw(format!(": {text}\n\n"))
    }

    /// Bytes as they are: frames that are no JSON, other line ends, half an event.
    #[must_use]
    pub fn raw(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push_back(Step::Write(bytes.into()));
        self
    }

    /// The end mark. A stream without it ends all the same.
    #[must_use]
    pub fn done(self) -> Self {
        self.raw("data: [DONE]\n\n")
    }

    /// Nothing for a time.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.steps.push_back(Step::Wait(time));
        self
    }

    /// Breaks the connection, when what was written has had time to leave.
    #[must_use]
    pub fn break_off(mut self) -> Self {
        self.steps.push_back(Step::Wait(Duration::from_millis(20)));
        self.steps.push_back(Step::Break);
        self
    }

    /// Writes in pieces of so many bytes at the most, whatever the steps are.
    #[must_use]
    pub fn in_chunks_of(mut self, bytes: usize) -> Self {
        self.chunk = Some(bytes.max(1));
        self
    }

    pub(crate) fn reply(self, service: &Arc<Service>) -> Reply {
        service.open_streams.fetch_add(1, Ordering::SeqCst);
        let body = Playing { script: self, waiting: None, service: Arc::clone(service) };
        let mut reply = Response::new(body.boxed_unsync());
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        reply
    }
}

/// A script that is being sent.
struct Playing {
    script: Script,
    waiting: Option<Pin<Box<Sleep>>>,
    service: Arc<Service>,
}

impl http_body::Body for Playing {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = &mut *self;
        loop {
            if let Some(waiting) = &mut this.waiting {
                std::task::ready!(waiting.as_mut().poll(cx));
                this.waiting = None;
            }
            match this.script.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Wait(time)) => this.waiting = Some(Box::pin(tokio::time::sleep(time))),
                Some(Step::Break) => return Poll::Ready(Some(Err(Broken(None)))),
                Some(Step::Write(mut bytes)) => {
                    let piece = bytes.split_to(this.script.chunk.unwrap_or(bytes.len()).min(bytes.len()));
                    if !bytes.is_empty() {
                        this.script.steps.push_front(Step::Write(bytes));
                    }
                    if !piece.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
            }
        }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.service.open_streams.fetch_sub(1, Ordering::SeqCst);
    }
}
