use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use crate::faults::callback::CallbackFault;
use crate::http::takeover::ConnectionEnd;

/// A fault that the emulator injects, such as an error response, a broken connection or a callback
/// with a bad signature.
///
/// A fault applies to a connection before a request is read, to a request, or to the callbacks of a
/// run. A fault of a request is injected before the operation, or [after it](Fault::after_run). If
/// several faults match a request or a connection, the first one that applies is injected. All
/// faults that match a callback are injected.
///
/// A fault that can never apply, for example because its operation does not exist, is rejected when
/// it is parsed or added, or when the emulator starts.
///
/// ```
/// # use fetch_hive_emulator::Fault;
/// // A proxy's error page is the response to the second workflow invocation.
/// let fault = Fault::status(502)
///     .header("content-type", "text/html")
///     .body("<html>Bad gateway</html>")
///     .operation("invokeWorkflow")
///     .nth(2);
///
/// // The same fault as text, for the command line and the header `x-fetch-hive-fault`.
/// let text = "status=502 header=content-type:text/html body=<html>Bad_gateway</html> \
///     operation=invokeWorkflow nth=2";
/// let parsed: Fault = text.parse().unwrap();
/// assert_eq!(fault.to_string(), parsed.to_string());
///
/// // Every tenth callback is delivered twice. The first attempt of the third has a bad signature.
/// let callbacks = [
///     Fault::callback_redeliver(1).every(10),
///     Fault::callback_bad_signature().nth(3).first_attempts(1),
/// ];
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) action: Action,
    pub(crate) after_run: bool,
    /// The only operation that the fault applies to.
    pub(crate) operation: Option<String>,
    /// The only event type whose callbacks the fault applies to.
    pub(crate) event_type: Option<String>,
    /// The number of delivery attempts that the fault applies to.
    pub(crate) attempts: u32,
    pub(crate) nth: Option<u64>,
    pub(crate) every: u64,
    pub(crate) offset: u64,
    pub(crate) times: u64,
    pub(crate) chance: Option<f64>,
    /// How often the fault matched.
    matched: u64,
    /// How often the fault was injected.
    applied: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A response, either complete or truncated after a number of bytes of its body.
    Response { status: StatusCode, headers: Vec<(String, String)>, body: Bytes, cut: Option<(usize, ConnectionEnd)> },
    /// A delay before the request is handled.
    Delay(Duration),
    /// No response.
    Hang,
    /// A closed connection.
    Close,
    /// A reset HTTP/2 stream with an error code.
    ResetStream(u32),
    /// Raw bytes, and then the end of the connection.
    Raw(Bytes, ConnectionEnd),
    /// A fault of the connection before a request is read.
    Connection(ConnectionFault),
    /// A fault of the callbacks of a run.
    Callback(CallbackFault),
}

