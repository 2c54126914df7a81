use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use fetch_hive_types::StreamEvent;
use memchr::memmem;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::error::StreamError;
use super::event::Event;
use crate::lenient;
use crate::sse::Decoder;

/// A reader that turns the bytes of one stream into typed events, without IO.
pub struct EventReader {
    decoder: Decoder,
    /// The remaining events of a raw event that contains several events, one per line.
    lines: VecDeque<Bytes>,
    /// Whether the `usage` event or an error was received.
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
    /// Creates a reader that accepts events of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { decoder: Decoder::new(limit), lines: VecDeque::new(), concluded: false, ended: false }
    }

    /// Adds a chunk of the stream.
    ///
    /// Call [`next_event`](EventReader::next_event) until it returns `None` before you add the next
    /// chunk. Otherwise, the remaining bytes are copied.
    pub fn push(&mut self, chunk: Bytes) {
        self.decoder.push(chunk);
    }

    /// Returns the next event, or `None` when the reader needs more bytes or the stream has ended.
    ///
    /// # Errors
    ///
    /// Returns [`StreamError`] when an event cannot be read or reports a failed run.
    /// [`StreamError::is_recoverable`] tells whether more events may follow.
    pub fn next_event(&mut self) -> Option<Result<Event, StreamError>> {
        if let Some(line) = self.lines.pop_front() {
            return Some(self.read(line, None));
        }
        let raw = loop {
            match self.decoder.next_event() {
                // Some servers keep a connection alive with empty events.
                Some(Ok(raw)) if raw.data.trim_ascii().is_empty() => {}
                Some(raw) => break raw,
                None if self.decoder.is_done() => return self.unframed_event().map(Err),
                None => return None,
            }
        };
        match raw {
            Ok(raw) if raw.multi_line => Some(self.read_lines(raw.data, raw.event.as_deref())),
            Ok(raw) => Some(self.read(raw.data, raw.event.as_deref())),
            Err(error) => {
                self.ended = true;
                Some(Err(StreamError::TooLarge(error)))
            }
        }
    }

    /// Returns whether the reader will not return any more events.
    ///
    /// This is the case after `[DONE]`, after an event that is too large, and after
    /// [`finish`](EventReader::finish) has returned `None`.
    pub fn is_done(&self) -> bool {
        self.ended || (self.decoder.is_done() && self.lines.is_empty() && !self.decoder.has_unframed())
    }

    /// Returns whether the bytes so far contain a comment or a known field, which shows that they
    /// are an event stream.
    pub fn is_event_stream(&self) -> bool {
        self.decoder.is_event_stream()
    }

    /// Returns whether the stream may end here: `[DONE]`, the `usage` event or an error was
    /// received.
    ///
    /// If a stream ends before that, it was cut.
    pub fn is_concluded(&self) -> bool {
        self.concluded || self.decoder.is_done()
    }

    /// Ends the input and returns what remains: an unfinished last event, and then the error
    /// [`StreamError::Cut`] if the stream was cut.
    ///
    /// Call it until it returns `None`.
    pub fn finish(&mut self) -> Option<Result<Event, StreamError>> {
        if let Some(line) = self.lines.pop_front() {
            return Some(self.read(line, None));
        }
        if std::mem::replace(&mut self.ended, true) {
            return None;
        }
        let end = self.decoder.finish();
        let concluded = self.concluded || end.done;
        if let Some(data) = &end.unfinished {
            // Without a cut to carry the data, it is reported as an event, even a malformed one.
            if concluded || is_json(data) || split_events(data).is_some() {
                self.ended = false;
                return Some(self.read_lines(data.clone(), None));
            }
        }
        if concluded {
            return None;
        }
        // An unframed line may be the error that ended the stream.
        let unframed = end.unframed.as_ref().filter(|_| self.is_event_stream());
        if let Some(line) = unframed.map(|lines| lines.slice_ref(lines.trim_ascii())) {
            if let Ok(StreamEvent::Error(event)) = StreamEvent::from_slice(&line) {
                return Some(Err(StreamError::Failed { event, raw: line }));
            }
        }
        Some(Err(StreamError::Cut { unfinished: end.unfinished, unframed: end.unframed }))
    }

    /// Returns the error for a JSON object that was sent without `data:` before `[DONE]`.
    ///
    /// Other lines are unknown fields, which the standard ignores.
    fn unframed_event(&mut self) -> Option<StreamError> {
        let lines = self.decoder.take_unframed()?;
        let line = lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).find(|line| line.starts_with(b"{"))?;
        let raw = lines.slice_ref(line);
        match StreamEvent::from_slice(&raw) {
            Ok(StreamEvent::Error(event)) => Some(StreamError::Failed { event, raw }),
            Ok(_) => {
                let error = serde::de::Error::custom("the event has no `data:` before it");
                Some(StreamError::Malformed { raw, error })
            }
            Err(_) => None,
        }
    }

    fn read_lines(&mut self, data: Bytes, name: Option<&[u8]>) -> Result<Event, StreamError> {
        if let Some(lines) = split_events(&data) {
            self.lines = lines;
            if let Some(first) = self.lines.pop_front() {
                return self.read(first, name);
            }
        }
        self.read(data, name)
    }

    fn read(&mut self, raw: Bytes, name: Option<&[u8]>) -> Result<Event, StreamError> {
        let name = name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let (event, unreadable) = match StreamEvent::from_slice_named(&raw, name) {
            Ok(event) => (event, Vec::new()),
            Err(error) => {
                let Some(parsed) = lenient::stream_event(&raw, name) else {
                    // A malformed `usage` event still ends the stream.
                    self.concluded |= StreamEvent::type_of(&raw) == "usage";
                    return Err(StreamError::Malformed { raw, error });
                };
                (parsed.value, parsed.unreadable)
            }
        };
        match with_error(event, &raw) {
            StreamEvent::Error(event) => {
                self.concluded = true;
                Err(StreamError::Failed { event, raw })
            }
            event => {
                self.concluded |= matches!(event, StreamEvent::Usage(_));
                Ok(Event { event, raw, unreadable })
            }
        }
    }
}

