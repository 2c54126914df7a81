//! A decoder for server-sent events: it turns bytes into untyped events.
//!
//! It follows the WHATWG standard and the [contract](fetch_hive_types::contract#streams), and
//! performs no IO. The data of an event that arrives in one chunk is a slice of that chunk.
//! Decoding takes linear time in the length of the stream, and the memory per event is limited.
//!
//! Existing crates do not meet these requirements. `eventsource-stream` 0.2.3 copies each event and
//! panics on a byte order mark. `sse-stream` 0.3 discards an unfinished last event, and does not
//! limit the size of an event.

use std::fmt;

use bytes::{Buf as _, Bytes};
use memchr::{memchr, memchr2};

/// The maximum size of the lines that are kept although they are not part of an event stream.
const MAX_UNFRAMED_BYTES: usize = 64 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An error that occurs when an event exceeds the size limit of the decoder.
///
/// The decoder returns nothing after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream exceeds the limit of {limit} bytes")]
#[non_exhaustive]
pub struct EventTooLarge {
    /// The size limit in bytes.
    pub limit: usize,
}

/// An untyped event of the stream.
///
/// `Debug` shows only the length of the data.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawEvent {
    /// The values of all `data` lines, joined by newlines.
    ///
    /// They may be invalid UTF-8.
    pub data: Bytes,
    /// The value of the `event` field.
    ///
    /// The service is not known to send one. It writes the event type into the data.
    pub event: Option<Bytes>,
    /// The value of the last `id` field in the stream so far.
    pub id: Option<Bytes>,
    /// Whether the data consists of more than one line.
    pub(crate) multi_line: bool,
}

impl fmt::Debug for RawEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawEvent({} bytes)", self.data.len())
    }
}

/// The state of a stream after its last byte.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndOfStream {
    /// Whether the end marker `[DONE]` was received.
    pub done: bool,
    /// The data of a last event that is not followed by a blank line.
    ///
    /// The standard requires such an event to be discarded. It is returned here, because it may be
    /// complete.
    pub unfinished: Option<Bytes>,
    /// The first lines that are not part of an event stream, such as an error that a proxy wrote
    /// into the stream without framing. At most 64 KiB are kept.
    pub unframed: Option<Bytes>,
}

impl fmt::Debug for EndOfStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unfinished, unframed) = (self.unfinished.as_ref().map(Bytes::len), self.unframed.as_ref().map(Bytes::len));
        f.debug_struct("EndOfStream")
            .field("done", &self.done)
            .field("unfinished_length", &unfinished)
            .field("unframed_length", &unframed)
            .finish()
    }
}

/// A decoder for one stream of server-sent events.
///
/// `Debug` does not show the content of the stream.
///
/// ```
/// use bytes::Bytes;
/// use fetch_hive_core::sse::Decoder;
///
/// let mut decoder = Decoder::new(1 << 20);
/// decoder.push(Bytes::from("data: {\"a\":1}\n\nda"));
/// assert_eq!(decoder.next_event().unwrap().unwrap().data, "{\"a\":1}");
/// assert!(decoder.next_event().is_none()); // more bytes are needed
/// decoder.push(Bytes::from("ta: [DONE]\n\n"));
/// assert!(decoder.next_event().is_none());
/// assert!(decoder.finish().done);
/// ```
pub struct Decoder {
    limit: usize,
    /// The bytes that have not been decoded.
    chunk: Bytes,
    /// The start of a line that continues in the next chunk.
    partial_line: Vec<u8>,
    data: Data,
    event: Option<Bytes>,
    id: Option<Bytes>,
    retry: Option<u64>,
    /// Whether the last line ended with CR, so that a LF after it belongs to the same line ending.
    after_cr: bool,
    is_first_line: bool,
    state: State,
    is_event_stream: bool,
    /// The lines that have an unknown field name, which the standard ignores.
    unframed: Vec<u8>,
}

