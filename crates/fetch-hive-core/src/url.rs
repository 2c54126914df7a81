//! URLs that callers give: the base URL of the service, and callback URLs.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};

use crate::InvalidInput;

/// The base URL of the service (contract, section 1).
pub const DEFAULT_BASE_URL: &str = "https://api.fetchhive.com/v1";

/// A checked base URL without a trailing slash. The default is [`DEFAULT_BASE_URL`].
///
/// Plain http sends the API key in the clear, so it is refused for every host that is not loopback, unless
/// [`BaseUrl::allow_plain_http`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    scheme: Scheme,
    authority: Authority,
}

impl BaseUrl {
    /// Takes an `https` base URL, or an `http` one of a loopback host.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `base_url`: no scheme or host, credentials, a query or a fragment, or plain http beyond loopback.
    pub fn new(url: &str) -> Result<Self, InvalidInput> {
        Self::checked(url, false)
    }

    /// As [`BaseUrl::new`], and takes plain http to any host: the API key then crosses the network in the clear.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`] for `base_url`.
    pub fn allow_plain_http(url: &str) -> Result<Self, InvalidInput> {
        Self::checked(url, true)
    }

    fn checked(url: &str, plain_http: bool) -> Result<Self, InvalidInput> {
        let url = url.trim().trim_end_matches('/');
        let (scheme, authority) = check("base_url", url, plain_http)?;
        if url.contains(['?', '#']) {
            return Err(InvalidInput::new("base_url", "must not have a query or a fragment"));
        }
        Ok(Self { text: url.to_owned(), scheme, authority })
    }

    /// Whether a URL leads to the same host, below this path.
    pub(crate) fn is_above(&self, uri: &Uri) -> bool {
        let below = uri.path().strip_prefix(self.path()).is_some_and(|rest| rest.starts_with('/'));
        uri.scheme() == Some(&self.scheme) && uri.authority() == Some(&self.authority) && below
    }

    /// The path, without a trailing slash.
    pub(crate) fn path(&self) -> &str {
        let origin = self.scheme.as_str().len() + "://".len() + self.authority.as_str().len();
        self.text.get(origin..).unwrap_or_default()
    }

    /// The URL of a path, which begins with that of the base URL, and of a query.
    pub(crate) fn with(&self, path_and_query: String) -> Result<Uri, InvalidInput> {
        let mut parts = Parts::default();
        (parts.scheme, parts.authority) = (Some(self.scheme.clone()), Some(self.authority.clone()));
        parts.path_and_query = PathAndQuery::from_maybe_shared(Bytes::from(path_and_query)).ok();
        Uri::from_parts(parts).map_err(|_| InvalidInput::new("path", "together with the base URL is no URL"))
    }

    /// The URL as text, without a trailing slash.
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

/// Refuses a callback URL that the service could not, or must not, deliver to: https only, plain http for loopback.
pub(crate) fn check_callback_url(field: &'static str, url: Option<&str>) -> Result<(), InvalidInput> {
    match url {
        None | Some("") => Err(InvalidInput::new(field, "is required for callback delivery")),
        Some(url) => check(field, url, false).map(drop),
    }
}

fn check(field: &'static str, url: &str, plain_http: bool) -> Result<(Scheme, Authority), InvalidInput> {
    let refuse = |reason: &'static str| Err(InvalidInput::new(field, reason));
    if url.is_empty() {
        return refuse("must not be empty");
    }
    let Ok(uri) = url.parse::<Uri>() else { return refuse("is not a URL") };
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return refuse("must be an absolute URL with a scheme and a host, such as https://example.com");
    };
    if authority.host().is_empty() || authority.as_str().ends_with(':') {
        return refuse("must have a host, and a number where it names a port");
    }
    if authority.as_str().contains('@') {
        return refuse("must not hold a user name or a password");
    }
    match scheme.as_str() {
        "https" => Ok((scheme, authority)),
        "http" if plain_http || is_loopback(authority.host()) => Ok((scheme, authority)),
        "http" => refuse("must be https: plain http is accepted for loopback hosts only"),
        _ => refuse("must be an https URL"),
    }
}

/// Whether a host, as it stands in a URL, names this machine.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_are_checked_and_lose_their_trailing_slashes() {
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
