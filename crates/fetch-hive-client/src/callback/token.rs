use std::fmt;

use crate::BoxError;

/// What stands before the random part, so that the path of a callback can be told from others.
const PREFIX: &str = "run-";

/// The last segment of the callback URL of one run: 128 random bits of the operating system, in hexadecimal digits. Who does not know it
/// can neither put anything aside for the run nor end the wait for it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Token(String);

impl Token {
    pub(super) fn random() -> Result<Self, BoxError> {
        let mut bits = [0; 16];
        fill(&mut bits)?;
        Ok(Self(format!("{PREFIX}{:032x}", u128::from_be_bytes(bits))))
    }

    /// Reads the text of a token.
    pub(super) fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (digits.len() == 32 && digits.bytes().all(is_digit)).then(|| Self(text.to_owned()))
    }

    /// The token at the end of a path.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        Self::read(path.trim_end_matches('/').rsplit('/').next()?)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The callback URL of the run: the token as a further segment of the base URL's path.
    pub(super) fn url(&self, base: &str) -> String {
        let end = base.find(['?', '#']).unwrap_or(base.len());
        let (path, rest) = base.split_at(end);
        format!("{}/{}{rest}", path.trim_end_matches('/'), self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn fill(bits: &mut [u8]) -> Result<(), BoxError> {
    getrandom::getrandom(bits).map_err(|error| error.to_string().into())
}

/// There is no operating system to ask.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn fill(_: &mut [u8]) -> Result<(), BoxError> {
    Err("there is no source of random numbers on this target".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_the_path_that_was_made_with_it() {
        let token = Token::random().unwrap();
        assert!(token != Token::random().unwrap());
        for base in
            ["https://example.com", "https://example.com/", "https://example.com/a/b/", "http://localhost:1/a?x=/y"]
        {
            let url: http::Uri = token.url(base).parse().unwrap();
            assert_eq!(Token::of_path(url.path()).as_ref(), Some(&token), "{url}");
        }
        assert!(token.url("http://localhost:1/a?x=/y").ends_with("?x=/y"));
        for path in ["", "/", "/callbacks", "/run-", "/run-0123", &format!("/{}/x", token.as_str())] {
            assert_eq!(Token::of_path(path), None, "{path}");
        }
        assert_eq!(Token::read(&token.as_str().to_uppercase()), None);
        assert!(!format!("{token:?}").contains(&token.as_str()[PREFIX.len()..]));
    }
}
