//! The endpoints below `/_emulator/`, which are not part of the API: downloads, faults, records and
//! the page.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{HOST, HeaderValue, ORIGIN};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::config::suggestion::suggest;
use crate::faults::fault::Fault;
use crate::http::response::{Response, error_response, json_response};
use crate::operations::assets;
use crate::operations::request::scope;
#[cfg(feature = "page")]
use crate::page;
use crate::state::State;

/// The prefix of the paths. No operation has such a path.
pub(crate) const CONTROL_PREFIX: &str = "/_emulator/";

/// The kinds of records that can be stored, and the ids in their paths before their own id.
const RECORD_KINDS: [(&str, &[&str]); 9] = [
    ("agent", &["WORKSPACE"]),
    ("chat", &["WORKSPACE", "AGENT"]),
    ("message", &["WORKSPACE", "AGENT", "CHAT"]),
    ("knowledge_base", &["WORKSPACE"]),
    ("knowledge_base_item", &["WORKSPACE", "KNOWLEDGE_BASE"]),
    ("asset", &["WORKSPACE"]),
    ("approval", &["WORKSPACE"]),
    ("delegation", &[]),
    ("run", &[]),
];

/// Handles a request for a path below [`CONTROL_PREFIX`].
pub(crate) async fn handle(state: &Arc<State>, request: &http::request::Parts, body: &Bytes) -> Response {
    let path = request.uri.path();
    if path.starts_with(assets::DOWNLOAD_PREFIX) {
        return assets::download(state, path, request.uri.query().unwrap_or_default());
    }
    // A page of another site must not use these endpoints through a browser.
    if is_cross_origin(request) {
        return error_response(403, "", "Requests from pages of other sites are not allowed.");
    }
    let decode = |segment| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = path[CONTROL_PREFIX.len()..].split('/').map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (&request.method, segments.as_slice()) {
        (&Method::GET, ["faults"]) => {
            json_response(200, &json!({"faults": state.faults.count(), "list": state.faults.texts()}))
        }
        (&Method::POST, ["faults"]) => add_fault(state, body),
        (&Method::DELETE, ["faults"]) => {
            state.faults.clear();
            json_response(200, &json!({"faults": 0}))
        }
        (&Method::PUT, ["records", kind, scope @ .., id]) => put_record(state, kind, scope, id, body).await,
        #[cfg(feature = "page")]
        (method, segments) if state.settings.page => page::handle(state, method, segments).await,
        _ => error_response(404, "", &format!("There is no {path} here.")),
    }
}

fn is_cross_origin(request: &http::request::Parts) -> bool {
    let text = |name| request.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(HOST).or_else(|| request.uri.authority().map(http::uri::Authority::as_str));
    let has_other_origin = text(ORIGIN).is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != host);
    // A public name that resolves to this machine would bypass the check of the origin.
    let authority = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let is_own_name = authority.is_none_or(|authority| {
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok() || !name.contains('.')
    });
    has_other_origin || !is_own_name
}

/// Adds the fault of a body such as `{"fault": "status=503 nth=2"}`.
fn add_fault(state: &State, body: &Bytes) -> Response {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(text) = body["fault"].as_str() else {
        let error = "The body must be {\"fault\": \"FAULT\"}, with a fault as for the option --fault.";
        return error_response(400, "validation_error", error);
    };
    let fault = text.parse::<Fault>().and_then(|fault| fault.validate_for_emulator(state.tls).map(|()| fault));
    match fault {
        Ok(fault) => {
            state.faults.add(fault);
            json_response(200, &json!({"faults": state.faults.count()}))
        }
        Err(error) => error_response(400, "validation_error", &error.to_string()),
    }
}

/// Stores a record, such as a pending approval or an agent with a known id.
async fn put_record(state: &State, kind: &str, ids: &[&str], id: &str, body: &Bytes) -> Response {
    let Some((_, scope_names)) = RECORD_KINDS.iter().find(|(valid, _)| *valid == kind) else {
        let valid = suggest(kind, RECORD_KINDS.iter().map(|(valid, _)| *valid));
        return error_response(400, "validation_error", &format!("unknown record kind {kind:?}; {valid}"));
    };
    if ids.len() != scope_names.len() {
        let path = [&[kind], *scope_names, &["ID"]].concat().join("/");
        let error = format!("a record of kind {kind} has the path {CONTROL_PREFIX}records/{path}");
        return error_response(400, "validation_error", &error);
    }
    let Ok(Value::Object(mut record)) = serde_json::from_slice(body) else {
        return error_response(400, "validation_error", "The body must be a JSON object.");
    };
    record.insert("id".to_owned(), id.into());
    let record = Value::Object(record);
    state.store.put(kind, &scope(ids.iter().copied()), id, record.clone());
    match state.store.flush().await {
        Ok(()) => json_response(200, &record),
        Err(reason) => error_response(500, "internal_server_error", &reason),
    }
}
