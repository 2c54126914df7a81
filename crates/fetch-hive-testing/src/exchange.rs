use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use fetch_hive_client::{ResponseBody, Timeout, TransportError};
use http::header::HeaderName;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use serde_json::Value;

type Expectation = Arc<dyn Fn(&Request<Bytes>) -> Result<(), String> + Send + Sync>;

/// A prepared response or failure, with the expectations for the request that triggers it.
///
/// An exchange without expectations accepts any request.
#[derive(Clone)]
#[must_use]
pub struct Exchange {
    expectations: Vec<Expectation>,
    outcome: Outcome,
}

#[derive(Clone)]
enum Outcome {
    Response { status: u16, headers: Vec<(String, String)>, chunks: VecDeque<Bytes>, end: BodyEnd },
    NotSent,
    MayHaveRun,
    Timeout(Timeout),
    NeverResponds,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyEnd {
    Complete,
    Disconnect,
    Stall,
}

impl Exchange {
    fn new(outcome: Outcome) -> Self {
        Self { expectations: Vec::new(), outcome }
    }

    /// Creates an exchange that returns a response with the status and an empty body.
    pub fn status(status: u16) -> Self {
        let (headers, chunks) = (Vec::new(), VecDeque::new());
        Self::new(Outcome::Response { status, headers, chunks, end: BodyEnd::Complete })
    }

    /// Creates an exchange that fails before the request reaches the service.
    ///
    /// The client receives [`TransportError::not_sent`] and retries the request.
    pub fn not_sent() -> Self {
        Self::new(Outcome::NotSent)
    }

    /// Creates an exchange whose connection fails after the request was sent.
    ///
    /// The client receives [`TransportError::may_have_run`], because the service may have processed
    /// the request.
    pub fn may_have_run() -> Self {
        Self::new(Outcome::MayHaveRun)
    }

    /// Creates an exchange that fails with the timeout, without waiting for it.
    pub fn timeout(timeout: Timeout) -> Self {
        Self::new(Outcome::Timeout(timeout))
    }

    /// Creates an exchange that never returns a response.
    ///
    /// With a [`PausedClock`](crate::PausedClock), the timeout of the call ends it without real
    /// waiting.
    pub fn never_responds() -> Self {
        Self::new(Outcome::NeverResponds)
    }

