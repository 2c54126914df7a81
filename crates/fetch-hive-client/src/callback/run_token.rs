use std::fmt;

use crate::BoxError;

/// Distinguishes the callback path of a run from other paths.
const PREFIX: &str = "run-";

/// The last segment of a run's callback URL, which is `run-` followed by 128 random bits in
/// hexadecimal.
///
/// A sender who does not know the token can neither cause deliveries to be held for the run nor end
/// the wait for it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RunToken(String);

impl RunToken {
    /// Creates a random token.
    ///
    /// # Errors
    ///
    /// Returns an error if the operating system cannot provide random numbers.
    pub fn random() -> Result<Self, BoxError> {
        let mut bits = [0; 16];
        fill_random(&mut bits)?;
        Ok(Self(format!("{PREFIX}{:032x}", u128::from_be_bytes(bits))))
    }

    /// Parses a token, or returns `None` if the text is not a valid token.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 32 && digits.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// Parses the last segment of a path as a token.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::parse(path.trim_end_matches('/').rsplit('/').next()?)
    }

    /// Returns the token as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the run's callback URL, which is the base URL with the token appended to its path.
    pub fn callback_url(&self, base_url: &str) -> String {
        let path_end = base_url.find(['?', '#']).unwrap_or(base_url.len());
        let (path, query) = base_url.split_at(path_end);
        format!("{}/{}{query}", path.trim_end_matches('/'), self.0)
    }
}

impl fmt::Debug for RunToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunToken(redacted)")
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn fill_random(bits: &mut [u8]) -> Result<(), BoxError> {
    getrandom::getrandom(bits).map_err(|error| error.to_string().into())
}

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn fill_random(_: &mut [u8]) -> Result<(), BoxError> {
    Err("needs random numbers, which this target does not provide".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_is_found_in_its_callback_url() {
        let token = RunToken::random().unwrap();
        assert!(token != RunToken::random().unwrap());
        for base_url in
            ["https://example.com", "https://example.com/", "https://example.com/a/b/", "http://localhost:1/a?x=/y"]
        {
            let url: http::Uri = token.callback_url(base_url).parse().unwrap();
            assert_eq!(RunToken::from_path(url.path()).as_ref(), Some(&token), "{url}");
        }
        assert!(token.callback_url("http://localhost:1/a?x=/y").ends_with("?x=/y"));
        for path in ["", "/", "/callbacks", "/run-", "/run-0123", &format!("/{}/x", token.as_str())] {
            assert_eq!(RunToken::from_path(path), None, "{path}");
        }
        assert_eq!(RunToken::parse(&token.as_str().to_uppercase()), None);
        assert!(!format!("{token:?}").contains(&token.as_str()[PREFIX.len()..]));
    }
}
