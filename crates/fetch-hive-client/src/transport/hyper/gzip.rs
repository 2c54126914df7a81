use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};
use http_body::{Body, Frame};

use super::tracked::TrackedBody;
use crate::error::BoxError;
use crate::transport::body::ResponseBody;

/// The number of compressed bytes decoded at a time, so that a decompression bomb stops soon after
/// the client's limit.
const CHUNK_BYTES: usize = 4096;

/// Adds `accept-encoding: gzip`, unless the caller set that header.
pub(super) fn accept(headers: &mut HeaderMap) {
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
}

/// Decodes a gzip body, and removes the headers that describe its encoding.
pub(super) fn decode(response: http::Response<TrackedBody>) -> http::Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    let is_gzip = parts.headers.get(CONTENT_ENCODING).is_some_and(|encoding| {
        encoding.as_bytes().eq_ignore_ascii_case(b"gzip") || encoding.as_bytes().eq_ignore_ascii_case(b"x-gzip")
    });
    if !is_gzip || body.is_end_stream() {
        return http::Response::from_parts(parts, ResponseBody::hyper(body));
    }
    parts.headers.remove(CONTENT_ENCODING);
    parts.headers.remove(CONTENT_LENGTH);
    let decoded = GzipBody { body, compressed: Bytes::new(), decoder: Some(MultiGzDecoder::new(Vec::new())) };
    http::Response::from_parts(parts, ResponseBody::streaming(decoded))
}

/// A body that decodes another one as it arrives.
struct GzipBody {
    body: TrackedBody,
    compressed: Bytes,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
}

impl Body for GzipBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            let Some(decoder) = &mut this.decoder else { return Poll::Ready(None) };
            if !this.compressed.is_empty() {
                let chunk = this.compressed.split_to(CHUNK_BYTES.min(this.compressed.len()));
                if let Err(error) = decoder.write_all(&chunk).and_then(|()| decoder.flush()) {
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
                    Ok(compressed) => this.compressed = compressed,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(Some(Err(error))) => {
                    this.decoder = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) => {
                    // The checksum at the end distinguishes a complete body from a truncated one.
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
