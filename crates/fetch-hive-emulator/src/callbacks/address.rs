//! The addresses that callbacks may be delivered to.

use std::net::IpAddr;

use crate::config::settings::Settings;

/// Checks that the settings allow deliveries to a URL. Returns the reason if they do not.
pub(crate) async fn check_address(settings: &Settings, url: &str) -> Result<(), String> {
    if settings.loopback_callbacks_only {
        // A DNS query would leave this machine, so other names are rejected without one.
        let uri = url.parse::<http::Uri>().ok();
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if host != "localhost" && !ip.is_ok_and(|ip| ip.to_canonical().is_loopback()) {
            return Err(format!("{host} is not a loopback address; start without --loopback-only to deliver there"));
        }
    }
    if settings.private_callbacks { Ok(()) } else { reject_private(url).await }
}

/// Rejects private addresses, except loopback addresses.
///
/// A name that does not resolve passes the check, and the delivery attempt reports the error.
async fn reject_private(url: &str) -> Result<(), String> {
    let Ok(uri) = url.parse::<http::Uri>() else { return Ok(()) };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
    let Ok(addresses) = tokio::net::lookup_host((host, port)).await else { return Ok(()) };
    for address in addresses {
        // An IPv6 address may contain an IPv4 address.
        let ip = address.ip().to_canonical();
        if !ip.is_loopback() && is_private(ip) {
            return Err(format!("{address} is a private address; start with --allow-private to deliver there"));
        }
    }
    Ok(())
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_broadcast()
                || shared
        }
        IpAddr::V6(ip) => {
            ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified() || ip.is_multicast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn private_addresses_are_rejected_in_every_notation() {
        for host in [
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.0.1",
            "100.64.0.1",
            "0.0.0.0",
            "[fd00::1]",
            "[::ffff:10.0.0.1]",
            "[fe80::1]",
        ] {
            assert!(reject_private(&format!("http://{host}/cb")).await.is_err(), "{host}");
        }
        for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "93.184.215.14", "localhost"] {
            assert!(reject_private(&format!("http://{host}/cb")).await.is_ok(), "{host}");
        }
    }
}
