//! The event-stream decoder: bytes in, frames out, by the rules of the WHATWG standard and those of the contract (section 7).
//!
//! It does no IO. A frame that lies whole in one chunk is a slice of that chunk: nothing is copied or allocated for it. Time is linear in
//! the bytes, whatever the chunks, and what is kept is bounded by the limit on a frame.
//!
//! No library did all of this when it was written: `eventsource-stream` 0.2.3 takes text, copies each event and panics on a byte order mark;
//! `sse-stream` 0.3 drops an unfinished last event and knows no limit on an event's size.

use bytes::{Buf as _, Bytes};
use memchr::{memchr, memchr2};

/// An event is larger than the decoder's limit. The decoder is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than the limit of {limit} bytes")]
#[non_exhaustive]
pub struct FrameTooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

/// One event as it stands in the stream.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Its data: the `data` lines, joined by newlines. Not checked to be UTF-8.
    pub data: Bytes,
    /// Its `event` field. The service sends none, and gives the type in the data.
    pub event: Option<Bytes>,
    /// The last `id` field of the stream so far.
    pub id: Option<Bytes>,
    /// Whether the data came in several lines.
    pub(crate) several_lines: bool,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({} bytes)", self.data.len())
    }
}

/// How the bytes of a stream ended.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct End {
    /// Whether the end mark `[DONE]` was seen.
    pub done: bool,
    /// The data of a last event that was not finished by a blank line. The standard discards it; here it is handed over, for its last
    /// bytes may be all that is missing, or nothing at all.
    pub unfinished: Option<Bytes>,
}

impl std::fmt::Debug for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unfinished = self.unfinished.as_ref().map(Bytes::len);
        f.debug_struct("End").field("done", &self.done).field("unfinished_length", &unfinished).finish()
    }
}

/// Decodes one stream. `Debug` shows nothing of its content.
///
/// ```
/// use bytes::Bytes;
/// use fetch_hive_core::sse::Decoder;
///
/// let mut decoder = Decoder::new(1 << 20);
/// decoder.push(Bytes::from("data: {\"a\":1}\n\nda"));
/// assert_eq!(decoder.next_frame().unwrap().unwrap().data, "{\"a\":1}");
/// assert!(decoder.next_frame().is_none()); // it needs more
/// decoder.push(Bytes::from("ta: [DONE]\n\n"));
/// assert!(decoder.next_frame().is_none());
/// assert!(decoder.finish().done);
/// ```
pub struct Decoder {
    limit: usize,
    /// What was pushed and not yet looked at.
    chunk: Bytes,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    data: Data,
    event: Option<Bytes>,
    id: Option<Bytes>,
    retry: Option<u64>,
    /// The last line ended with CR: a LF that follows belongs to it.
    after_cr: bool,
    first_line: bool,
    state: State,
    /// A comment or a field of an event stream was seen.
    recognised: bool,
}

/// The data lines of the event so far.
#[derive(Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Many(Vec<u8>),
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Open,
    /// `[DONE]` was seen.
    Done,
    TooLarge,
}

