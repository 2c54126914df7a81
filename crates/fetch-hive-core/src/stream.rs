//! Typed events over the [decoder](crate::sse): what a stream of the service says, and how it ended (contract, section 7).

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use fetch_hive_types::{
    InvokeAgentResponse, ErrorCode, ErrorEvent, GeneratedArtifact, InvokeAgent, InvokePrompt, EscapedLine, InvokePromptResponse, RequestId,
    StreamEvent, ToolInvocation,
};
use http::Method;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::sse::{Decoder, FrameTooLarge};
use crate::{Auth, Body, Endpoint, InvalidInput, PathWriter, QueryWriter, Retry};

/// An operation whose reply can come as a stream of events.
pub trait StreamingEndpoint: Endpoint<Response: Default> {
    /// The body that asks for a stream.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] when the body cannot be written.
    fn streaming_body(&self) -> Result<Body, InvalidInput>;

    /// Puts an event into the reply that the events add up to: the one that comes without streaming.
    fn collect(reply: &mut Self::Response, event: StreamEvent);
}

/// Asks for a stream of the same operation.
#[derive(Clone, Debug)]
pub struct Streaming<E>(pub E);

impl<E: StreamingEndpoint> Endpoint for Streaming<E> {
    type Response = E::Response;
    const NAME: &'static str = E::NAME;
    const METHOD: Method = E::METHOD;
    const PATH: &'static str = E::PATH;
    const RETRY: Retry = E::RETRY;
    const OCCUPIES_RUN_SLOT: bool = E::OCCUPIES_RUN_SLOT;
    const ACCEPT: &'static str = "text/event-stream";

    fn validate(&self) -> Result<(), InvalidInput> {
        self.0.validate()
    }

    fn path(&self, path: &mut PathWriter) {
        self.0.path(path);
    }

    fn query(&self, query: &mut QueryWriter) {
        self.0.query(query);
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        self.0.streaming_body()
    }

    fn auth(&self) -> Auth<'_> {
        self.0.auth()
    }

    fn target(&self) -> Option<&str> {
        self.0.target()
    }
}

impl StreamingEndpoint for InvokePrompt {
    fn streaming_body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, true)
    }

    fn collect(reply: &mut InvokePromptResponse, event: StreamEvent) {
        match event {
            StreamEvent::Response(piece) => {
                reply.response.get_or_insert_default().push_str(&piece.response);
                reply.model = piece.model.map(String::from).or(reply.model.take());
                reply.request_id = piece.request_id.or(reply.request_id.take());
            }
            StreamEvent::Usage(end) => {
                reply.request_id = end.request_id.or(reply.request_id.take());
                reply.usage = end.usage.or(reply.usage.take());
            }
            _ => {}
        }
    }
}

impl StreamingEndpoint for InvokeAgent {
    fn streaming_body(&self) -> Result<Body, InvalidInput> {
        Body::json_streaming(self, &self.extra, true)
    }

    fn collect(reply: &mut InvokeAgentResponse, event: StreamEvent) {
        match event {
            StreamEvent::Response(piece) => {
                reply.response.get_or_insert_default().push_str(&piece.response);
                reply.model = piece.model.map(String::from).or(reply.model.take());
                reply.request_id = piece.request_id.or(reply.request_id.take());
            }
            StreamEvent::Tool(tool) => {
                let mut call = ToolInvocation::default();
                (call.tool_name, call.tool_input, call.observation) = (tool.tool, tool.tool_input, tool.observation);
                reply.tool_calls.push(call);
            }
            StreamEvent::Artifact(made) => reply.artifacts.extend::<Option<GeneratedArtifact>>(made.artifact),
            StreamEvent::Usage(end) => {
                reply.request_id = end.request_id.or(reply.request_id.take());
                reply.run_id = end.run_id.or(reply.run_id.take());
                reply.thread_id = end.thread_id.or(reply.thread_id.take());
                reply.status = end.status.or(reply.status.take());
                reply.usage = end.usage.or(reply.usage.take());
                reply.tool_approval = end.tool_approval.or(reply.tool_approval.take());
                reply.pending_tool_approvals.extend(end.pending_tool_approvals);
                reply.denied_tool_calls.extend(end.denied_tool_calls);
                reply.auto_approved_tool_calls.extend(end.auto_approved_tool_calls);
            }
            _ => {}
        }
    }
}

