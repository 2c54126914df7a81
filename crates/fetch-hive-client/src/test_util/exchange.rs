use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HeaderName;
use http::{Method, Request, Response};
use http_body::{Body, Frame};
use serde_json::Value;

use crate::{ResponseBody, Timeout, TransportError, TransportErrorKind};

type Check = Arc<dyn Fn(&Request<Bytes>) -> Result<(), String> + Send + Sync>;

/// What is expected of one request, and what comes of it.
///
/// Without an expectation any request will do.
#[derive(Clone)]
#[must_use]
pub struct Exchange {
    checks: Vec<Check>,
    outcome: Outcome,
}

#[derive(Clone)]
enum Outcome {
    ApiResponse { status: u16, headers: Vec<(String, String)>, pieces: VecDeque<Bytes>, end: End },
    Fails(TransportErrorKind),
    Never,
}

/// How a body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
    Stalls,
}

impl Exchange {
    fn new(outcome: Outcome) -> Self {
        Self { checks: Vec::new(), outcome }
    }

    /// A reply with a status, and no body unless one is set.
    pub fn status(status: u16) -> Self {
        Self::new(Outcome::ApiResponse { status, headers: Vec::new(), pieces: VecDeque::new(), end: End::Whole })
    }

    /// No reply: the request surely never reached the service.
    pub fn not_sent() -> Self {
        Self::new(Outcome::Fails(TransportErrorKind::NotSent))
    }

    /// No reply: the request was sent, and the connection failed. It may have been processed.
    pub fn may_have_run() -> Self {
        Self::new(Outcome::Fails(TransportErrorKind::MayHaveRun))
    }

    /// No reply: a limit ran out.
    pub fn timeout(timeout: Timeout) -> Self {
        Self::new(Outcome::Fails(TransportErrorKind::Timeout(timeout)))
    }

    /// Nothing, ever. The timeouts of the call end it; with a [`PausedClock`](super::PausedClock), at once.
    pub fn never() -> Self {
        Self::new(Outcome::Never)
    }

    /// A header of the reply. Several of one name are all sent.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Outcome::ApiResponse { headers, .. } = &mut self.outcome {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// The body of the reply; called again, the next piece of it: each is read on its own, as a stream's are.
    pub fn body(mut self, piece: impl Into<Bytes>) -> Self {
        if let Outcome::ApiResponse { pieces, .. } = &mut self.outcome {
            pieces.push_back(piece.into());
        }
        self
    }

    /// Breaks the connection where the body set so far ends.
    pub fn cut(self) -> Self {
        self.ends(End::Cut)
    }

    /// Lets nothing come after the body set so far, and does not end it.
    pub fn stalls(self) -> Self {
        self.ends(End::Stalls)
    }

    fn ends(mut self, how: End) -> Self {
        if let Outcome::ApiResponse { end, .. } = &mut self.outcome {
            *end = how;
        }
        self
    }

    /// Expects a method, and a path with its query.
    pub fn expect(self, method: Method, path: impl Into<String>) -> Self {
        let path = path.into();
        self.expect_that(move |request| {
            let got = request.uri().path_and_query().map_or("", |path| path.as_str());
            if *request.method() == method && got == path {
                return Ok(());
            }
            Err(format!("expected {method} {path}, got {} {got}", request.method()))
        })
    }

    /// Expects a JSON body, given as a value or as a text; the order of members and white space do not matter.
    pub fn expect_json(self, want: impl Into<Value>) -> Self {
        let want = match want.into() {
            // No request is a bare string.
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            value => value,
        };
        self.expect_that(move |request| match serde_json::from_slice::<Value>(request.body()) {
            Ok(got) if got == want => Ok(()),
            Ok(got) => Err(format!("expected the body {want}, got {got}")),
            Err(error) => Err(format!("expected the body {want}, got no JSON: {error}")),
        })
    }

    /// Expects a header; where it is repeated, one of its values.
    pub fn expect_header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, want) = (name.into(), value.into());
        self.expect_that(move |request| {
            let Ok(name) = HeaderName::try_from(&name) else { return Err(format!("{name} is no name of a header")) };
            if request.headers().get_all(&name).iter().any(|value| value.as_bytes() == want.as_bytes()) {
                return Ok(());
            }
            // What came may be a secret, so it is not shown.
            Err(format!("expected another value of the header {name}"))
        })
    }

    /// Expects what a function looks for; its error says what is wrong.
    pub fn expect_that(
        mut self,
        check: impl Fn(&Request<Bytes>) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push(Arc::new(check));
        self
    }

    /// What is wrong with a request, if anything.
    pub(super) fn check(&self, request: &Request<Bytes>) -> Result<(), String> {
        self.checks.iter().try_for_each(|check| check(request))
    }

    /// Carries it out.
    pub(super) async fn outcome(&self) -> Result<Response<ResponseBody>, TransportError> {
        match &self.outcome {
            Outcome::Never => std::future::pending().await,
            Outcome::Fails(kind) => Err(match kind {
                TransportErrorKind::NotSent => TransportError::not_sent("the test says that it could not be sent"),
                TransportErrorKind::MayHaveRun => TransportError::may_have_run("the test says that the reply was lost"),
                TransportErrorKind::Timeout(timeout) => TransportError::timeout(*timeout),
            }),
            Outcome::ApiResponse { status, headers, pieces, end } => {
                let builder = headers
                    .iter()
                    .fold(Response::builder().status(*status), |builder, (name, value)| builder.header(name, value));
                let body = ResponseBody::streaming(Pieces { left: pieces.clone(), end: *end });
                builder.body(body).map_err(TransportError::may_have_run)
            }
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match &self.outcome {
            Outcome::ApiResponse { status, .. } => status.to_string(),
            Outcome::Fails(kind) => format!("{kind:?}"),
            Outcome::Never => "never".to_owned(),
        };
        f.debug_struct("Exchange")
            .field("expectations", &self.checks.len())
            .field("outcome", &outcome)
            .finish_non_exhaustive()
    }
}

/// A body that arrives in pieces.
struct Pieces {
    left: VecDeque<Bytes>,
    end: End,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match (self.left.pop_front(), self.end) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, End::Whole) => Poll::Ready(None),
            (None, End::Stalls) => Poll::Pending,
            (None, End::Cut) => {
                self.end = End::Whole;
                Poll::Ready(Some(Err("the test says that the connection broke")))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.end == End::Whole
    }
}
