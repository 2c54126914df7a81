use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// Why a secret was refused. Never holds the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// It is empty or holds nothing but blanks.
    Blank,
    /// It holds bytes that an HTTP header cannot carry: a control character such as a newline, or non-ASCII text.
    NotHeaderSafe,
}

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "must not be empty or blank",
            Self::NotHeaderSafe => {
                "holds a byte that an HTTP header cannot carry (a newline or another control character, or non-ASCII text)"
            }
        })
    }
}

impl std::error::Error for InvalidSecret {}

fn check(text: &str) -> Result<(), InvalidSecret> {
    if text.trim().is_empty() {
        Err(InvalidSecret::Blank)
    } else if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        Ok(())
    } else {
        Err(InvalidSecret::NotHeaderSafe)
    }
}

const BEARER: &str = "Bearer ";

/// An API key (`fhk_…`), sent as `Authorization: Bearer …` (contract, section 1).
///
/// `Debug` shows no part of it, and its buffer is zeroed when dropped. There is no `Display`: call [`ApiKey::expose`]
/// where the text is really needed. A copy stands in the header of each request while it is sent: it is marked as sensitive, and zeroed too.
/// Not zeroed are the buffers below: what the HTTP stack has written and TLS has not yet encrypted, a variable of the environment, and the
/// text that the key was made from, unless it was handed over as a `String`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// Takes a key after checking that it can be sent.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`] when the key is blank or holds bytes that a header cannot carry. The error does not show the
    /// key, and the refused text is zeroed.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidSecret> {
        let key = Zeroizing::new(key.into());
        check(&key)?;
        let mut header = Zeroizing::new(String::with_capacity(BEARER.len() + key.len()));
        header.push_str(BEARER);
        header.push_str(&key);
        Ok(Self(header))
    }

    /// The key as text.
    pub fn expose(&self) -> &str {
        &self.0[BEARER.len()..]
    }

    /// The value of the header `Authorization` that carries the key.
    pub fn bearer(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

/// The secret that signs callbacks of a deployment and authenticates webhook triggers (contract, section 4).
///
/// `Debug` shows no part of it, and its buffer is zeroed when dropped. It serialises as plain text, so that a reply
/// can be stored and read again: whoever can read the stored text can sign callbacks. The bytes of a reply that brought it, which a
/// reply keeps, hold a copy too.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<String>);

impl WebhookSecret {
    /// Takes a secret as given; a blank one verifies nothing and is refused where it would be used.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// The secret as text.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the secret can be used: not blank, and safe in a header.
    ///
    /// # Errors
    ///
    /// [`InvalidSecret`], which does not show the secret.
    pub fn check(&self) -> Result<(), InvalidSecret> {
        check(&self.0)
    }
}

impl<T: Into<String>> From<T> for WebhookSecret {
    fn from(secret: T) -> Self {
        Self::new(secret)
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(redacted)")
    }
}

impl Serialize for WebhookSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WebhookSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_sent_are_refused_without_showing_them() {
        for (key, want) in [
            ("", InvalidSecret::Blank),
            (" \t\n", InvalidSecret::Blank),
            ("fhk_secret\n", InvalidSecret::NotHeaderSafe),
            ("fhk_sécret", InvalidSecret::NotHeaderSafe),
        ] {
            let error = ApiKey::new(key).unwrap_err();
            assert_eq!(error, want, "{key:?}");
            assert!(!format!("{error} {error:?}").contains("cret"), "{error}");
        }
        assert_eq!(format!("{:?}", ApiKey::new("fhk_secret").unwrap()), "ApiKey(redacted)");
    }

    #[test]
    fn a_webhook_secret_is_stored_but_never_printed() {
        let secret = WebhookSecret::new("whsec_x");
        assert_eq!(format!("{secret:?}"), "WebhookSecret(redacted)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"whsec_x\"");
    }
}
