//! The headers of gzip, for every included transport.

use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderValue};

/// The first byte of a gzip stream, with which no JSON, page or event stream starts.
///
/// A proxy that decompresses a body may leave its header, so the body counts.
pub(super) const GZIP_MAGIC: u8 = 0x1f;

/// Adds `accept-encoding: gzip`, unless the caller set that header.
pub(super) fn accept_gzip(headers: &mut HeaderMap) {
    headers.entry(ACCEPT_ENCODING).or_insert(HeaderValue::from_static("gzip"));
}

/// Returns whether a body is compressed with gzip, and removes the headers that describe its
/// encoding.
pub(super) fn take_gzip(headers: &mut HeaderMap) -> bool {
    let is_gzip = headers.get(CONTENT_ENCODING).is_some_and(|encoding| {
        let encoding = encoding.as_bytes().trim_ascii();
        encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip")
    });
    if is_gzip {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
    is_gzip
}
