//! Responses, complete or truncated.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::Sleep;

use crate::http::takeover::{ConnectionEnd, Takeover};

/// The time between the last chunk and the end of a truncated body, so that the client reads it.
const LINGER: Duration = Duration::from_millis(20);

/// An error that makes the HTTP server break the connection or reset the stream.
#[derive(Debug)]
pub(crate) struct ConnectionBroken(pub(crate) Option<h2::Error>);

impl fmt::Display for ConnectionBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection broken by a fault")
    }
}

impl std::error::Error for ConnectionBroken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // hyper reads the reason of a stream reset from the source.
        self.0.as_ref().map(|error| error as _)
    }
}

pub(crate) type Body = UnsyncBoxBody<Bytes, ConnectionBroken>;
pub(crate) type Response = http::Response<Body>;

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Creates a JSON response.
pub(crate) fn json_response(status: u16, value: &Value) -> Response {
    let mut response = http::Response::new(full(value.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// Creates an error response of the documented form. An empty `code` is omitted.
pub(crate) fn error_response(status: u16, code: &str, error: &str) -> Response {
    json_response(
        status,
        &if code.is_empty() { json!({"error": error}) } else { json!({"error": error, "error_code": code}) },
    )
}

/// Creates a response with the given headers and body.
pub(crate) fn raw_response(status: StatusCode, headers: &[(String, String)], body: Bytes) -> Response {
    let length = body.len();
    with_length(status, headers, full(body), length)
}

/// Creates a response whose body ends early, although `Content-Length` has the full length.
pub(crate) fn truncated_response(
    status: StatusCode,
    headers: &[(String, String)],
    body: &Bytes,
    (after, end): (usize, ConnectionEnd),
    takeover: &Takeover,
) -> Response {
    let linger = Box::pin(tokio::time::sleep(LINGER));
    let chunk = Some(body.slice(..after.min(body.len())));
    let truncated = TruncatedBody { chunk, linger, end, takeover: takeover.clone() };
    with_length(status, headers, truncated.boxed_unsync(), body.len())
}

fn with_length(status: StatusCode, headers: &[(String, String)], body: Body, length: usize) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// A body that consists of one chunk and then ends the connection.
struct TruncatedBody {
    chunk: Option<Bytes>,
    linger: Pin<Box<Sleep>>,
    end: ConnectionEnd,
    takeover: Takeover,
}

impl http_body::Body for TruncatedBody {
    type Data = Bytes;
    type Error = ConnectionBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionBroken>>> {
        if let Some(chunk) = self.chunk.take().filter(|chunk| !chunk.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        std::task::ready!(self.linger.as_mut().poll(cx));
        match self.end {
            ConnectionEnd::Close => Poll::Ready(Some(Err(ConnectionBroken(None)))),
            ConnectionEnd::Reset => {
                self.takeover.request(Bytes::new(), ConnectionEnd::Reset);
                Poll::Pending
            }
            ConnectionEnd::Hang => Poll::Pending,
        }
    }
}
