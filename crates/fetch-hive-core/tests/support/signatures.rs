//! An independent, simple check of signature headers.

/// Returns whether a header contains this digest in an accepted encoding: hex in either case or
/// standard base64, with or without `sha256=`, alone or separated from others by commas, spaces or
/// tabs.
pub(crate) fn holds(header: &[u8], hex: &str, base64: &str) -> bool {
    let text = String::from_utf8_lossy(header).into_owned();
    text.split([',', ' ', '\t']).any(|part| {
        let part = part.strip_prefix("sha256=").unwrap_or(part);
        part.eq_ignore_ascii_case(hex) || part == base64
    })
}
