use bytes::Bytes;
use fetch_hive_types::{ApiKey, WebhookSecret};
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::InvalidInput;

/// An `authorization` header with an API key, built once for many requests.
///
/// Its buffer is zeroed when the last clone of the header is dropped. `Debug` does not show the
/// key.
#[derive(Clone, Debug)]
pub struct KeyHeader(pub(crate) HeaderValue);

impl KeyHeader {
    /// Creates the header for an API key.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] for the field `api_key` when a header cannot carry the key.
    /// [`ApiKey::new`] already rejects such keys.
    pub fn new(key: &ApiKey) -> Result<Self, InvalidInput> {
        struct Bearer(ApiKey);

        impl AsRef<[u8]> for Bearer {
            fn as_ref(&self) -> &[u8] {
                self.0.bearer().as_bytes()
            }
        }

        sensitive("api_key", Bearer(key.clone())).map(Self)
    }
}

/// Creates the value of the header that carries a webhook secret.
pub(crate) fn webhook_secret_header(secret: &WebhookSecret) -> Result<HeaderValue, InvalidInput> {
    secret.check().map_err(|invalid| InvalidInput::new("webhook_secret", invalid.to_string()))?;
    sensitive("webhook_secret", Zeroizing::new(secret.expose().to_owned()))
}

/// Creates a header value that `Debug` does not show. Dropping the last clone drops `owner`, which
/// zeroes the buffer.
fn sensitive(field: &'static str, owner: impl AsRef<[u8]> + Send + 'static) -> Result<HeaderValue, InvalidInput> {
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(owner))
        .map_err(|_| InvalidInput::new(field, "contains a byte that a header cannot carry"))?;
    header.set_sensitive(true);
    Ok(header)
}