/// An event, with its JSON as it came. It derefs to the [`StreamEvent`]. `Debug` shows what it says, and of the JSON the length.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What it says.
    pub event: StreamEvent,
    /// Its JSON: a slice of what came in. Fields that the typed event does not have are here.
    pub raw: Bytes,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("event", &self.event).field("raw_length", &self.raw.len()).finish()
    }
}

impl Deref for Event {
    type Target = StreamEvent;

    fn deref(&self) -> &StreamEvent {
        &self.event
    }
}

/// What is wrong with a stream. `Display` and `Debug` hold nothing of its content but the service's own error text.
#[non_exhaustive]
pub enum StreamError {
    /// A frame is no event: no JSON, or a known event of another shape. The stream can go on after it.
    Malformed {
        /// The frame's data, as it came.
        raw: Bytes,
        /// What did not fit. Its text may quote the data.
        error: serde_json::Error,
    },
    /// The service says that the run failed.
    Failed {
        /// The event.
        event: Box<ErrorEvent>,
        /// Its JSON, as it came.
        raw: Bytes,
    },
    /// The stream ended without its end: neither `[DONE]` nor the `usage` event was seen. Everything that came was handed over before.
    Cut {
        /// What came of an event that was not finished.
        unfinished: Option<Bytes>,
    },
    /// An event is larger than the limit. Nothing comes after it.
    TooLarge(FrameTooLarge),
}

