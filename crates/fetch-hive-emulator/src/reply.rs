use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::Sleep;

use crate::fault::End;
use crate::wire::Takeover;

/// The connection is to be broken.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) Option<h2::Error>);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off as a fault asks")
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // hyper takes the reason of a stream's reset from here.
        self.0.as_ref().map(|error| error as _)
    }
}

pub(crate) type Body = UnsyncBoxBody<Bytes, Broken>;
pub(crate) type Reply = Response<Body>;

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A JSON reply.
pub(crate) fn json_reply(status: u16, value: &Value) -> Reply {
    let mut reply = Response::new(whole(value.to_string().into()));
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    reply
}

/// A refusal in the documented shape; `code` is left out where it is empty.
pub(crate) fn refusal(status: u16, code: &str, error: &str) -> Reply {
    json_reply(
        status,
        &if code.is_empty() { json!({"error": error}) } else { json!({"error": error, "error_code": code}) },
    )
}

/// Any reply.
pub(crate) fn raw(status: StatusCode, headers: &[(String, String)], body: Bytes) -> Reply {
    let length = body.len();
    with_length(status, headers, whole(body), length)
}

/// A reply that ends after so many bytes of its body, whose length is announced whole.
pub(crate) fn cut(
    status: StatusCode,
    headers: &[(String, String)],
    body: &Bytes,
    (after, end): (usize, End),
    takeover: &Takeover,
) -> Reply {
    let leaving = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
    let piece = Some(body.slice(..after.min(body.len())));
    let cut = Cut { piece, leaving, end, takeover: takeover.clone() };
    with_length(status, headers, cut.boxed_unsync(), body.len())
}

fn with_length(status: StatusCode, headers: &[(String, String)], body: Body, length: usize) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            reply.headers_mut().insert(name, value);
        }
    }
    reply
}

/// One piece, time for it to leave, then the end.
struct Cut {
    piece: Option<Bytes>,
    leaving: Pin<Box<Sleep>>,
    end: End,
    takeover: Takeover,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(piece) = self.piece.take().filter(|piece| !piece.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        std::task::ready!(self.leaving.as_mut().poll(cx));
        match self.end {
            End::Close => Poll::Ready(Some(Err(Broken(None)))),
            End::Reset => {
                self.takeover.ask(Bytes::new(), End::Reset);
                Poll::Pending
            }
            End::Hang => Poll::Pending,
        }
    }
}