/// What a line leads to.
enum Step {
    On,
    Frame(Frame),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("limit", &self.limit).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder that takes events of up to `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            chunk: Bytes::new(),
            line: Vec::new(),
            data: Data::None,
            event: None,
            id: None,
            retry: None,
            after_cr: false,
            first_line: true,
            state: State::Open,
            recognised: false,
        }
    }

    /// Gives the decoder more bytes. Take all frames before the next push: what is left over would be copied.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else if !chunk.is_empty() {
            self.chunk = [&self.chunk[..], &chunk[..]].concat().into();
        }
    }

    /// The next whole event; `None` when more bytes are needed, or the stream is at its end.
    ///
    /// # Errors
    ///
    /// [`FrameTooLarge`], once; there is nothing more after it.
    pub fn next_frame(&mut self) -> Option<Result<Frame, FrameTooLarge>> {
        while self.state == State::Open {
            if std::mem::take(&mut self.after_cr) {
                match self.chunk.first() {
                    Some(b'\n') => drop(self.chunk.split_to(1)),
                    Some(_) => {}
                    None => {
                        self.after_cr = true;
                        return None;
                    }
                }
            }
            // Every other line is blank, and needs no search.
            let blank = matches!(self.chunk.first(), Some(b'\n' | b'\r'));
            let found = if blank { Some(0) } else { memchr2(b'\n', b'\r', &self.chunk) };
            let Some(end) = found else {
                let rest = std::mem::take(&mut self.chunk);
                if self.over_limit(self.line.len() + rest.len()) {
                    return Some(Err(self.too_large()));
                }
                self.line.extend_from_slice(&rest);
                return None;
            };
            if let Some(frame) = self.whole_frame(end) {
                return Some(Ok(frame));
            }
            if self.over_limit(self.line.len() + end) {
                return Some(Err(self.too_large()));
            }
            let step = if self.line.is_empty() {
                // The usual case: the line lies in the chunk, and what is kept of it is one slice.
                self.after_cr = self.chunk[end] == b'\r';
                let step = self.take_line(None, end);
                self.chunk.advance((end + 1).min(self.chunk.len()));
                step
            } else {
                self.after_cr = self.chunk[end] == b'\r';
                self.line.extend_from_slice(&self.chunk[..end]);
                self.chunk.advance(end + 1);
                self.take_own_line()
            };
            if let Step::Frame(frame) = step {
                return Some(Ok(frame));
            }
        }
        None
    }

    /// The short way for the usual event: one line of JSON, which may have begun in an earlier chunk and ends at `end`, and a blank one,
    /// with nothing pending beside it.
    fn whole_frame(&mut self, end: usize) -> Option<Frame> {
        const NAME: &[u8] = b"data: ";
        let pending = self.first_line || self.event.is_some();
        if pending || !matches!(self.data, Data::None) {
            return None;
        }
        let begun = self.line.len();
        let start = if begun == 0 { &self.chunk[..] } else { &self.line[..] };
        if !start.starts_with(b"data: {") {
            return None;
        }
        if begun + end > self.limit || !self.chunk[end..].starts_with(b"\n\n") {
            return None;
        }
        let data = if begun == 0 {
            self.chunk.slice(NAME.len()..end)
        } else {
            let mut data = Vec::with_capacity(begun - NAME.len() + end);
            data.extend_from_slice(&self.line[NAME.len()..]);
            data.extend_from_slice(&self.chunk[..end]);
            self.line.clear();
            data.into()
        };
        self.chunk.advance(end + 2);
        self.recognised = true;
        Some(Frame { data, event: None, id: self.id.clone(), several_lines: false })
    }

    /// Whether the end mark `[DONE]` was seen: nothing that comes after it is an event.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether anything was an event stream's so far: a comment, or a field with a known name.
    pub fn is_stream(&self) -> bool {
        self.recognised
    }

    /// The last `retry` field, in milliseconds.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Says that no bytes will follow, and what was left.
    pub fn finish(&mut self) -> End {
        if self.state == State::Open && !self.line.is_empty() {
            // Only `[DONE]` or the end of an event makes a frame, and neither is a loss here: the data stays.
            if let Step::Frame(frame) = self.take_own_line() {
                return End { done: self.is_done(), unfinished: Some(frame.data) };
            }
        }
        let unfinished = if self.state == State::TooLarge { None } else { std::mem::take(&mut self.data).join() };
        End { done: self.is_done(), unfinished }
    }

    fn over_limit(&self, line: usize) -> bool {
        let data = match &self.data {
            Data::None => 0,
            Data::One(data) => data.len(),
            Data::Many(data) => data.len(),
        };
        // The field's name and a line's end are not counted against an event, but a line is not kept much beyond the limit either.
        (line + data).saturating_sub(8) > self.limit
    }

    fn too_large(&mut self) -> FrameTooLarge {
        self.state = State::TooLarge;
        self.chunk = Bytes::new();
        self.line = Vec::new();
        self.data = Data::None;
        FrameTooLarge { limit: self.limit }
    }

    /// Takes the line that came in several chunks; its buffer is used again.
    fn take_own_line(&mut self) -> Step {
        let line = std::mem::take(&mut self.line);
        let step = self.take_line(Some(&line), line.len());
        self.line = line;
        self.line.clear();
        step
    }

    /// Takes a line of its own, or the first `length` bytes of the chunk. What is kept of it is a copy, or a slice.
    fn take_line(&mut self, own: Option<&[u8]>, length: usize) -> Step {
        let source = own.unwrap_or(&self.chunk);
        let keep = |from: usize| match own {
            Some(line) => Bytes::copy_from_slice(&line[from..]),
            None => self.chunk.slice(from..length),
        };
        let mut from = 0;
        if std::mem::take(&mut self.first_line) && source[..length].starts_with(b"\xef\xbb\xbf") {
            from = 3;
        }
        let line = &source[from..length];
        if line.is_empty() {
            return self.dispatch();
        }
        // The name that nearly every line has is known by its look.
        let colon = if line.starts_with(b"data:") { Some(4) } else { memchr(b':', line) };
        let (name, start) = match colon {
            // A comment: a sign of life, and nothing else.
            Some(0) => {
                self.recognised = true;
                return Step::On;
            }
            Some(colon) => (&line[..colon], colon + 1 + usize::from(line.get(colon + 1) == Some(&b' '))),
            None => (line, line.len()),
        };
        self.recognised |= matches!(name, b"data" | b"event" | b"id" | b"retry");
        let value = &line[start..];
        match name {
            b"data" => {
                // A look at the first byte tells an object from what may be the end mark.
                if value.first() != Some(&b'{') && value.trim_ascii() == b"[DONE]" {
                    self.state = State::Done;
                    self.chunk = Bytes::new();
                    return self.dispatch();
                }
                let value = keep(from + start);
                self.data.add(value);
            }
            b"event" => self.event = Some(keep(from + start)),
            // A copy, so that an id does not keep its chunk alive.
            b"id" if !value.contains(&0) => self.id = Some(Bytes::copy_from_slice(value)),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok()).or(self.retry);
            }
            _ => {}
        }
        Step::On
    }

    fn dispatch(&mut self) -> Step {
        let event = self.event.take();
        let several_lines = matches!(self.data, Data::Many(_));
        match std::mem::take(&mut self.data).join() {
            Some(data) => Step::Frame(Frame { data, event, id: self.id.clone(), several_lines }),
            None => Step::On,
        }
    }
}

impl Data {
    fn add(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut all = Vec::with_capacity(first.len() + 1 + line.len());
                all.extend_from_slice(&first);
                all.push(b'\n');
                all.extend_from_slice(&line);
                Self::Many(all)
            }
            Self::Many(mut all) => {
                all.push(b'\n');
                all.extend_from_slice(&line);
                Self::Many(all)
            }
        };
    }

    fn join(self) -> Option<Bytes> {
        match self {
            Self::None => None,
            Self::One(data) => Some(data),
            Self::Many(data) => Some(data.into()),
        }
    }
}
