//! A second opinion on signature headers, written for being read, not for speed.

/// Whether a header holds this digest in one of the forms of the contract: hex in either case or standard base64, with or without `sha256=`,
/// alone or among others that are separated by commas or blanks.
pub(crate) fn holds(header: &[u8], hex: &str, base64: &str) -> bool {
    let text = String::from_utf8_lossy(header).into_owned();
    text.split([',', ' ', '\t']).any(|part| {
        let part = part.strip_prefix("sha256=").unwrap_or(part);
        part.eq_ignore_ascii_case(hex) || part == base64
    })
}
