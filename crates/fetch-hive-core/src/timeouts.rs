use std::time::Duration;

/// The timeouts of one attempt to send a request.
///
/// The request carries them in its extensions. `None` means no timeout.
///
/// The client enforces them by dropping the attempt. A transport that cannot be interrupted by
/// dropping its future has to enforce them itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// The maximum time for name resolution, the TCP connection and the TLS handshake together.
    pub connect: Option<Duration>,
    /// The maximum time from the start of the attempt until the response headers have arrived.
    pub headers: Option<Duration>,
    /// The maximum time between two chunks of the response body.
    pub idle: Option<Duration>,
    /// The time that remains for the whole call, including the response body.
    pub deadline: Option<Duration>,
}