    /// Appends a header to the response.
    ///
    /// Headers with the same name are all returned. The header is ignored if the exchange returns
    /// no response.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Outcome::Response { headers, .. } = &mut self.outcome {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Sets the whole body of the response as a single chunk.
    ///
    /// The body is ignored if the exchange returns no response.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        if let Outcome::Response { chunks, .. } = &mut self.outcome {
            chunks.clear();
            chunks.push_back(body.into());
        }
        self
    }

    /// Appends a chunk to the body of the response.
    ///
    /// The client reads each chunk separately, like the chunks of a stream. The chunk is ignored if
    /// the exchange returns no response.
    pub fn chunk(mut self, chunk: impl Into<Bytes>) -> Self {
        if let Outcome::Response { chunks, .. } = &mut self.outcome {
            chunks.push_back(chunk.into());
        }
        self
    }

    /// Fails the connection after the body, so that the response is incomplete.
    pub fn then_disconnect(self) -> Self {
        self.end(BodyEnd::Disconnect)
    }

    /// Keeps the response open after the body, without sending anything more.
    pub fn then_stall(self) -> Self {
        self.end(BodyEnd::Stall)
    }

    fn end(mut self, body_end: BodyEnd) -> Self {
        if let Outcome::Response { end, .. } = &mut self.outcome {
            *end = body_end;
        }
        self
    }

    /// Expects a request with the method and the path.
    ///
    /// The path includes the query, such as `/v1/error_codes?locale=es`.
    pub fn expect_request(self, method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        self.expect(move |request| {
            let got = request.uri().path_and_query().map_or("", |path| path.as_str());
            if *request.method() == method && got == path {
                return Ok(());
            }
            Err(format!("expected {method} {path}, got {} {got}", request.method()))
        })
    }

    /// Expects a request with the JSON body, given as a value or as text.
    ///
    /// The order of the members and the white space are not compared.
    pub fn expect_json(self, body: impl Into<Value>) -> Self {
        let want = match body.into() {
            // No request body is a bare string, so a string is JSON text.
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            value => value,
        };
        self.expect(move |request| match serde_json::from_slice::<Value>(request.body()) {
            Ok(got) if got == want => Ok(()),
            Ok(got) => Err(format!("expected the body {want}, got {got}")),
            Err(error) => Err(format!("expected the body {want}, got invalid JSON: {error}")),
        })
    }

    /// Expects a request with the header.
    ///
    /// If the header is repeated, one of its values must match.
    pub fn expect_header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, want) = (name.into(), value.into());
        self.expect(move |request| {
            let Ok(name) = HeaderName::try_from(&name) else { return Err(format!("invalid header name {name:?}")) };
            if request.headers().get_all(&name).iter().any(|value| value.as_bytes() == want.as_bytes()) {
                return Ok(());
            }
            // The values may be secrets, so the message contains neither of them.
            Err(format!("expected a different value of the header {name}"))
        })
    }

    /// Expects a request that passes the check.
    ///
    /// The `Err` of the check is the reason for the rejection. It becomes part of the
    /// [`Mismatch`](crate::Mismatch).
    pub fn expect(mut self, check: impl Fn(&Request<Bytes>) -> Result<(), String> + Send + Sync + 'static) -> Self {
        self.expectations.push(Arc::new(check));
        self
    }

    /// Checks the request against every expectation, and returns the first failure.
    pub(crate) fn check(&self, request: &Request<Bytes>) -> Result<(), String> {
        self.expectations.iter().try_for_each(|expectation| expectation(request))
    }

    /// Returns the prepared response or failure.
    pub(crate) async fn respond(&self) -> Result<Response<ResponseBody>, TransportError> {
        match &self.outcome {
            Outcome::NotSent => Err(TransportError::not_sent("simulated connection failure")),
            Outcome::MayHaveRun => Err(TransportError::may_have_run("simulated loss of the response")),
            Outcome::Timeout(timeout) => Err(TransportError::timeout(*timeout)),
            Outcome::NeverResponds => std::future::pending().await,
            Outcome::Response { status, headers, chunks, end } => {
                let builder = headers
                    .iter()
                    .fold(Response::builder().status(*status), |builder, (name, value)| builder.header(name, value));
                let body = ResponseBody::streaming(ChunkBody { remaining: chunks.clone(), end: *end });
                builder.body(body).map_err(TransportError::may_have_run)
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match &self.outcome {
            Outcome::Response { status, .. } => status.to_string(),
            Outcome::NotSent => "not sent".to_owned(),
            Outcome::MayHaveRun => "may have run".to_owned(),
            Outcome::Timeout(timeout) => format!("{timeout} timeout"),
            Outcome::NeverResponds => "never responds".to_owned(),
        };
        f.debug_struct("Exchange")
            .field("expectations", &self.expectations.len())
            .field("outcome", &outcome)
            .finish_non_exhaustive()
    }
}

/// A response body that yields prepared chunks.
struct ChunkBody {
    remaining: VecDeque<Bytes>,
    end: BodyEnd,
}

impl Body for ChunkBody {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match (self.remaining.pop_front(), self.end) {
            (Some(chunk), _) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            (None, BodyEnd::Complete) => Poll::Ready(None),
            (None, BodyEnd::Stall) => Poll::Pending,
            (None, BodyEnd::Disconnect) => {
                self.end = BodyEnd::Complete;
                Poll::Ready(Some(Err("simulated disconnect")))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining.is_empty() && self.end == BodyEnd::Complete
    }
}
