use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::callback_fault::Wrong;

mod text;

/// Something that goes wrong: with a connection before a request is read; with a request, before the operation is carried out or
/// [after it](Fault::after_run); or with the callbacks of a run.
///
/// Of the faults that could meet a request, or a connection, the first that strikes does; of those that could meet a callback, all do.
///
/// ```
/// # use fetch_hive_emulator::Fault;
/// // The second invoke of a workflow is answered by a proxy's page.
/// let fault = Fault::status(502).body("<html>Bad gateway</html>").header("content-type", "text/html")
///     .operation("invokeWorkflow").nth(2);
/// // The same in words, as the command and the header `x-fetch-hive-fault` take it.
/// let words: Fault = "status=502 body=<html>Bad_gateway</html> header=content-type:text/html operation=invokeWorkflow nth=2"
///     .parse().unwrap();
/// // Each tenth callback is delivered twice, and the first try of the third is signed with another secret.
/// let callbacks = [Fault::callback_repeat(1).every(10), Fault::callback_missign().nth(3).first_tries(1)];
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) action: Action,
    pub(crate) after_run: bool,
    pub(crate) operation: Option<String>,
    /// The events whose callbacks it meets.
    pub(crate) event_type: Option<String>,
    /// The tries of a callback that it meets.
    pub(crate) tries: u32,
    nth: Option<u64>,
    every: u64,
    offset: u64,
    times: u64,
    chance: Option<f64>,
    seen: u64,
    struck: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// This reply, whole, or cut after so many bytes of its body.
    Reply { status: StatusCode, headers: Vec<(String, String)>, body: Bytes, cut: Option<(usize, End)> },
    /// The request is answered later.
    Delay(Duration),
    /// No answer, ever.
    Hang,
    /// The connection is closed without an answer.
    Close,
    /// The stream of HTTP/2 is reset, for this reason.
    ResetStream(u32),
    /// These bytes as they are, then the end of the connection.
    Raw(Bytes, End),
    /// Something that happens before a request is read.
    Connection(Connecting),
    /// Something that happens to the callbacks of a run.
    Callback(Wrong),
}

/// What goes wrong with a connection before a request is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connecting {
    Reset,
    Silent,
    WrongName,
    Expired,
    Stranger,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
    Hang,
}

impl Fault {
    pub(crate) fn new(action: Action) -> Self {
        Self {
            action,
            after_run: false,
            operation: None,
            event_type: None,
            tries: u32::MAX,
            nth: None,
            every: 1,
            offset: 0,
            times: u64::MAX,
            chance: None,
            seen: 0,
            struck: 0,
        }
    }

