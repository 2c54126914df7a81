//! The handling of a request, from its head to its response.

use std::sync::Arc;

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Request};
use http_body::Body;
use http_body_util::{BodyExt, Limited};
use serde_json::json;

use crate::control::{self, CONTROL_PREFIX};
use crate::faults::display::ActionText;
use crate::faults::fault::Fault;
use crate::faults::injection::run_with_fault;
use crate::faults::matching::{FaultList, Origin};
use crate::http::access_log::AccessLogEntry;
use crate::http::mask::masked;
use crate::http::response::{ConnectionBroken, Response, error_response, json_response};
use crate::http::takeover::Takeover;
use crate::operations::dispatch;
use crate::operations::request::{OperationRequest, api_key, parse_query};
use crate::operations::table::{Operation, Route, route};
use crate::state::State;
use crate::state::recorded::RecordedRequest;

/// The largest accepted request body, in bytes.
const MAX_BODY: usize = 64 << 20;

/// The request header that contains a fault.
const FAULT_HEADER: &str = "x-fetch-hive-fault";

/// Handles a request. An error breaks the connection.
pub(crate) async fn handle<B>(
    state: Arc<State>,
    connection: u64,
    takeover: Takeover,
    request: Request<B>,
) -> Result<Response, ConnectionBroken>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix("/v1").unwrap_or("");
    let route = route(&head.method, path);
    let operation = match &route {
        Route::Operation(operation) => Some(*operation),
        _ => None,
    };
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await.map(http_body_util::Collected::to_bytes) else {
        let error = "The body is incomplete, or larger than 64 MiB.";
        return Ok(error_response(413, "validation_error", error));
    };
    let recorded = RecordedRequest {
        method: head.method.clone(),
        path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
        headers: head.headers.clone(),
        body: body.clone(),
        version: head.version,
        connection,
        operation: operation.map(|operation| operation.id.clone()),
    };
    // Control requests are neither logged nor subject to faults.
    if head.uri.path().starts_with(CONTROL_PREFIX) {
        return Ok(control::handle(&state, &head, &body).await);
    }
    let mut log_entry = AccessLogEntry::start(&state, &recorded);
    state.requests.push(recorded);
    let header_faults = match header_faults(&state, &head.headers) {
        Ok(faults) => Arc::new(faults),
        Err(response) => return Ok(*response),
    };
    let origin = Origin { operation: operation.map_or("", |operation| &operation.id), header_faults };
    let fault = origin.request_fault(&state.faults);
    if let (Some(entry), Some(fault)) = (&mut log_entry, &fault) {
        entry.set_fault(ActionText(fault).to_string(), fault.after_run);
    }
    let respond = async {
        match route {
            Route::Unknown => error_response(404, "", &unknown_path_error(&state, &head)),
            Route::WrongMethod(allowed) => {
                let error = format!("no {} operation at {}; use {allowed}", head.method, head.uri.path());
                error_response(405, "", &error)
            }
            Route::Operation(operation) => {
                execute(&state, operation, origin, path, head.uri.query(), &head.headers, body).await
            }
        }
    };
    let response = run_with_fault(fault, &takeover, respond).await?;
    Ok(match log_entry {
        Some(entry) => entry.wrap(response),
        None => response,
    })
}

fn unknown_path_error(state: &State, head: &http::request::Parts) -> String {
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    format!("no operation at {}; the base URL is {}/v1", masked(head.uri.path()), state.origin(host))
}

/// Parses the faults of the request headers, if the settings allow them.
fn header_faults(state: &State, headers: &HeaderMap) -> Result<FaultList, Box<Response>> {
    let headers = headers.get_all(FAULT_HEADER).into_iter().filter(|_| state.settings.fault_header);
    let parsed = headers.map(|value| {
        let text = value.to_str().map_err(|error| error.to_string())?;
        let fault = text.parse::<Fault>().and_then(|fault| fault.validate_for_request().map(|()| fault));
        fault.map_err(|error| error.to_string())
    });
    parsed
        .collect::<Result<_, String>>()
        .map_err(|error| Box::new(error_response(400, "validation_error", &format!("{FAULT_HEADER}: {error}"))))
}

async fn execute(
    state: &Arc<State>,
    operation: &Operation,
    origin: Origin,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
    raw: Bytes,
) -> Response {
    if operation.needs_key && !is_authorized(state, headers) {
        return error_response(401, "", "Invalid access.");
    }
    let body = match dispatch::parse_body(operation, &raw) {
        Ok(body) => body,
        Err(response) => return *response,
    };
    if operation.counts_against_cap {
        if let Err(capped) = state.count_call() {
            return json_response(
                429,
                &json!({
                    "error": "You've reached the daily limit of API calls of your plan.",
                    "error_code": "api_rate_limit_exceeded",
                    "limit": capped.limit,
                    "current": capped.current,
                }),
            );
        }
    }
    let request = OperationRequest {
        state,
        origin,
        path: operation.parameters(path),
        query: parse_query(query.unwrap_or_default()),
        headers,
        body,
        raw,
    };
    let response = dispatch::execute(operation, &request).await.unwrap_or_else(|response| *response);
    // A change is acknowledged only after it is durable.
    match state.store.flush().await {
        Ok(()) => response,
        Err(reason) => error_response(500, "internal_server_error", &reason),
    }
}

/// Checks the API key. If none is configured, any key is valid except two reserved ones.
fn is_authorized(state: &State, headers: &HeaderMap) -> bool {
    let Some(key) = api_key(headers) else { return false };
    match &state.settings.api_key {
        Some(only) => key == only,
        None => !key.is_empty() && !matches!(key, "fhk_invalid" | "fhk_revoked"),
    }
}