/// The `data` lines of the current event.
///
/// A single line stays a slice of its chunk, which saves an allocation per event.
#[derive(Default)]
enum Data {
    #[default]
    Empty,
    OneLine(Bytes),
    ManyLines(Vec<u8>),
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    Done,
    TooLarge,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("limit", &self.limit).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Creates a decoder that accepts events of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            chunk: Bytes::new(),
            partial_line: Vec::new(),
            data: Data::Empty,
            event: None,
            id: None,
            retry: None,
            after_cr: false,
            is_first_line: true,
            state: State::Open,
            is_event_stream: false,
            unframed: Vec::new(),
        }
    }

    /// Adds a chunk of the stream.
    ///
    /// Call [`next_event`](Decoder::next_event) until it returns `None` before you add the next
    /// chunk. Otherwise, the remaining bytes are copied.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else if !chunk.is_empty() {
            self.chunk = [&self.chunk[..], &chunk[..]].concat().into();
        }
    }

    /// Returns the next event, or `None` when the decoder needs more bytes or the stream has ended.
    ///
    /// # Errors
    ///
    /// Returns [`EventTooLarge`] once when an event exceeds the limit, and `None` after that.
    pub fn next_event(&mut self) -> Option<Result<RawEvent, EventTooLarge>> {
        while self.state == State::Open {
            if self.after_cr {
                if self.chunk.first()? == &b'\n' {
                    self.chunk.advance(1);
                }
                self.after_cr = false;
            }
            let line_end = memchr2(b'\n', b'\r', &self.chunk);
            if self.exceeds_limit(line_end.unwrap_or(self.chunk.len())) {
                return Some(Err(self.fail()));
            }
            let Some(line_end) = line_end else {
                self.partial_line.extend_from_slice(&self.chunk);
                self.chunk = Bytes::new();
                return None;
            };
            self.after_cr = self.chunk[line_end] == b'\r';
            let mut line = self.chunk.split_to(line_end);
            self.chunk.advance(1);
            if !self.partial_line.is_empty() {
                self.partial_line.extend_from_slice(&line);
                line = self.take_partial_line();
            }
            if let Some(event) = self.decode_line(line) {
                return Some(Ok(event));
            }
        }
        None
    }

    /// Returns whether the end marker `[DONE]` was received.
    ///
    /// Everything after it is ignored.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Returns whether the bytes so far contain a comment or a known field, which shows that they
    /// are an event stream.
    pub fn is_event_stream(&self) -> bool {
        self.is_event_stream
    }

    /// Returns the value of the last `retry` field in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Ends the input and returns the state of the stream.
    pub fn finish(&mut self) -> EndOfStream {
        let mut unfinished = None;
        if self.state == State::Open && !self.partial_line.is_empty() {
            let line = self.take_partial_line();
            // Only `[DONE]` completes an event here. The event before it had no blank line.
            unfinished = self.decode_line(line).map(|event| event.data);
        }
        if unfinished.is_none() {
            unfinished = std::mem::take(&mut self.data).join();
        }
        EndOfStream { done: self.is_done(), unfinished, unframed: self.take_unframed() }
    }

    /// Returns whether there were lines with an unknown field name.
    pub(crate) fn has_unframed(&self) -> bool {
        !self.unframed.is_empty()
    }

    pub(crate) fn take_unframed(&mut self) -> Option<Bytes> {
        let unframed = std::mem::take(&mut self.unframed);
        (!unframed.is_empty()).then(|| unframed.into())
    }

    /// Returns whether the current event with `length` more bytes exceeds the limit.
    fn exceeds_limit(&self, length: usize) -> bool {
        const MAX_FIELD_NAME: usize = "data: ".len() + "\r\n".len();
        let data = match &self.data {
            Data::Empty => 0,
            Data::OneLine(data) => data.len(),
            Data::ManyLines(data) => data.len(),
        };
        (self.partial_line.len() + length + data).saturating_sub(MAX_FIELD_NAME) > self.limit
    }

    fn fail(&mut self) -> EventTooLarge {
        self.state = State::TooLarge;
        self.chunk = Bytes::new();
        self.partial_line = Vec::new();
        self.data = Data::Empty;
        EventTooLarge { limit: self.limit }
    }

    /// Returns a copy of the partial line and clears its buffer for reuse.
    ///
    /// A line that spans two chunks therefore costs one allocation.
    fn take_partial_line(&mut self) -> Bytes {
        let line = Bytes::copy_from_slice(&self.partial_line);
        self.partial_line.clear();
        line
    }

    /// Decodes one line, and returns the event that it completes.
    fn decode_line(&mut self, mut line: Bytes) -> Option<RawEvent> {
        if std::mem::take(&mut self.is_first_line) {
            // Programs that each add one may follow each other.
            while line.starts_with(BYTE_ORDER_MARK) {
                line.advance(BYTE_ORDER_MARK.len());
            }
        }
        if line.is_empty() {
            return self.take_event();
        }
        let colon = memchr(b':', &line).unwrap_or(line.len());
        let space = usize::from(line.get(colon + 1) == Some(&b' '));
        let value_start = (colon + 1 + space).min(line.len());
        let (name, value) = (&line[..colon], &line[value_start..]);
        // An empty name is a comment.
        self.is_event_stream |= matches!(name, b"" | b"data" | b"event" | b"id" | b"retry");
        match name {
            b"data" if value.trim_ascii() == b"[DONE]" => {
                self.state = State::Done;
                self.chunk = Bytes::new();
                return self.take_event();
            }
            b"data" => {
                line.advance(value_start);
                self.data.push(line);
            }
            b"event" => {
                line.advance(value_start);
                self.event = Some(line);
            }
            // A copy, because a slice would keep the whole chunk in memory.
            b"id" if !value.contains(&0) => self.id = Some(Bytes::copy_from_slice(value)),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).or(self.retry);
            }
            b"" | b"id" | b"retry" => {}
            _ => {
                let room = MAX_UNFRAMED_BYTES.saturating_sub(self.unframed.len());
                self.unframed.extend_from_slice(&line[..line.len().min(room)]);
                if room > line.len() {
                    self.unframed.push(b'\n');
                }
            }
        }
        None
    }

    /// Returns the current event if it has data, and starts the next one.
    fn take_event(&mut self) -> Option<RawEvent> {
        let event = self.event.take();
        let multi_line = matches!(self.data, Data::ManyLines(_));
        let data = std::mem::take(&mut self.data).join()?;
        Some(RawEvent { data, event, id: self.id.clone(), multi_line })
    }
}

impl Data {
    fn push(&mut self, line: Bytes) {
        let mut lines = match std::mem::take(self) {
            Self::Empty => {
                *self = Self::OneLine(line);
                return;
            }
            Self::OneLine(first) => Vec::from(first),
            Self::ManyLines(lines) => lines,
        };
        lines.push(b'\n');
        lines.extend_from_slice(&line);
        *self = Self::ManyLines(lines);
    }

    fn join(self) -> Option<Bytes> {
        match self {
            Self::Empty => None,
            Self::OneLine(data) => Some(data),
            Self::ManyLines(data) => Some(data.into()),
        }
    }
}