/// A fault of a connection before a request is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionFault {
    Reset,
    Silent,
    WrongName,
    Expired,
    UnknownIssuer,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self {
            action,
            after_run: false,
            operation: None,
            event_type: None,
            attempts: u32::MAX,
            nth: None,
            every: 1,
            offset: 0,
            times: u64::MAX,
            chance: None,
            matched: 0,
            applied: 0,
        }
    }

    /// Responds with a status. The body is empty unless [`body`](Fault::body) sets it.
    ///
    /// An invalid status becomes 500.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(Action::Response { status, headers: Vec::new(), body: Bytes::new(), cut: None })
    }

    /// Delays the response.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// Reads the request and never responds.
    pub fn hang() -> Self {
        Self::new(Action::Hang)
    }

    /// Reads the request and closes the connection without a response.
    pub fn close() -> Self {
        Self::new(Action::Close)
    }

    /// Reads the request and resets the connection without a response.
    pub fn reset() -> Self {
        Self::new(Action::Raw(Bytes::new(), ConnectionEnd::Reset))
    }

    /// Writes raw bytes instead of a response, and closes the connection.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::new(Action::Raw(bytes.into(), ConnectionEnd::Close))
    }

    /// Responds with bytes that are not HTTP.
    pub fn garbage() -> Self {
        Self::raw("220 mail.example.com ESMTP\r\n")
    }

    /// Closes the connection in the middle of the response head (HTTP/1.1 only).
    pub fn cut_head() -> Self {
        Self::raw("HTTP/1.1 200 OK\r\ncontent-ty")
    }

    /// Sends a GOAWAY frame and closes the connection (HTTP/2 only).
    ///
    /// If `processed` is `true`, the frame allows that the request was processed. Otherwise it
    /// states that no request on the connection was processed, so use it on a connection without
    /// other requests.
    pub fn go_away(processed: bool) -> Self {
        let last: u32 = if processed { 0x7fff_ffff } else { 0 };
        let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
        frame.extend_from_slice(&last.to_be_bytes());
        frame.extend_from_slice(&0_u32.to_be_bytes());
        Self::raw(frame)
    }

    /// Resets the stream of the request (HTTP/2 only) with an error code of RFC 9113, section 7.
    ///
    /// For example, 2 is an internal error, and 7 means that the request was not processed.
    pub fn reset_stream(error_code: u32) -> Self {
        Self::new(Action::ResetStream(error_code))
    }

    /// Resets a new connection when its first bytes arrive, without reading them.
    ///
    /// With TLS, the connection is reset before the handshake.
    pub fn reset_connection() -> Self {
        Self::new(Action::Connection(ConnectionFault::Reset))
    }

    /// Accepts a connection and never sends anything, not even a TLS handshake.
    pub fn silent_connection() -> Self {
        Self::new(Action::Connection(ConnectionFault::Silent))
    }

    /// Presents a certificate for a different host name (TLS only).
    pub fn wrong_certificate_name() -> Self {
        Self::new(Action::Connection(ConnectionFault::WrongName))
    }

    /// Presents an expired certificate (TLS only).
    pub fn expired_certificate() -> Self {
        Self::new(Action::Connection(ConnectionFault::Expired))
    }

    /// Presents a certificate from an unknown authority (TLS only).
    pub fn unknown_issuer() -> Self {
        Self::new(Action::Connection(ConnectionFault::UnknownIssuer))
    }

    /// Delivers the callback before the response to the invocation is sent.
    ///
    /// The selection counts accepted runs instead of events.
    pub fn callback_early() -> Self {
        Self::new(Action::Callback(CallbackFault::Early))
    }

    /// Delays the first delivery attempt of the callback.
    pub fn callback_late(delay: Duration) -> Self {
        Self::new(Action::Callback(CallbackFault::Late(delay)))
    }

    /// Delivers the callback this many more times after the receiver accepted it.
    pub fn callback_redeliver(times: u32) -> Self {
        Self::new(Action::Callback(CallbackFault::Redeliver(times)))
    }

    /// Delivers the callback after another one, or after 5 s if there is no other callback.
    pub fn callback_reorder() -> Self {
        Self::new(Action::Callback(CallbackFault::Reorder))
    }

    /// Flips one bit of the callback's body after it was signed.
    pub fn callback_corrupt() -> Self {
        Self::new(Action::Callback(CallbackFault::Corrupt))
    }

    /// Signs the callback with a different secret.
    pub fn callback_bad_signature() -> Self {
        Self::new(Action::Callback(CallbackFault::BadSignature))
    }

    /// Sends the callback without a signature.
    pub fn callback_unsigned() -> Self {
        Self::new(Action::Callback(CallbackFault::Unsigned))
    }

    /// Never delivers the callback.
    pub fn callback_lost() -> Self {
        Self::new(Action::Callback(CallbackFault::Lost))
    }

    /// Sets the response body of a [`status`](Fault::status) fault.
    #[must_use]
    pub fn body(mut self, text: impl Into<Bytes>) -> Self {
        if let Action::Response { body, .. } = &mut self.action {
            *body = text.into();
        }
        self
    }

    /// Adds a response header to a [`status`](Fault::status) fault.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Action::Response { headers, .. } = &mut self.action {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Closes the connection after this many bytes of the body of a [`status`](Fault::status)
    /// fault.
    ///
    /// The `Content-Length` header has the length of the whole body.
    #[must_use]
    pub fn cut_after(self, bytes: usize) -> Self {
        self.cut(bytes, ConnectionEnd::Close)
    }

    /// Resets the connection after this many bytes of the body of a [`status`](Fault::status)
    /// fault.
    #[must_use]
    pub fn reset_after(self, bytes: usize) -> Self {
        self.cut(bytes, ConnectionEnd::Reset)
    }

    /// Stops sending after this many bytes of the body of a [`status`](Fault::status) fault.
    ///
    /// The connection stays open.
    #[must_use]
    pub fn stall_after(self, bytes: usize) -> Self {
        self.cut(bytes, ConnectionEnd::Hang)
    }

    fn cut(mut self, bytes: usize, end: ConnectionEnd) -> Self {
        if let Action::Response { cut, .. } = &mut self.action {
            *cut = Some((bytes, end));
        }
        self
    }

    /// Injects the fault after the operation instead of before it.
    ///
    /// The run starts, but its response is lost.
    #[must_use]
    pub fn after_run(mut self) -> Self {
        self.after_run = true;
        self
    }

    /// Limits the fault to one operation, by its id in [`OPENAPI`](crate::OPENAPI).
    ///
    /// A callback fault applies to the runs that the operation started. A connection fault has no
    /// operation.
    #[must_use]
    pub fn operation(mut self, id: impl Into<String>) -> Self {
        self.operation = Some(id.into());
        self
    }

    /// Limits a callback fault to one event type, such as `workflow.completed`.
    ///
    /// It is invalid for [`callback_early`](Self::callback_early), which counts runs.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Limits a callback fault to the first delivery attempts of each callback.
    ///
    /// Later attempts are correct. It is valid only for
    /// [`callback_corrupt`](Self::callback_corrupt),
    /// [`callback_bad_signature`](Self::callback_bad_signature) and
    /// [`callback_unsigned`](Self::callback_unsigned).
    #[must_use]
    pub fn first_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Limits the fault to the nth matching request, connection or event, counted from 1.
    ///
    /// A fault does not count the matches to which an earlier fault was applied.
    ///
    /// It cannot be combined with [`every`](Self::every) or [`offset`](Self::offset).
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Limits the fault to every nth match. The minimum is 1.
    #[must_use]
    pub fn every(mut self, nth: u64) -> Self {
        self.every = nth.max(1);
        self
    }

    /// Skips the first matches.
    ///
    /// For example, `every(10).offset(3)` selects the 13th match, the 23rd and so on.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Limits how often the fault is injected in total.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Injects the fault with a probability between 0.0 (never) and 1.0 (always).
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = Some(chance);
        self
    }

    /// Counts a match, and returns whether the fault is injected this time.
    pub(crate) fn applies(&mut self) -> bool {
        self.matched += 1;
        let is_selected = match self.nth {
            Some(nth) => self.matched == nth,
            None => self.matched > self.offset && (self.matched - self.offset) % self.every == 0,
        };
        let applies = is_selected && self.applied < self.times && self.chance.is_none_or(random_with_chance);
        self.applied += u64::from(applies);
        applies
    }
}

fn random_with_chance(chance: f64) -> bool {
    // The standard library seeds its hash keys at random.
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let [high, low, ..] = random.to_be_bytes();
    f64::from(u16::from_be_bytes([high, low])) < chance * 65_536.0
}