/// Reads a text or usage event that has an error as an error event.
///
/// The error of a tool is not that of the run, so other events are kept.
fn with_error(event: StreamEvent, raw: &[u8]) -> StreamEvent {
    let may_have_error = matches!(event, StreamEvent::Response(_) | StreamEvent::Reasoning(_) | StreamEvent::Usage(_));
    // Few events need the second parse.
    if !may_have_error || memmem::find(raw, b"\"error").is_none() {
        return event;
    }
    let Ok(json) = lenient::to_value_or_salvage(raw) else { return event };
    let is_error = |value: &Value| value.is_object() || value.as_str().is_some_and(|text| !text.is_empty());
    if !["error", "error_code"].iter().any(|name| json.value.get(name).is_some_and(is_error)) {
        return event;
    }
    StreamEvent::deserialize_as("error", json.value).unwrap_or(event)
}

fn is_json(data: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(data).is_ok()
}

/// Splits data into lines if it is not JSON as a whole but its first line is.
///
/// This happens when events are separated by single newlines instead of blank lines.
fn split_events(data: &Bytes) -> Option<VecDeque<Bytes>> {
    if !data.contains(&b'\n') || is_json(data) {
        return None;
    }
    let lines: VecDeque<_> = data.split(|byte| *byte == b'\n').map(|line| data.slice_ref(line)).collect();
    is_json(&lines[0]).then_some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(input: &str, size: usize) -> Vec<String> {
        let mut reader = EventReader::new(1 << 16);
        let mut items = Vec::new();
        let mut record = |item: Result<Event, StreamError>| {
            items.push(match item {
                Ok(event) => match &*event {
                    StreamEvent::Response(text) => text.response.to_string(),
                    other => other.event_type().to_owned(),
                },
                Err(StreamError::Cut { unfinished, .. }) => {
                    format!(
                        "cut {}",
                        unfinished.map(|data| String::from_utf8_lossy(&data).into_owned()).unwrap_or_default()
                    )
                }
                Err(StreamError::Malformed { raw, .. }) => format!("malformed {}", String::from_utf8_lossy(&raw)),
                Err(error) => error.to_string(),
            });
        };
        for chunk in input.as_bytes().chunks(size) {
            reader.push(Bytes::copy_from_slice(chunk));
            while let Some(item) = reader.next_event() {
                record(item);
            }
        }
        while let Some(item) = reader.finish() {
            record(item);
        }
        assert!(reader.finish().is_none() && reader.is_done());
        items
    }

    /// Includes the streams in the tests of the official SDKs.
    #[test]
    fn streams_yield_their_events_and_their_end() {
        let r = |text: &str| format!("data: {{\"type\":\"response\",\"response\":\"{text}\"}}\n\n");
        let done = "data: [DONE]\n\n";
        let usage = "data: {\"type\":\"usage\",\"request_id\":\"r1\",\"usage\":{\"prompt_tokens\":{\"total_tokens\":10},\"completion_tokens\":{\"total_tokens\":5},\"total_tokens\":15},\"stop_reason\":\"completed\"}\n\n";
        let error = "data: {\"type\":\"error\",\"error\":\"overloaded\",\"error_code\":\"too_many_requests\"}\n\n";
        let failed = "the run failed during the stream (too_many_requests): overloaded";
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
            ("data: {\"type\":\"usage\",\"request_id\":7}\n\n".to_owned(), vec!["usage"]),
            (
                "data: {\"type\":\"response\",\"response\":\"a \\ud83d\"}\n\n".to_owned() + &r("\\ude00 b") + done,
                vec!["a \u{fffd}", "\u{fffd} b"],
            ),
            (
                "data: {\"type\":\"response\",\"response\":{}}\n\n".to_owned() + done,
                vec!["malformed {\"type\":\"response\",\"response\":{}}"],
            ),
            ("data: {\"type\":\"response\",\"response\":null,\"done\":true}\n\n".to_owned() + done, vec![""]),
            (r("a") + usage + "data: {\"ty", vec!["a", "usage", "malformed {\"ty"]),
            (r("a") + error + "data: {\"ty", vec!["a", failed, "malformed {\"ty"]),
            (r("a") + "data: {\"ty\ndata: [DONE]", vec!["a", "malformed {\"ty"]),
            ((r("a") + "data: {no\n\n" + &r("b") + done).replace("\n\n", "\n"), vec!["a", "malformed {no", "b"]),
        ];
        for (input, want) in rows {
            for size in [1, 3, 7, 18, 20, input.len().max(1)] {
                assert_eq!(read_all(&input, size), want, "{input} in chunks of {size}");
            }
        }
    }
}
