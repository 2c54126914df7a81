//! Proxy variables.
//!
//! An accepted proxy has a host and a port, on which both transports agree, as they do on the user
//! and the password. A secret in a variable is not shown. `NO_PROXY` never makes fewer hosts direct
//! when an entry is added. The lines of the input are the URL of the proxy, in which `$` stands for
//! a secret, `NO_PROXY`, and the URL of a request.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/transport/proxy.rs"]
mod proxy;

use std::env::VarError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fetch_hive_client::blocking::UreqTransport;
use fetch_hive_client::{HyperTransport, InvalidInput};
use fetch_hive_core::{check_host_and_port, is_loopback};
use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use proxy::{ProxyChoice, ProxyRules};

const SECRET: &str = "S3CRET";
const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

fuzz_target!(|input: &str| {
    let mut lines = input.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (proxy, no_proxy, target) = (line().replace('$', SECRET), line(), line());
    check_proxy(&proxy);
    if let Ok(target) = target.parse::<Uri>() {
        check_no_proxy(no_proxy, &target);
    }
});

fn rules(proxy: &str, no_proxy: &str) -> Result<ProxyRules<String>, InvalidInput> {
    let variable = |name: &str| match name {
        "ALL_PROXY" => Ok(proxy.to_owned()),
        "NO_PROXY" => Ok(no_proxy.to_owned()),
        _ => Err(VarError::NotPresent),
    };
    ProxyChoice::Environment.rules_in(&variable, &SCHEMES, |url| Ok(url.to_owned()))
}

fn check_proxy(proxy: &str) {
    let hyper = HyperTransport::builder().proxy(proxy);
    let ureq = UreqTransport::builder().proxy(proxy);
    let mut shown = format!("{hyper:?} {ureq:?}");
    let (hyper, ureq) = (hyper.build(), ureq.build());
    shown += &format!("{hyper:?} {ureq:?}");
    for error in [hyper.as_ref().err(), ureq.as_ref().err()].into_iter().flatten() {
        shown += &error.to_string();
    }
    assert!(!shown.contains(SECRET), "{shown}");

    let target = Uri::from_static("https://host.example");
    let Ok(rules) = rules(proxy, "") else {
        assert!(hyper.is_err() && ureq.is_err());
        return;
    };
    let Some(url) = rules.proxy(&target) else {
        assert!(proxy.is_empty());
        return;
    };
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, authority) = rest.rsplit_once('@').unwrap_or(("", rest));
    check_host_and_port(authority).unwrap();
    let Some(found) = Matcher::builder().all(url.clone()).build().intercept(&target) else {
        assert!(hyper.is_err());
        return;
    };
    assert!(hyper.is_ok());
    let expected: Uri = format!("http://{authority}").parse().unwrap();
    assert_eq!(found.uri().scheme_str(), Some(scheme));
    assert_eq!(found.uri().host(), expected.host());
    assert_eq!(found.uri().port_u16(), expected.port_u16());

    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    let (Some(name), Some(password)) = (decoded(name), decoded(password)) else { return };
    if !user.is_empty() {
        assert_eq!(credentials(&found), (name.clone(), password.clone()));
    }
    if ureq.is_ok() {
        let ureq = ureq::Proxy::new(url).unwrap();
        assert_eq!(Some(ureq.host()), expected.host());
        let port = if scheme == "https" { 443 } else { 80 };
        assert_eq!(ureq.port(), expected.port_u16().unwrap_or(port));
        assert_eq!(ureq.username().unwrap_or_default(), name);
        assert_eq!(ureq.password().unwrap_or_default(), password);
    }
}

/// Returns the user and the password that hyper-util sends.
fn credentials(proxy: &Intercept) -> (String, String) {
    if let Some((name, password)) = proxy.raw_auth() {
        return (name.to_owned(), password.to_owned());
    }
    let header = proxy.basic_auth().unwrap().to_str().unwrap().strip_prefix("Basic ").unwrap();
    let text = String::from_utf8(STANDARD.decode(header).unwrap()).unwrap();
    let (name, password) = text.split_once(':').unwrap();
    (name.to_owned(), password.to_owned())
}

fn check_no_proxy(no_proxy: &str, target: &Uri) {
    let Some(host) = target.host() else { return };
    let is_direct = |list: &str| rules("http://proxy:1", list).map(|rules| rules.proxy(target).is_none());
    assert!(!is_loopback(host) || is_direct("").unwrap());
    assert!(is_direct("*").unwrap());
    if check_host_and_port(host).is_ok() {
        assert!(is_direct(host).unwrap());
        assert!(is_direct(&host.to_ascii_uppercase()).unwrap());
    }
    if let Ok(direct) = is_direct(no_proxy) {
        assert!(!direct || is_direct(&format!("{no_proxy},x.invalid")).unwrap());
        assert!(!direct || is_direct(&format!("10.0.0.0/8 {no_proxy}")).unwrap());
    }
}
