use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::{Authority, Scheme};

use crate::InvalidInput;

/// Checks an absolute URL and returns its scheme and authority.
///
/// Plain HTTP is allowed for loopback hosts, and for all hosts if `allow_plain_http` is set. `hint`
/// names the setting that allows it.
pub(crate) fn check_url(
    field: &'static str,
    url: &str,
    allow_plain_http: bool,
    hint: &str,
) -> Result<(Scheme, Authority), InvalidInput> {
    let reject = |reason: &'static str| Err(InvalidInput::new(field, reason));
    if url.is_empty() {
        return reject("must not be empty");
    }
    let Ok(uri) = url.parse::<Uri>() else {
        return reject("is not a URL: check the port, and use ASCII characters without spaces");
    };
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return reject("must be an absolute URL with a scheme and a host, such as https://example.com");
    };
    if authority.as_str().contains('@') {
        return reject("must not contain a user name or a password");
    }
    check_host_and_port(authority.as_str()).map_err(|reason| InvalidInput::new(field, reason))?;
    match scheme.as_str() {
        "https" => Ok((scheme, authority)),
        "http" if allow_plain_http || is_loopback(authority.host()) => Ok((scheme, authority)),
        "http" => Err(InvalidInput::new(field, format!("must be an https URL; {hint}"))),
        _ => reject("must be an https URL"),
    }
}

/// Checks that the host and the port of an authority such as `example.com:8443` are complete.
///
/// Parsers of URLs accept more, and a client would then connect to another port or host.
///
/// # Errors
///
/// Returns the reason why the host or the port is invalid.
pub fn check_host_and_port(authority: &str) -> Result<(), &'static str> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return Err("has no `]` after its IPv6 address") };
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("must have an IPv6 address without a zone in its square brackets");
        }
        match port.strip_prefix(':') {
            Some(port) => ("", Some(port)),
            None if port.is_empty() => ("", None),
            None => return Err("must have a colon and a port after `]`"),
        }
    } else {
        let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        if host.is_empty() {
            return Err("must have a host");
        }
        (host, port)
    };
    match port {
        Some(port) if port.contains(':') => return Err("must have square brackets around an IPv6 address"),
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) && port.bytes().all(|b| b.is_ascii_digit()) => {}
        Some(_) => return Err("must have a port from 1 to 65535 after its colon"),
        None => {}
    }
    if host.is_empty() || is_host_name(host) { Ok(()) } else { Err("must have a valid host name or IP address") }
}

/// Returns whether a text is a host name, or an IPv4 address if its last label is a number.
fn is_host_name(host: &str) -> bool {
    let labels = || host.strip_suffix('.').unwrap_or(host).split('.');
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_allowed);
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    labels().all(is_label) && (!labels().next_back().is_some_and(is_number) || host.parse::<Ipv4Addr>().is_ok())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_must_be_complete() {
        for valid in [
            "example.com",
            "example.com.",
            "a_b-c.example:1",
            "localhost:65535",
            "127.0.0.1:80",
            "[::1]",
            "[::1]:8443",
            "app",
            "1.example",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(check_host_and_port(valid), Ok(()), "{valid}");
        }
        for invalid in [
            "",
            ":80",
            "host:",
            "host:0",
            "host:99999",
            "host:65536",
            "host:+80",
            "host:8o",
            "host:80:80",
            "::1",
            "[::1",
            "[::1]80",
            "[::1]:",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "a..b",
            ".a",
            "127.0.0.256",
            "10.1",
            "1.2.3.4.5",
            "exa mple",
            "a/b",
            "user@host",
            "h\u{f6}st",
            "\"host\"",
            "*.example",
        ] {
            assert!(check_host_and_port(invalid).is_err(), "{invalid}");
        }
    }
}
