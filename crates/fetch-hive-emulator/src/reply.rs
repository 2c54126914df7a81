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

/// The connection is to be broken.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off as a fault asks")
    }
}

impl std::error::Error for Broken {}

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

/// Any reply, whole or cut.
pub(crate) fn raw(status: StatusCode, headers: &[(String, String)], body: Bytes, cut: Option<usize>) -> Reply {
    let length = body.len();
    let body = match cut {
        None => whole(body),
        Some(after) => {
            let leaving = Box::pin(tokio::time::sleep(Duration::from_millis(20)));
            Cut { piece: Some(body.slice(..after.min(length))), leaving }.boxed_unsync()
        }
    };
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

/// One piece, time for it to leave, then a break.
struct Cut {
    piece: Option<Bytes>,
    leaving: Pin<Box<Sleep>>,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.piece.take().filter(|piece| !piece.is_empty()) {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None => self.leaving.as_mut().poll(cx).map(|()| Some(Err(Broken))),
        }
    }
}
