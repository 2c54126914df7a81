use fetch_hive_types::AssetFile;
use hmac_sha256::Hash;
use http::HeaderValue;

use crate::{Body, InvalidInput};

/// Creates a multipart form with one file.
///
/// The boundary is a digest of the file. It does not occur in the content, and the same file always
/// results in the same body.
pub(crate) fn file(part: &'static str, file: &AssetFile) -> Result<Body, InvalidInput> {
    let mut digest = Hash::new();
    digest.update(&file.name);
    digest.update(&file.content);
    let boundary =
        digest.finalize()[..16].iter().fold(String::from("fetch-hive-"), |text, byte| text + &format!("{byte:02x}"));
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"{part}\"; filename=\"{}\"\r\ncontent-type: {}\r\n\r\n",
        escaped(&file.name),
        file.media_type,
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let mut bytes = Vec::with_capacity(head.len() + file.content.len() + tail.len());
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(&file.content);
    bytes.extend_from_slice(tail.as_bytes());
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
        .map_err(|_| InvalidInput::new("file", "cannot be sent as a multipart form"))?;
    Ok(Body::new(content_type, bytes))
}

/// Escapes a file name for use in quotes, as browsers do.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
