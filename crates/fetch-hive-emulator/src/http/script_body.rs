use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::Sleep;

use crate::config::script::{Script, ScriptStep};
use crate::http::response::{ConnectionBroken, Response};

/// Creates a response that streams a script. The stream is counted as open until it is dropped.
pub(crate) fn script_response(script: Script, open_streams: &Arc<AtomicUsize>) -> Response {
    open_streams.fetch_add(1, Ordering::SeqCst);
    let body = ScriptBody { script, wait: None, open_streams: Arc::clone(open_streams) };
    let mut response = http::Response::new(body.boxed_unsync());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    response
}

struct ScriptBody {
    script: Script,
    wait: Option<Pin<Box<Sleep>>>,
    open_streams: Arc<AtomicUsize>,
}

impl http_body::Body for ScriptBody {
    type Data = Bytes;
    type Error = ConnectionBroken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ConnectionBroken>>> {
        let this = &mut *self;
        loop {
            if let Some(wait) = &mut this.wait {
                std::task::ready!(wait.as_mut().poll(cx));
                this.wait = None;
            }
            match this.script.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(ScriptStep::Wait(time)) => this.wait = Some(Box::pin(tokio::time::sleep(time))),
                Some(ScriptStep::Disconnect) => return Poll::Ready(Some(Err(ConnectionBroken(None)))),
                Some(ScriptStep::Write(mut bytes)) => {
                    let chunk = bytes.split_to(this.script.chunk_size.unwrap_or(bytes.len()).min(bytes.len()));
                    if !bytes.is_empty() {
                        this.script.steps.push_front(ScriptStep::Write(bytes));
                    }
                    if !chunk.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(chunk))));
                    }
                }
            }
        }
    }
}

impl Drop for ScriptBody {
    fn drop(&mut self) {
        self.open_streams.fetch_sub(1, Ordering::SeqCst);
    }
}
