use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// An error that occurs when a secret cannot be sent. It does not contain the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// The secret is empty or consists of whitespace.
    Blank,
    /// The secret has a byte that an HTTP header must not contain.
    ///
    /// Such a byte is a control character, for example a newline, or part of a non-ASCII character.
    NotHeaderSafe,
    /// The API key contains whitespace.
    Whitespace,
    /// The API key is enclosed in quotes, for example because a file of environment variables was
    /// read without interpreting its quotes.
    Quoted,
    /// The API key begins with `Bearer`, which is added to the header automatically.
    BearerPrefix,
    /// The API key is the name of a variable or a placeholder, such as `${FETCH_HIVE_API_KEY}`,
    /// `FETCH_HIVE_API_KEY=…` or `undefined`.
    Placeholder,
}

impl fmt::Display for InvalidSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blank => "must not be empty or blank",
            Self::Whitespace => "must not contain whitespace",
            Self::Quoted => "must not be in quotes: remove them",
            Self::BearerPrefix => "must not begin with `Bearer`: remove it, because it is added automatically",
            Self::Placeholder => "must be the key itself, and not the name of a variable or a placeholder",
            Self::NotHeaderSafe => {
                "must be printable ASCII; it has a control character such as a newline, or a non-ASCII character"
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

/// Checks an API key that has no whitespace around it.
fn check_key(key: &str) -> Result<(), InvalidSecret> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201f}');
    if key.starts_with(is_quote) || key.ends_with(is_quote) {
        return Err(InvalidSecret::Quoted);
    }
    let is_bearer = |word: &str| word.eq_ignore_ascii_case(BEARER.trim_end());
    if key.split([' ', ':', '\t']).next().is_some_and(is_bearer) {
        return Err(InvalidSecret::BearerPrefix);
    }
    let is_name = |word: &str| ["undefined", "null", "none"].iter().any(|name| word.eq_ignore_ascii_case(name));
    if key.starts_with('$') || key.contains("FETCH_HIVE_API_KEY") || is_name(key) {
        return Err(InvalidSecret::Placeholder);
    }
    check(key)?;
    if key.contains(' ') { Err(InvalidSecret::Whitespace) } else { Ok(()) }
}

/// Returns a secret without the whitespace and the byte-order mark that a file may add to it.
fn trim(secret: &str) -> &str {
    secret.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// An API key, such as `fhk_…`, which authenticates requests.
///
/// It is sent as `Authorization: Bearer fhk_…`. See the [contract](crate::contract#authentication).
///
/// `Debug` does not show the key, and there is no `Display`; use [`expose`](Self::expose) to read
/// it. The key is zeroed in memory when it is dropped, and so is the copy in the header of each
/// request. Other copies are not zeroed: the write buffers of the HTTP stack, environment
/// variables, and the text that the key was created from, unless it was passed as a `String`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// Creates an API key, and checks that it can be sent in a header.
    ///
    /// Whitespace around the key is removed, for example the newline at the end of a file.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidSecret`] if the key is blank, is not printable ASCII, contains whitespace,
    /// is enclosed in quotes, or begins with `Bearer`. The error does not show the key, and the
    /// rejected text is zeroed.
    pub fn new(key: impl Into<String>) -> Result<Self, InvalidSecret> {
        let key = Zeroizing::new(key.into());
        let key = trim(&key);
        if key.is_empty() {
            return Err(InvalidSecret::Blank);
        }
        check_key(key)?;
        let mut header = Zeroizing::new(String::with_capacity(BEARER.len() + key.len()));
        header.push_str(BEARER);
        header.push_str(key);
        Ok(Self(header))
    }

    /// Returns the key as a string slice.
    pub fn expose(&self) -> &str {
        &self.0[BEARER.len()..]
    }

    /// Returns the value of the `Authorization` header for the key.
    pub fn bearer(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(redacted)")
    }
}

/// A webhook secret, which signs callbacks and authenticates webhook triggers.
///
/// Each deployment has a secret, which the dashboard shows. The response to a run with callback
/// delivery contains it, too. See the [contract](crate::contract#callbacks).
///
/// `Debug` does not show the secret, and it is zeroed in memory when it is dropped. It is
/// serialized as plain text, so that a response can be stored: anyone who can read the stored text
/// can sign callbacks. The raw body of a response contains a copy of the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<String>);

impl WebhookSecret {
    /// Creates a secret from a string, without checking it.
    ///
    /// A blank secret is rejected when it is used.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(Zeroizing::new(secret.into()))
    }

    /// Returns the secret as a string slice.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Checks that the secret is not blank and can be sent in a header.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidSecret`] if it cannot be sent. The error does not show the secret.
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
    fn invalid_keys_are_rejected_and_not_shown() {
        for (key, want) in [
            ("", InvalidSecret::Blank),
            (" \t\n", InvalidSecret::Blank),
            ("\"fhk_secret\"", InvalidSecret::Quoted),
            ("fhk_secret'", InvalidSecret::Quoted),
            ("Bearer fhk_secret", InvalidSecret::BearerPrefix),
            ("bearer: fhk_secret", InvalidSecret::BearerPrefix),
            ("Bearer", InvalidSecret::BearerPrefix),
            ("fhk secret", InvalidSecret::Whitespace),
            ("fhk_secret\nfhk_other", InvalidSecret::NotHeaderSafe),
            ("fhk_sécret", InvalidSecret::NotHeaderSafe),
        ] {
            let error = ApiKey::new(key).unwrap_err();
            assert_eq!(error, want, "{key:?}");
            assert!(!format!("{error} {error:?}").contains("cret"), "{error}");
        }
        assert_eq!(format!("{:?}", ApiKey::new("fhk_secret").unwrap()), "ApiKey(redacted)");
        for key in ["fhk_secret\n", " fhk_secret\r\n", "\u{feff}fhk_secret\t", "\u{a0}fhk_secret"] {
            assert_eq!(ApiKey::new(key).unwrap().bearer(), "Bearer fhk_secret", "{key:?}");
        }
    }

    #[test]
    fn webhook_secret_is_serialized_but_not_printed() {
        let secret = WebhookSecret::new("whsec_x");
        assert_eq!(format!("{secret:?}"), "WebhookSecret(redacted)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"whsec_x\"");
    }
}
