use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http_body::{Body, Frame};

use super::tracked::TrackedBody;
use crate::error::BoxError;
use crate::transport::body::ResponseBody;
use crate::transport::encoding::{GZIP_MAGIC, take_gzip};

/// The number of compressed bytes decoded at a time, so that a decompression bomb stops soon after
/// the client's limit.
const CHUNK_BYTES: usize = 4096;

/// Decodes a gzip body, and removes the headers that describe its encoding.
pub(super) fn decode(response: http::Response<TrackedBody>) -> http::Response<ResponseBody> {
    let (mut parts, body) = response.into_parts();
    if body.is_end_stream() || !take_gzip(&mut parts.headers) {
        return http::Response::from_parts(parts, ResponseBody::hyper(body));
    }
    let decoder = Some(MultiGzDecoder::new(Vec::new()));
    let gzip_body =
        GzipBody { body, compressed: Bytes::new(), is_empty: true, decoder, is_plain: false, failure: None };
    http::Response::from_parts(parts, ResponseBody::streaming(gzip_body))
}

/// A body that decodes another one as it arrives.
struct GzipBody {
    body: TrackedBody,
    compressed: Bytes,
    /// Whether no compressed byte was received so far. An empty body is not invalid gzip.
    is_empty: bool,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    /// Whether the body is not compressed, although its header says so.
    is_plain: bool,
    /// The error that is returned after everything that was decoded before it.
    failure: Option<BoxError>,
}

impl Body for GzipBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        loop {
            if let Some(error) = this.failure.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(decoder) = &mut this.decoder else { return Poll::Ready(None) };
            if !this.compressed.is_empty() {
                let chunk = this.compressed.split_to(CHUNK_BYTES.min(this.compressed.len()));
                this.is_empty = false;
                let written = decoder.write_all(&chunk).and_then(|()| decoder.flush());
                let ready = std::mem::take(decoder.get_mut());
                if let Err(error) = written {
                    this.decoder = None;
                    this.failure = Some(error.into());
                }
                if !ready.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::data(ready.into()))));
                }
                continue;
            }
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(chunk) => {
                        this.is_plain |= this.is_empty && chunk.first().is_some_and(|byte| *byte != GZIP_MAGIC);
                        if this.is_plain {
                            this.is_empty = false;
                            return Poll::Ready(Some(Ok(Frame::data(chunk))));
                        }
                        this.compressed = chunk;
                    }
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(Some(Err(error))) => {
                    this.decoder = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                Poll::Ready(None) if this.is_empty || this.is_plain => {
                    this.decoder = None;
                    return Poll::Ready(None);
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
