//! Base URLs, callback URLs, ids and query values.
//!
//! Whatever is accepted keeps the host: an independent parser finds the host and the port of the
//! base URL in each request. An id is one segment of the path. The lines of the input are the base
//! URL, the callback URL, the id and the query value.
#![no_main]

use fetch_hive_core::{Api, BaseUrl, Endpoint, PathWriter, QueryWriter, Retry, is_loopback};
use http::Method;
use libfuzzer_sys::fuzz_target;
use url::Url;

struct GetItem<'a> {
    callback_url: Option<&'a str>,
    id: &'a str,
    query: &'a str,
}

impl Endpoint for GetItem<'_> {
    type Response = serde_json::Value;
    const NAME: &'static str = "getItem";
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/items/{id}/name";
    const RETRY: Retry = Retry::Idempotent;

    fn path(&self, path: &mut PathWriter) {
        path.id(self.id);
    }

    fn query(&self, query: &mut QueryWriter) {
        query.pair("q", Some(self.query));
    }

    fn auth(&self) -> fetch_hive_core::Auth<'_> {
        fetch_hive_core::Auth::None
    }

    fn callback_url(&self) -> Option<&str> {
        self.callback_url
    }
}

fuzz_target!(|input: &str| {
    let mut lines = input.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let (base, callback, id, query) = (line(), line(), line(), line());
    if let Ok(base) = BaseUrl::new(base) {
        assert_is_private(base.as_str());
    }
    let api = Api::default();
    if api.validate(&GetItem { callback_url: Some(callback), id, query }).is_ok() {
        assert_same_host(callback, &assert_is_private(callback));
    }

    let Ok(base) = BaseUrl::allow_plain_http(base) else { return };
    let api = Api::new(base.clone());
    let Ok(request) = api.request(&GetItem { callback_url: None, id, query }, None) else {
        assert!(matches!(id, "" | "." | "..") || base.as_str().len() + 3 * (id.len() + query.len()) > 60_000);
        return;
    };
    let uri = request.uri();
    assert_same_host(base.as_str(), uri);
    let path = uri.path();
    let base_uri: http::Uri = base.as_str().parse().unwrap();
    let rest = path.strip_prefix(base_uri.path().trim_end_matches('/')).unwrap();
    let segments: Vec<_> = rest.split('/').collect();
    let ["", "items", segment, "name"] = segments[..] else { panic!("{path}") };
    assert_eq!(decoded(segment), id);
    assert_eq!(decoded(uri.query().unwrap().strip_prefix("q=").unwrap()), query);
});

/// Checks that a URL is encrypted or stays on this machine.
fn assert_is_private(url: &str) -> http::Uri {
    let uri: http::Uri = url.parse().unwrap();
    assert!(uri.scheme_str() == Some("https") || is_loopback(uri.host().unwrap()));
    uri
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned()
}

/// Compares the hosts and ports that two parsers find in a URL and in a request for it.
fn assert_same_host(url: &str, uri: &http::Uri) {
    // The parser of the WHATWG also checks the labels of international names.
    let Ok(expected) = Url::parse(url) else { return };
    let found = Url::parse(&uri.to_string()).unwrap();
    assert_eq!(found.host_str(), expected.host_str());
    assert_eq!(found.port_or_known_default(), expected.port_or_known_default());
    assert_eq!((found.username(), found.password()), ("", None));
}
