//! Sends requests for another process, so that the conformance suite can test the transport. The
//! suite needs sockets and threads, which this target lacks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fetch_hive_client::{RequestBody, Transport, TransportError};
use futures_util::future::{AbortHandle, Abortable};
use http::Request;
use http_body::Body as _;
use js_sys::Function;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

use crate::FetchTransport;

thread_local! {
    static RUNNING: RefCell<HashMap<u64, AbortHandle>> = RefCell::default();
}

/// Executes a command: sends a request, or drops one with its response.
///
/// `emit` is called with the head of the response, each chunk, and the end or an error. Commands
/// and events are JSON texts with the number of the request.
///
/// # Errors
///
/// Returns an error if the command is invalid.
#[wasm_bindgen]
pub fn execute(command: &str, emit: Function) -> Result<(), JsError> {
    let command: Value = serde_json::from_str(command)?;
    let id = command["id"].as_u64().unwrap_or_default();
    if command["drop"] == true {
        if let Some(handle) = RUNNING.with_borrow_mut(|running| running.remove(&id)) {
            handle.abort();
        }
        return Ok(());
    }
    let request = request(&command)?;
    let (handle, registration) = AbortHandle::new_pair();
    RUNNING.with_borrow_mut(|running| running.insert(id, handle));
    spawn_local(async move {
        let emit = |mut event: Value| {
            event["id"] = id.into();
            let _ = emit.call1(&JsValue::UNDEFINED, &event.to_string().into());
        };
        let exchange = Abortable::new(exchange(request, &emit), registration);
        match exchange.await {
            Ok(Ok(())) => emit(json!({"end": true})),
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                emit(json!({"error": cause.unwrap_or_default(), "not_sent": error.is_not_sent()}));
            }
            Err(_) => {}
        }
        RUNNING.with_borrow_mut(|running| running.remove(&id));
    });
    Ok(())
}

fn request(command: &Value) -> Result<Request<RequestBody>, JsError> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut request = Request::builder().method(text(&command["method"]).as_str()).uri(text(&command["url"]));
    for header in command["headers"].as_array().into_iter().flatten() {
        request = request.header(text(&header[0]), text(&header[1]));
    }
    let body = STANDARD.decode(text(&command["body"])).map_err(|error| JsError::new(&error.to_string()))?;
    Ok(request.body(body.into())?)
}

async fn exchange(request: Request<RequestBody>, emit: &impl Fn(Value)) -> Result<(), TransportError> {
    let (head, mut body) = FetchTransport.send(request).await?.into_parts();
    let headers: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))).collect();
    emit(json!({"status": head.status.as_u16(), "headers": headers}));
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            emit(json!({"chunk": STANDARD.encode(data)}));
        }
    }
    Ok(())
}
