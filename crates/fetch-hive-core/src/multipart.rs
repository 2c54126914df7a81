use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use fetch_hive_types::{AssetFile, FileContent};
use http::HeaderValue;

use crate::{Body, BodyPiece, InvalidInput, RequestBody};

/// Creates a multipart form with one file.
pub(crate) fn file(part: &'static str, file: &AssetFile) -> Result<Body, InvalidInput> {
    let boundary = boundary(&file.content);
    let head = format!(
        "--{boundary}\r\ncontent-disposition: form-data; name=\"{part}\"; filename=\"{}\"\r\ncontent-type: {}\r\n\r\n",
        escaped(&file.name),
        file.media_type,
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let content = match &file.content {
        FileContent::Bytes(bytes) => BodyPiece::Bytes(Bytes::from_owner(SharedBytes(Arc::clone(bytes)))),
        FileContent::OnDisk(file) => BodyPiece::File(file.clone()),
    };
    let content_type = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
        .map_err(|_| InvalidInput::new("file", "cannot be sent as a multipart form"))?;
    let body = RequestBody::pieces(vec![BodyPiece::Bytes(head.into()), content, BodyPiece::Bytes(tail.into())]);
    Ok(Body::new(content_type, body))
}

/// Returns a boundary that the content does not contain.
///
/// The random bits are predictable on `wasm32-unknown-unknown`, where files are always in memory.
fn boundary(content: &FileContent) -> String {
    loop {
        let boundary = format!("fetch-hive-{:016x}{:016x}", random_bits(), random_bits());
        match content {
            FileContent::Bytes(bytes) if memchr::memmem::find(bytes, boundary.as_bytes()).is_some() => {}
            _ => return boundary,
        }
    }
}

struct SharedBytes(Arc<Vec<u8>>);

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Returns 64 bits that a file does not contain by chance. The standard library's hash keys are
/// random in each process of most platforms, and change with each use.
fn random_bits() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Escapes a file name for use in quotes, as browsers do.
fn escaped(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
