//! What the emulator serves beside the API, below `/_emulator/`: files of assets, faults, records, and the page.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{HOST, HeaderValue, ORIGIN};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::Fault;
use crate::assets;
use crate::call::scope;
use crate::reply::{Reply, json_reply, refusal};
use crate::service::Service;

/// Where all this is; no path of the contract begins so.
pub(crate) const ADMIN: &str = "/_emulator/";

/// Answers a request below [`ADMIN`].
pub(crate) async fn answer(service: &Arc<Service>, request: &http::request::Parts, body: &Bytes) -> Reply {
    let path = request.uri.path();
    if path.starts_with(assets::FILES) {
        return assets::download(service, path, request.uri.query().unwrap_or_default());
    }
    // A page of another site must not reach what is here through a browser.
    if is_foreign(request) {
        return refusal(403, "", "This is not for pages of other sites.");
    }
    let parts: Vec<String> =
        path[ADMIN.len()..].split('/').map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (&request.method, parts.as_slice()) {
        (&Method::GET, ["faults"]) => json_reply(200, &json!({"faults": service.faults.count()})),
        (&Method::POST, ["faults"]) => add_fault(service, body),
        (&Method::DELETE, ["faults"]) => {
            service.faults.clear();
            json_reply(200, &json!({"faults": 0}))
        }
        (&Method::PUT, ["records", kind, within @ .., id]) => put_record(service, kind, within, id, body).await,
        #[cfg(feature = "page")]
        (method, parts) if service.page => crate::viewer::answer(service, method, parts).await,
        _ => refusal(404, "", &format!("There is no {path} here.")),
    }
}

fn is_foreign(request: &http::request::Parts) -> bool {
    let text = |name| request.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(HOST).or_else(|| request.uri.authority().map(http::uri::Authority::as_str));
    let other = text(ORIGIN).is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != host);
    // A name that leads here, but is none of ours, would make any page one of our own.
    let name = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let ours = name.is_none_or(|name| {
        let name = name.host().trim_start_matches('[').trim_end_matches(']');
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok() || !name.contains('.')
    });
    other || !ours
}

/// Adds the faults that a body names: `{"fault": "status=503 nth=2"}`.
fn add_fault(service: &Service, body: &Bytes) -> Reply {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(words) = body["fault"].as_str() else {
        return refusal(400, "validation_error", "The body is {\"fault\": \"WORDS\"}, as for the option --fault.");
    };
    match words.parse::<Fault>() {
        Ok(fault) => {
            service.faults.add(fault);
            json_reply(200, &json!({"faults": service.faults.count()}))
        }
        Err(error) => refusal(400, "validation_error", &error.to_string()),
    }
}

/// Puts a record where it would be hard to get otherwise: an approval that is pending, a delegation, an agent of a known id.
async fn put_record(service: &Service, kind: &str, within: &[&str], id: &str, body: &Bytes) -> Reply {
    let Ok(Value::Object(mut record)) = serde_json::from_slice(body) else {
        return refusal(400, "validation_error", "The body is no JSON object.");
    };
    record.insert("id".to_owned(), id.into());
    let record = Value::Object(record);
    service.store.put(kind, &scope(within.iter().copied()), id, record.clone());
    match service.store.settled().await {
        Ok(()) => json_reply(200, &record),
        Err(reason) => refusal(500, "internal_server_error", &reason),
    }
}
