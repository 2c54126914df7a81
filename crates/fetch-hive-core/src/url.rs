use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::InvalidInput;

/// Checks an absolute URL and returns its scheme and authority.
///
/// Plain HTTP is allowed for loopback hosts, and for all hosts if `allow_plain_http` is set.
pub(crate) fn check_url(
    field: &'static str,
    url: &str,
    allow_plain_http: bool,
) -> Result<(Scheme, Authority), InvalidInput> {
    let reject = |reason: &'static str| Err(InvalidInput::new(field, reason));
    if url.is_empty() {
        return reject("must not be empty");
    }
    let Ok(uri) = url.parse::<Uri>() else { return reject("is not a URL") };
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return reject("must be an absolute URL with a scheme and a host, such as https://example.com");
    };
    if authority.host().is_empty() || authority.as_str().ends_with(':') {
        return reject("must have a host, and a port number after a colon");
    }
    if authority.as_str().contains('@') {
        return reject("must not contain a user name or a password");
    }
    match scheme.as_str() {
        "https" => Ok((scheme, authority)),
        "http" if allow_plain_http || is_loopback(authority.host()) => Ok((scheme, authority)),
        "http" => reject("must be an https URL; plain http is allowed for loopback hosts only"),
        _ => reject("must be an https URL"),
    }
}

/// Returns whether the host of a URL is this machine: `localhost` or a loopback IP address.
///
/// An IPv6 address may be enclosed in square brackets.
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || bare.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback())
}
