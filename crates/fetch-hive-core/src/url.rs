//! URLs that callers give: the base URL of the service, and callback URLs.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;

use crate::InvalidInput;

/// The base URL of the service (contract, section 1).
pub const DEFAULT_BASE_URL: &str = "https://api.fetchhive.com/v1";

/// A checked base URL without a trailing slash. The default is [`DEFAULT_BASE_URL`].
///
/// Plain http sends the API key in the clear, so it is refused for every host that is not loopback, unless
/// [`BaseUrl::allow_plain_http`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

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
        check("base_url", url, plain_http)?;
        if url.contains(['?', '#']) {
            return Err(InvalidInput::new("base_url", "must not have a query or a fragment"));
        }
        Ok(Self(url.to_owned()))
    }

    /// Whether a URL leads to the same host, below this path.
    pub(crate) fn is_above(&self, uri: &Uri) -> bool {
        let Ok(own) = self.0.parse::<Uri>() else { return false };
        let below = uri.path().strip_prefix(own.path().trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'));
        own.scheme() == uri.scheme() && own.authority() == uri.authority() && below
    }

    /// The URL as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BaseUrl {
    fn default() -> Self {
        Self(DEFAULT_BASE_URL.to_owned())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        Some(url) => check(field, url, false),
    }
}

fn check(field: &'static str, url: &str, plain_http: bool) -> Result<(), InvalidInput> {
    let refuse = |reason: &'static str| Err(InvalidInput::new(field, reason));
    if url.is_empty() {
        return refuse("must not be empty");
    }
    let Ok(uri) = url.parse::<Uri>() else { return refuse("is not a URL") };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return refuse("must be an absolute URL with a scheme and a host, such as https://example.com");
    };
    if authority.host().is_empty() || authority.as_str().ends_with(':') {
        return refuse("must have a host, and a number where it names a port");
    }
    if authority.as_str().contains('@') {
        return refuse("must not hold a user name or a password");
    }
    match scheme {
        "https" => Ok(()),
        "http" if plain_http || is_loopback(authority.host()) => Ok(()),
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
            assert_eq!(BaseUrl::new(url).unwrap().as_str(), kept);
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
        assert_eq!(BaseUrl::default().as_str(), "https://api.fetchhive.com/v1");
    }
}
