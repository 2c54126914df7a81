use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use super::idle::Tracked;
use crate::{BoxError, ResponseBody};

/// How much is unpacked at a time, so that a small body that unpacks to a huge one stops soon after the client's limit.
const PIECE: usize = 4096;

/// Says that gzip is understood, unless the caller says what is.
pub(super) fn accept(headers: &mut HeaderMap) {
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
}

/// Undoes gzip, and with it the headers that belong to it.
pub(super) fn undo(response: http::Response<Tracked>) -> http::Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    let packed = parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| {
        encoding.as_bytes().eq_ignore_ascii_case(b"gzip") || encoding.as_bytes().eq_ignore_ascii_case(b"x-gzip")
    });
    if !packed || body.is_end_stream() {
        return http::Response::from_parts(parts, ResponseBody::hyper(body));
    }
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.remove(CONTENT_LENGTH);
    let unpacked = Unpacked { body, packed: Bytes::new(), decoder: Some(MultiGzDecoder::new(Vec::new())) };
    http::Response::from_parts(parts, ResponseBody::streaming(unpacked))
}

/// A body that unpacks another as it arrives.
struct Unpacked {
    body: Tracked,
    packed: Bytes,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
}

impl Body for Unpacked {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let Some(decoder) = &mut this.decoder else { return Poll::Ready(None) };
            if !this.packed.is_empty() {
                let piece = this.packed.split_to(PIECE.min(this.packed.len()));
                if let Err(error) = decoder.write_all(&piece).and_then(|()| decoder.flush()) {
                    this.decoder = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                let ready = std::mem::take(decoder.get_mut());
                if !ready.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(ready.into()))));
                }
                continue;
            }
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(packed) => this.packed = packed,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(Some(Err(error))) => {
                    this.decoder = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => {
                    // The checksum at the end tells a whole body from a cut one.
                    let rest = this.decoder.take().map(MultiGzDecoder::finish);
                    return Poll::Ready(match rest {
                        Some(Ok(rest)) if !rest.is_empty() => Some(Ok(Frame::data(rest.into()))),
                        Some(Err(error)) => Some(Err(error.into())),
                        _ => None,
                    });
                }
            }
        }
    }
}