    /// Answers with a status, and no body unless one is set. A status that HTTP does not have becomes a 500.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(Action::Reply { status, headers: Vec::new(), body: Bytes::new(), cut: None })
    }

    /// Answers later.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(Action::Hang)
    }

    /// Closes the connection without an answer, after the request was read.
    pub fn close() -> Self {
        Self::new(Action::Close)
    }

    /// Resets the connection without an answer, after the request was read.
    pub fn reset() -> Self {
        Self::new(Action::Raw(Bytes::new(), End::Reset))
    }

    /// Answers with bytes as they are, and closes the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Action::Raw(bytes.into(), End::Close))
    }

    /// Answers with what is no HTTP.
    pub fn garbage() -> Self {
        Self::raw("220 mail.example.com ESMTP\r\n")
    }

    /// Breaks off in the head of an HTTP/1.1 answer.
    pub fn cut_head() -> Self {
        Self::raw("HTTP/1.1 200 OK\r\ncontent-ty")
    }

    /// Says GOAWAY (HTTP/2 only) and closes the connection. With `processed` it says that the request was, or may have been, taken up; else
    /// that it was not, nor any other on the connection: use it where there are no others.
    pub fn go_away(processed: bool) -> Self {
        let last: u32 = if processed { 0x7fff_ffff } else { 0 };
        let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
        frame.extend_from_slice(&last.to_be_bytes());
        frame.extend_from_slice(&0_u32.to_be_bytes());
        Self::raw(frame)
    }

    /// Resets the request's stream (HTTP/2 only), for a reason of RFC 9113, section 7: 2 is an internal error; 7 says that the request was
    /// not processed.
    pub fn reset_stream(reason: u32) -> Self {
        Self::new(Action::ResetStream(reason))
    }

    /// Resets a connection when the first bytes have come, with nothing read from it: the first of a request, or of TLS.
    pub fn reset_connection() -> Self {
        Self::new(Action::Connection(Connecting::Reset))
    }

    /// Takes a connection and says nothing on it, not even what TLS begins with.
    pub fn silent_connection() -> Self {
        Self::new(Action::Connection(Connecting::Silent))
    }

    /// Shows a certificate of another name; https only, as the next two.
    pub fn wrong_certificate_name() -> Self {
        Self::new(Action::Connection(Connecting::WrongName))
    }

    /// Shows a certificate that has expired.
    pub fn expired_certificate() -> Self {
        Self::new(Action::Connection(Connecting::Expired))
    }

    /// Shows a certificate of an authority that nobody knows.
    pub fn unknown_issuer() -> Self {
        Self::new(Action::Connection(Connecting::Stranger))
    }

    /// The body of a status fault.
    #[must_use]
    pub fn body(mut self, text: impl Into<Bytes>) -> Self {
        if let Action::Reply { body, .. } = &mut self.action {
            *body = text.into();
        }
        self
    }

    /// A header of a status fault.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Action::Reply { headers, .. } = &mut self.action {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Breaks the connection after so many bytes of the body of a status fault, whose length is announced whole.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        self.cut(bytes, End::Close)
    }

    /// As [`cut_after`](Fault::cut_after), with a reset.
    #[must_use]
    pub fn reset_after(self, bytes: usize) -> Self {
        self.cut(bytes, End::Reset)
    }

    /// Stalls after so many bytes of the body of a status fault.
    #[must_use]
    pub fn stall_after(self, bytes: usize) -> Self {
        self.cut(bytes, End::Hang)
    }

    fn cut(mut self, bytes: usize, end: End) -> Self {
        if let Action::Reply { cut, .. } = &mut self.action {
            *cut = Some((bytes, end));
        }
        self
    }

    /// Happens after the operation was carried out, in place of its reply: the run was started, and nobody is told.
    #[must_use]
    pub fn after_run(mut self) -> Self {
        self.after_run = true;
        self
    }

    /// Only for one operation, by its name in the contract; of a callback, for the runs that it started. A fault of connections has none.
    #[must_use]
    pub fn operation(mut self, id: impl Into<String>) -> Self {
        self.operation = Some(id.into());
        self
    }

    /// Only for the nth request, connection or event that it could meet, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Only for each nth that it could meet.
    #[must_use]
    pub fn every(mut self, nth: u64) -> Self {
        self.every = nth.max(1);
        self
    }

    /// Not for the first ones that it could meet: `every(10).offset(3)` is for the 13th, the 23rd, …
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Only so many times, and never again.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Only by chance, from 0 for never to 1 for always.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = Some(chance);
        self
    }

    /// Whether it strikes now that it could.
    pub(crate) fn strikes(&mut self) -> bool {
        self.seen += 1;
        let is_its_turn = match self.nth {
            Some(nth) => self.seen == nth,
            None => self.seen > self.offset && (self.seen - self.offset) % self.every == 0,
        };
        let strikes = is_its_turn && self.struck < self.times && self.chance.is_none_or(happens);
        self.struck += u64::from(strikes);
        strikes
    }
}

/// By chance, from 0 for never to 1 for always.
fn happens(chance: f64) -> bool {
    // The standard library's hash keys are random: enough for chance.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let [high, low, ..] = random.to_be_bytes();
    f64::from(u16::from_be_bytes([high, low])) < chance * 65_536.0
}
