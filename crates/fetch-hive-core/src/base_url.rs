use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

use crate::InvalidInput;
use crate::url::check_url;

/// The base URL of the hosted service.
pub const DEFAULT_BASE_URL: &str = "https://api.fetchhive.com/v1";

/// A validated base URL without a trailing slash.
///
/// The default is [`DEFAULT_BASE_URL`]. Plain HTTP would send the API key unencrypted, so it is
/// rejected for all hosts except loopback hosts. [`BaseUrl::allow_plain_http`] disables this check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    scheme: Scheme,
    authority: Authority,
}

impl BaseUrl {
    /// Parses an `https` base URL, or an `http` base URL of a loopback host.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] for the field `base_url` when the URL has no scheme or host, has
    /// credentials, a query, a fragment or an invalid path, or uses plain HTTP for a host that is
    /// not loopback.
    pub fn new(url: &str) -> Result<Self, InvalidInput> {
        Self::parse(url, false)
    }

    /// Parses a base URL and allows plain HTTP for all hosts.
    ///
    /// With plain HTTP, the API key is sent unencrypted over the network.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidInput`] for the field `base_url` when the URL has no scheme or host, or has
    /// credentials, a query, a fragment or an invalid path.
    pub fn allow_plain_http(url: &str) -> Result<Self, InvalidInput> {
        Self::parse(url, true)
    }

    fn parse(url: &str, allow_plain_http: bool) -> Result<Self, InvalidInput> {
        let url = url.trim().trim_end_matches('/');
        let (scheme, authority) =
            check_url("base_url", url, allow_plain_http, "allow_plain_http allows plain http for any host")?;
        if url.contains(['?', '#']) {
            return Err(InvalidInput::new("base_url", "must not have a query or a fragment"));
        }
        let path = url.get(scheme.as_str().len() + "://".len() + authority.as_str().len()..).unwrap_or_default();
        if !path.bytes().all(|byte| byte.is_ascii_graphic() && !b"{}<>\"\\^`|".contains(&byte)) {
            return Err(InvalidInput::new("base_url", "has a path with a character that a URL cannot contain"));
        }
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(InvalidInput::new("base_url", "must not have `.` or `..` in its path"));
        }
        if path.ends_with("/invoke") {
            return Err(InvalidInput::new("base_url", "must end before the path of an operation, such as in `…/v1`"));
        }
        Ok(Self { text: url.to_owned(), scheme, authority })
    }

    /// Returns whether a URL has the same origin and is below this path.
    pub(crate) fn contains(&self, uri: &Uri) -> bool {
        let is_below = uri.path().strip_prefix(self.path()).is_some_and(|rest| rest.starts_with('/'));
        uri.scheme() == Some(&self.scheme) && uri.authority() == Some(&self.authority) && is_below
    }

    /// Returns the path, without a trailing slash.
    pub(crate) fn path(&self) -> &str {
        let origin = self.scheme.as_str().len() + "://".len() + self.authority.as_str().len();
        self.text.get(origin..).unwrap_or_default()
    }

    /// Returns a URL with this origin and the given path, which includes the base path, and query.
    pub(crate) fn with(&self, path_and_query: String) -> Result<Uri, InvalidInput> {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = PathAndQuery::from_maybe_shared(Bytes::from(path_and_query)).ok();
        Uri::from_parts(parts).map_err(|_| InvalidInput::new("path", "does not form a valid URL with the base URL"))
    }

    /// Returns the URL as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for BaseUrl {
    fn default() -> Self {
        let authority = Authority::from_static("api.fetchhive.com");
        Self { text: DEFAULT_BASE_URL.to_owned(), scheme: Scheme::HTTPS, authority }
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for BaseUrl {
    type Err = InvalidInput;

    fn from_str(url: &str) -> Result<Self, InvalidInput> {
        Self::new(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_validated_and_trailing_slashes_removed() {
        for (url, kept) in [
            ("https://custom.example.com/api", "https://custom.example.com/api"),
            ("https://custom.example.com/api//", "https://custom.example.com/api"),
            ("http://127.0.0.1:80/v1/", "http://127.0.0.1:80/v1"),
            ("http://[::1]:80/v1", "http://[::1]:80/v1"),
            ("http://localhost", "http://localhost"),
        ] {
            let base = BaseUrl::new(url).unwrap();
            assert_eq!(base.as_str(), kept);
            assert_eq!(base.with(format!("{}/a?b=1", base.path())).unwrap().to_string(), format!("{kept}/a?b=1"));
        }
        for url in [
            "",
            "/",
            "api.fetchhive.com/v1",
            "https://",
            "https:///v1",
            "/v1",
            "ftp://example.com",
            "https://user:pw@example.com",
            "https://example.com?x=1",
            "https://example.com/#x",
            "https://exa mple.com",
            "http://example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "https://example.com:",
            "https://:443",
            "http://127.0.0.1:99999/v1",
            "https://example.com/v1\u{200b}",
            "https://example.com/{workspace}/v1",
            "https://example.com/v1/../admin",
            "https://example.com/v1/workflow/invoke",
            "https://example.com:0",
            "https://example.com:+443",
            "https://example.com:44 3",
            "http://::1/v1",
            "https://127.0.0.256",
            "https://a..example.com",
            "https://b\u{fc}cher.example",
            "\"https://example.com\"",
            "file:///v1",
        ] {
            let error = BaseUrl::new(url).expect_err(url);
            assert_eq!(error.field, "base_url");
            assert!(!error.to_string().contains("pw"), "{error}");
        }
        assert!(BaseUrl::allow_plain_http("http://10.0.0.1").is_ok());
        assert_eq!(BaseUrl::default(), BaseUrl::new(DEFAULT_BASE_URL).unwrap());
        assert!(BaseUrl::default().with("/v1/a b".to_owned()).is_err());
    }
}