impl StreamError {
    /// Whether events may follow.
    pub fn can_go_on(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::Failed { .. })
    }

    /// The reason of a failed run, for programs.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Failed { event, .. } => event.error_code.as_ref(),
            _ => None,
        }
    }

    /// The run, where the failure names it.
    pub fn request_id(&self) -> Option<&RequestId> {
        match self {
            Self::Failed { event, .. } => event.request_id.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { raw, error } => {
                write!(
                    f,
                    "a frame of {} bytes is no event, from line {}, column {} on",
                    raw.len(),
                    error.line(),
                    error.column()
                )
            }
            Self::Failed { event, .. } => {
                f.write_str("the run failed while it streamed")?;
                if let Some(code) = &event.error_code {
                    write!(f, " ({})", EscapedLine(code))?;
                }
                match event.message.as_deref().or(event.error.as_ref().and_then(Value::as_str)) {
                    Some(message) => write!(f, ": {}", EscapedLine(message)),
                    None => Ok(()),
                }
            }
            Self::Cut { .. } => f.write_str("the stream was cut: it ended without its end mark"),
            Self::TooLarge(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamError({self})")
    }
}

impl std::error::Error for StreamError {}

/// Reads the events of one stream from its bytes. It does no IO.
pub struct EventReader {
    decoder: Decoder,
    /// The lines of a merged frame that are still to be handed over.
    lines: VecDeque<Bytes>,
    /// The `usage` event, or an error, was seen: the end of the bytes is no cut any more.
    concluded: bool,
    ended: bool,
}

impl fmt::Debug for EventReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventReader")
            .field("decoder", &self.decoder)
            .field("concluded", &self.concluded)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl EventReader {
    /// A reader that takes events of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { decoder: Decoder::new(limit), lines: VecDeque::new(), concluded: false, ended: false }
    }

    /// Gives the reader more bytes. Take all events before the next push.
    pub fn push(&mut self, chunk: Bytes) {
        self.decoder.push(chunk);
    }

    /// The next event; `None` when more bytes are needed, or the stream is at its end.
    ///
    /// # Errors
    ///
    /// [`StreamError`]; whether events may follow says [`StreamError::can_go_on`].
    pub fn next_event(&mut self) -> Option<Result<Event, StreamError>> {
        if let Some(line) = self.lines.pop_front() {
            return Some(self.read(line, None));
        }
        match self.decoder.next_frame()? {
            Ok(frame) if frame.several_lines => Some(self.read_lines(frame.data, frame.event.as_deref())),
            Ok(frame) => Some(self.read(frame.data, frame.event.as_deref())),
            Err(error) => {
                self.ended = true;
                Some(Err(StreamError::TooLarge(error)))
            }
        }
    }

    /// Whether nothing more will come: `[DONE]` was seen and everything was handed over.
    pub fn is_done(&self) -> bool {
        self.ended || (self.decoder.is_done() && self.lines.is_empty())
    }

    /// Whether anything was an event stream's so far: a comment, or a field with a known name.
    pub fn is_stream(&self) -> bool {
        self.decoder.is_stream()
    }

    /// Whether the end of the bytes would be the end of the stream: `[DONE]`, the `usage` event or an error was seen.
    pub fn is_concluded(&self) -> bool {
        self.concluded || self.decoder.is_done()
    }

    /// Says that no bytes will follow. Gives what was left of the last event, if it is one, and then whether the stream was cut; ask
    /// until there is nothing more.
    pub fn finish(&mut self) -> Option<Result<Event, StreamError>> {
        if let Some(line) = self.lines.pop_front() {
            return Some(self.read(line, None));
        }
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        let end = self.decoder.finish();
        let unfinished = match end.unfinished {
            // After the end there is no cut to hand it over, so it is a frame that is no event.
            Some(data) if self.concluded || end.done || is_json(&data) || merged(&data).is_some() => {
                self.ended = false;
                return Some(self.read_lines(data, None));
            }
            unfinished => unfinished,
        };
        if self.concluded || end.done { None } else { Some(Err(StreamError::Cut { unfinished })) }
    }

    fn read_lines(&mut self, data: Bytes, name: Option<&[u8]>) -> Result<Event, StreamError> {
        if let Some(lines) = merged(&data) {
            self.lines = lines;
            if let Some(first) = self.lines.pop_front() {
                return self.read(first, name);
            }
        }
        self.read(data, name)
    }

    fn read(&mut self, raw: Bytes, name: Option<&[u8]>) -> Result<Event, StreamError> {
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        match StreamEvent::from_slice_named(&raw, name) {
            Ok(StreamEvent::Error(event)) => {
                self.concluded = true;
                Err(StreamError::Failed { event, raw })
            }
            Ok(event) => {
                self.concluded |= matches!(event, StreamEvent::Usage(_));
                Ok(Event { event, raw })
            }
            Err(error) => {
                // A `usage` event of another shape is the end all the same.
                self.concluded |= StreamEvent::type_of(&raw) == "usage";
                Err(StreamError::Malformed { raw, error })
            }
        }
    }
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// The lines of data that is no JSON as a whole while its first line is: events that single newlines have run together.
fn merged(data: &Bytes) -> Option<VecDeque<Bytes>> {
    if !data.contains(&b'\n') || is_json(data) {
        return None;
    }
    let lines: VecDeque<_> = data.split(|byte| *byte == b'\n').map(|line| data.slice_ref(line)).collect();
    is_json(&lines[0]).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str, size: usize) -> Vec<String> {
        let mut reader = EventReader::new(1 << 16);
        let mut seen = Vec::new();
        let mut note = |item: Result<Event, StreamError>| {
            seen.push(match item {
                Ok(event) => match &*event {
                    StreamEvent::Response(text) => text.response.to_string(),
                    other => other.event_type().to_owned(),
                },
                Err(StreamError::Cut { unfinished }) => {
                    format!(
                        "cut {}",
                        unfinished.map(|rest| String::from_utf8_lossy(&rest).into_owned()).unwrap_or_default()
                    )
                }
                Err(StreamError::Malformed { raw, .. }) => format!("malformed {}", String::from_utf8_lossy(&raw)),
                Err(error) => error.to_string(),
            });
        };
        for chunk in input.as_bytes().chunks(size) {
            reader.push(Bytes::copy_from_slice(chunk));
            while let Some(item) = reader.next_event() {
                note(item);
            }
        }
        while let Some(item) = reader.finish() {
            note(item);
        }
        assert!(reader.finish().is_none() && reader.is_done());
        seen
    }

    /// The fixtures of the official suites (S1, SSE1 to SSE5), and what they hide.
    #[test]
    fn streams_come_to_their_events_and_their_end() {
        let r = |text: &str| format!("data: {{\"type\":\"response\",\"response\":\"{text}\"}}\n\n");
        let done = "data: [DONE]\n\n";
        let usage = "data: {\"type\":\"usage\",\"request_id\":\"r1\",\"usage\":{\"prompt_tokens\":{\"total_tokens\":10},\"completion_tokens\":{\"total_tokens\":5},\"total_tokens\":15},\"stop_reason\":\"completed\"}\n\n";
        let error = "data: {\"type\":\"error\",\"error\":\"overloaded\",\"error_code\":\"too_many_requests\"}\n\n";
        let failed = "the run failed while it streamed (too_many_requests): overloaded";
        let rows: Vec<(String, Vec<&str>)> = vec![
            (r("Hello") + done, vec!["Hello"]),
            (r("Hello") + &r(" world") + usage + done, vec!["Hello", " world", "usage"]),
            (format!(": comment\n\n\nevent: message\nid: 1\n{}{done}", r("Hi")), vec!["Hi"]),
            (
                r("before") + "data: {this is not json}\n\n" + &r("after") + done,
                vec!["before", "malformed {this is not json}", "after"],
            ),
            (r("keep") + done + &r("drop"), vec!["keep"]),
            (r("only"), vec!["only", "cut "]),
            (r("only") + usage, vec!["only", "usage"]),
            (r("x") + error, vec!["x", failed]),
            (r("x") + error + done, vec!["x", failed]),
            (r("a") + "data: {\"type\":\"resp", vec!["a", "cut {\"type\":\"resp"]),
            ((r("a") + usage).trim_end().to_owned(), vec!["a", "usage"]),
            ((r("a") + &r("b")).trim_end().to_owned(), vec!["a", "b", "cut "]),
            ((r("a") + &r("b") + usage + done).replace("\n\n", "\n"), vec!["a", "b", "usage"]),
            ((r("a") + &r("b")).replace("\n\n", "\n"), vec!["a", "b", "cut "]),
            ("data: {\"type\":\"response\",\ndata: \"response\":\"split\"}\n\n".to_owned() + done, vec!["split"]),
            ("data: 5\n\ndata: \"text\"\n\n".to_owned() + done, vec!["", ""]),
            ("data: {\"type\":\"brand_new\",\"x\":1}\n\n".to_owned() + done, vec!["brand_new"]),
            (String::new(), vec!["cut "]),
            ("data: [DONE]  ".to_owned(), vec![]),
            ("<html>login</html>".to_owned(), vec!["cut "]),
            (
                "event: error\ndata: {\"error\":\"overloaded\",\"code\":\"too_many_requests\"}\n\n".to_owned(),
                vec![failed],
            ),
            (
                "data: {\"type\":\"usage\",\"request_id\":7}\n\n".to_owned(),
                vec!["malformed {\"type\":\"usage\",\"request_id\":7}"],
            ),
            ("data: {\"type\":\"response\",\"response\":null,\"done\":true}\n\n".to_owned() + done, vec![""]),
            (r("a") + usage + "data: {\"ty", vec!["a", "usage", "malformed {\"ty"]),
            (r("a") + error + "data: {\"ty", vec!["a", failed, "malformed {\"ty"]),
            (r("a") + "data: {\"ty\ndata: [DONE]", vec!["a", "malformed {\"ty"]),
            ((r("a") + "data: {no\n\n" + &r("b") + done).replace("\n\n", "\n"), vec!["a", "malformed {no", "b"]),
        ];
        for (input, want) in rows {
            for size in [1, 3, 7, 18, 20, input.len().max(1)] {
                assert_eq!(read(&input, size), want, "{input} in chunks of {size}");
            }
        }
    }

    #[test]
    fn events_add_up_to_the_reply_that_comes_without_streaming() {
        let event = |json: &str| StreamEvent::from_slice(json.as_bytes()).unwrap();
        let mut reply = InvokeAgentResponse::default();
        for json in [
            r#"{"type":"reasoning","response":"hm"}"#,
            r#"{"type":"response","response":"Hel","done":false}"#,
            r#"{"type":"tool","tool_id":"1","tool":"search","tool_input":{"q":1},"observation":"{\"n\":2}"}"#,
            r#"{"type":"artifact","artifact":{"file_url":"https://x/1.png"}}"#,
            r#"{"type":"response","response":"lo","done":true}"#,
            r#"{"type":"usage","usage":{"total_tokens":9},"run_id":"req_1","request_id":"req_1","status":"awaiting_approval","thread_id":"t","pending_tool_approvals":[{"approval_id":"a"}]}"#,
            r#"{"type":"usage"}"#,
        ] {
            InvokeAgent::collect(&mut reply, event(json));
        }
        let want: InvokeAgentResponse = serde_json::from_str(
            r#"{"request_id":"req_1","run_id":"req_1","response":"Hello","thread_id":"t","status":"awaiting_approval","usage":{"total_tokens":9},
                "tool_calls":[{"tool_name":"search","tool_input":{"q":1},"observation":"{\"n\":2}"}],"artifacts":[{"file_url":"https://x/1.png"}],
                "pending_tool_approvals":[{"approval_id":"a"}]}"#,
        )
        .unwrap();
        assert_eq!(reply, want);
    }
}
