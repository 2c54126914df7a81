/// A requirement of the contract of [`Transport`](fetch_hive_client::Transport).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// The transport returns a response for every HTTP status, including 4xx and 5xx.
    Statuses,
    /// The transport does not follow redirects.
    Redirects,
    /// The transport returns the response head before the body arrives.
    HeadersFirst,
    /// The transport returns each chunk of the body before the next one arrives.
    Streaming,
    /// The transport returns a large body completely and unchanged.
    LargeBody,
    /// The transport returns an error if the body is shorter than announced.
    TruncatedBody,
    /// The transport ends empty bodies, such as those of 204 and 304, and sends the next request.
    EmptyBody,
    /// The transport skips 1xx responses.
    Informational,
    /// The transport returns all values of a repeated response header, in order.
    RepeatedHeaders,
    /// The transport decodes every content encoding that it requests.
    Encoding,
    /// The transport sends the method, the path, the query and the headers unchanged.
    RequestHead,
    /// The transport sends the request body unchanged.
    Upload,
    /// The transport returns a response that arrives before the request body is sent.
    EarlyResponse,
    /// The transport does not store cookies.
    Cookies,
    /// The transport sends several requests concurrently.
    Concurrency,
    /// The transport reports a refused connection as not sent.
    ConnectionRefused,
    /// The transport reports a connection that fails after the request as one that may have run.
    LostResponse,
    /// The transport never sends a request twice.
    Retries,
    /// The transport enforces the connect timeout, including TLS, and reports that nothing was
    /// sent.
    ConnectTimeout,
    /// The transport closes the connection when the future is dropped.
    DropRequest,
    /// The transport closes the connection when the response body is dropped.
    DropBody,
    /// The transport enforces all timeouts itself, because dropping a future does not end its
    /// request.
    OwnTimeouts,
}

impl Check {
    /// All checks, in the order in which they run.
    pub const ALL: &'static [Self] = &[
        Self::Statuses,
        Self::Redirects,
        Self::HeadersFirst,
        Self::Streaming,
        Self::LargeBody,
        Self::TruncatedBody,
        Self::EmptyBody,
        Self::Informational,
        Self::RepeatedHeaders,
        Self::Encoding,
        Self::RequestHead,
        Self::Upload,
        Self::EarlyResponse,
        Self::Cookies,
        Self::Concurrency,
        Self::ConnectionRefused,
        Self::LostResponse,
        Self::Retries,
        Self::ConnectTimeout,
        Self::DropRequest,
        Self::DropBody,
        Self::OwnTimeouts,
    ];

    /// Returns the name of the check, such as `truncated-body`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Statuses => "statuses",
            Self::Redirects => "redirects",
            Self::HeadersFirst => "headers-first",
            Self::Streaming => "streaming",
            Self::LargeBody => "large-body",
            Self::TruncatedBody => "truncated-body",
            Self::EmptyBody => "empty-body",
            Self::Informational => "informational",
            Self::RepeatedHeaders => "repeated-headers",
            Self::Encoding => "encoding",
            Self::RequestHead => "request-head",
            Self::Upload => "upload",
            Self::EarlyResponse => "early-response",
            Self::Cookies => "cookies",
            Self::Concurrency => "concurrency",
            Self::ConnectionRefused => "connection-refused",
            Self::LostResponse => "lost-response",
            Self::Retries => "retries",
            Self::ConnectTimeout => "connect-timeout",
            Self::DropRequest => "drop-request",
            Self::DropBody => "drop-body",
            Self::OwnTimeouts => "own-timeouts",
        }
    }

    /// Returns the requirement as a short sentence without a final period.
    pub fn description(self) -> &'static str {
        match self {
            Self::Statuses => "every HTTP status is a response, including 4xx and 5xx",
            Self::Redirects => "redirects are not followed",
            Self::HeadersFirst => "the response head is returned before the body arrives",
            Self::Streaming => "each chunk of the body is returned before the next one arrives",
            Self::LargeBody => "a large body arrives completely and unchanged",
            Self::TruncatedBody => "a body that is shorter than announced is an error",
            Self::EmptyBody => "empty bodies end, and the next request succeeds",
            Self::Informational => "1xx responses are skipped",
            Self::RepeatedHeaders => "all values of a repeated response header are kept, in order",
            Self::Encoding => "every requested content encoding is decoded",
            Self::RequestHead => "the method, the path, the query and the headers are sent unchanged",
            Self::Upload => "the request body is sent unchanged",
            Self::EarlyResponse => "a response that arrives before the request body is sent is returned",
            Self::Cookies => "cookies are not stored",
            Self::Concurrency => "several requests are sent concurrently",
            Self::ConnectionRefused => "a refused connection is reported as not sent",
            Self::LostResponse => "a connection that fails after the request is reported as may have run",
            Self::Retries => "no request is sent twice",
            Self::ConnectTimeout => "the connect timeout is enforced, including TLS",
            Self::DropRequest => "dropping the future closes the connection",
            Self::DropBody => "dropping the response body closes the connection",
            Self::OwnTimeouts => "the transport enforces all timeouts itself",
        }
    }
}
