//! Prints every public type of the library crates, filled with a key, a secret and a body. `Debug`,
//! `Display` and the sources of errors must show none of them. The list of types comes from the
//! snapshots of the public API, so a new type that is not printed here fails the test.

#![allow(clippy::too_many_lines, reason = "a list of types has a line for each")]

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

const KEY: &str = "fhk_KEYMARKER";
const SECRET: &str = "whsec_SECRETMARKER";
const PROXY: &str = "http://user:SECRETMARKER@127.0.0.1:1";
const BODY: &str = "BODYMARKER";
/// Characters that break a log line or control a terminal.
const BREAKS: [char; 5] = ['\n', '\r', '\u{1b}', '\u{9b}', '\u{2028}'];

/// The printed types, under their names in the snapshots.
#[derive(Default)]
struct Printed {
    names: BTreeSet<String>,
    /// The types that cannot be read from the JSON of this test.
    unread: Vec<String>,
}

impl Printed {
    fn debug(&mut self, name: &str, value: &dyn Debug) {
        let texts = format!("{value:?} {value:#?}");
        for marker in ["KEYMARKER", "SECRETMARKER", BODY] {
            assert!(!texts.contains(marker), "{name} shows {marker}: {texts}");
        }
        let name: String = name.split_whitespace().collect();
        self.names.insert(name.split('<').next().unwrap().replace("fetch_hive_client::core::", "fetch_hive_core::"));
    }

    fn error(&mut self, name: &str, error: &(dyn std::error::Error + 'static)) {
        self.debug(name, &error);
        let mut cause = Some(error);
        while let Some(error) = cause {
            let text = error.to_string();
            self.debug(name, &format_args!("{text}"));
            assert!(!text.contains(BREAKS), "{name} breaks the line: {text:?}");
            cause = error.source();
        }
    }
}

/// Prints values. The snapshot contains the type before each value.
macro_rules! print {
    ($printed:ident, $how:ident: $($type:ty = $value:expr;)+) => {$({
        let value: $type = $value;
        $printed.$how(stringify!($type), &value);
    })+};
}

/// Prints types that are read from JSON.
macro_rules! print_json {
    ($printed:ident, $json:expr, $($name:ident)+) => {$({
        match serde_json::from_value::<fetch_hive_types::$name>($json) {
            Ok(value) => $printed.debug(concat!("fetch_hive_types::", stringify!($name)), &value),
            Err(error) => $printed.unread.push(format!("{}: {error}", stringify!($name))),
        }
    })+};
}

mod batch;
mod client;
mod core;
mod store;
mod types;

/// Returns the types in the snapshots.
fn declared() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for package in [
        "fetch-hive-types",
        "fetch-hive-core",
        "fetch-hive-client",
        "fetch-hive-store",
        "fetch-hive-batch",
        "fetch-hive-testing",
    ] {
        let path = format!("{}/../{package}/public-api.txt", env!("CARGO_MANIFEST_DIR"));
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let line = line.strip_prefix("#[non_exhaustive] ").unwrap_or(line);
            let declared = ["pub struct ", "pub enum ", "pub union "].iter().find_map(|kind| line.strip_prefix(kind));
            names.extend(declared.map(|rest| rest.split(['<', '(', ' ']).next().unwrap().to_owned()));
        }
    }
    names
}

/// Returns unknown fields that hold a secret, and the required fields of all requests.
fn fields() -> Value {
    json!({
        "webhook_secret": SECRET, "api_key": KEY, "made": {"list": [{"client_secret": SECRET, "Authorization": KEY}]},
        "deployment": "d", "message": "hi", "objective": "o", "name": "n", "model": "m", "llm_model": "m", "model_type": "m", "file_url": "https://h/f", "search_query": "q", "type": "hosted",
        "role": "user", "content": "c", "query": "q", "callback_url": "https://example.com/cb", "enabled": true,
    })
}

fn with(more: Value) -> Value {
    let Value::Object(more) = more else { panic!("{more}") };
    let mut all = fields();
    all.as_object_mut().unwrap().extend(more);
    all
}

#[tokio::test]
async fn public_types_show_no_key_secret_or_body() {
    let mut printed = Printed::default();
    types::types(&mut printed);
    assert!(printed.unread.is_empty(), "{:#?}", printed.unread);
    types::operations(&mut printed);
    core::core(&mut printed);
    client::client(&mut printed).await;
    store::store(&mut printed).await;
    batch::batch(&mut printed);
    batch::stored_batch(&mut printed).await;
    assert!(printed.unread.is_empty(), "{:#?}", printed.unread);
    let declared = declared();
    assert!(declared.len() > 250, "{}", declared.len());
    let missing: Vec<_> = declared.difference(&printed.names).collect();
    assert!(missing.is_empty(), "these types are not printed here: {missing:#?}");
    let strange: Vec<_> = printed.names.difference(&declared).collect();
    assert!(strange.is_empty(), "these types are not in public-api.txt: {strange:#?}");
}

/// Returns a signed callback.
fn delivered(body: &str) -> (HeaderMap, Bytes) {
    let body = Bytes::from(body.to_owned());
    let mut headers = HeaderMap::new();
    let signature = fetch_hive_client::core::signature::sign(&SECRET.into(), &body);
    headers.insert("x-fetch-hive-signature", signature.parse().unwrap());
    (headers, body)
}
