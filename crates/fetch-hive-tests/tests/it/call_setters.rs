//! Every setter of a request exists on its call, and both clients have the same methods.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const SETTERS: &str = include_str!("../../../fetch-hive-client/src/client/setters.rs");
const ASYNC_CLIENT: &str = include_str!("../../../fetch-hive-client/src/client/client.rs");
const BLOCKING_CLIENT: &str = include_str!("../../../fetch-hive-client/src/blocking/client.rs");

/// The requests for which a client has a method.
const REQUESTS: [&str; 7] = [
    "InvokeWorkflow",
    "InvokePrompt",
    "InvokeAgent",
    "InvokeHiveAgent",
    "TriggerWorkflow",
    "TriggerPrompt",
    "TriggerAgent",
];

/// Returns the public API of the crate with the requests.
fn public_api_of_types() -> String {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(crates.join("fetch-hive-types/public-api.txt")).unwrap()
}

/// Returns the names of the methods `request.name(…) -> Self`.
fn setters_of_request(api: &str, request: &str) -> BTreeSet<String> {
    let prefix = format!("pub fn fetch_hive_types::{request}::");
    let setters = api.lines().filter_map(|line| line.strip_prefix(&prefix)).filter_map(|method| {
        let (name, arguments) = method.split_once('(')?;
        let name = name.split('<').next().unwrap_or(name);
        arguments.starts_with("self").then(|| name.to_owned())
    });
    setters.collect()
}

/// Returns the names that `forward_setters!` implements on the call of a request.
fn setters_of_call(request: &str) -> BTreeSet<String> {
    let (_, block) = SETTERS.split_once(&format!("\n    [impl<C> Call<{request}, C>] request => {{\n")).unwrap();
    let (block, _) = block.split_once("\n    }\n").unwrap();
    let lines = block.lines().map(str::trim).filter(|line| !line.starts_with("//") && line.ends_with(");"));
    lines.filter_map(|line| line.split_once('(')).map(|(name, _)| name.to_owned()).collect()
}

/// Returns the names of the public methods in the source of a client.
fn methods(source: &str) -> BTreeSet<&str> {
    let (_, block) = source.split_once("\nimpl Client {\n").unwrap();
    let (block, _) = block.split_once("\n}\n").unwrap();
    let lines = block.lines().filter_map(|line| line.strip_prefix("    pub fn "));
    lines.map(|line| line.split(['(', '<']).next().unwrap_or(line)).collect()
}

#[test]
fn call_has_every_setter_of_its_request() {
    let api = public_api_of_types();
    for request in REQUESTS {
        let setters = setters_of_request(&api, request);
        assert!(setters.contains("extra"), "{request}: {setters:?}");
        assert_eq!(setters_of_call(request), setters, "{request}: left in setters.rs, right in fetch-hive-types");
    }
}

#[test]
fn both_clients_have_the_same_methods() {
    let methods_of_async = methods(ASYNC_CLIENT);
    assert!(methods_of_async.contains("invoke_workflow"), "{methods_of_async:?}");
    assert_eq!(methods_of_async, methods(BLOCKING_CLIENT));
}
