//! The functions that the script of the page calls.

use std::error::Error as _;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::types::{StreamEvent, TokenUsage};
use fetch_hive_client::{Client, Error, RequestBody, ResponseBody, Transport, TransportError};
use futures_util::future::{Either, select};
use http::{HeaderValue, Request, Response};
use js_sys::{Function, JSON, Math, Promise};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

use crate::{FetchClock, FetchTransport};

/// A transport that gives each request a random id.
///
/// A browser may send a request again if its connection is closed before the response arrives. The
/// proxy recognizes the id, and passes a request on only once.
struct WithAttemptId(FetchTransport);

#[async_trait]
impl Transport for WithAttemptId {
    async fn send(&self, mut request: Request<RequestBody>) -> Result<Response<ResponseBody>, TransportError> {
        let id = format!("{:x}{:x}", Math::random().to_bits(), Math::random().to_bits());
        let id = HeaderValue::try_from(id).map_err(TransportError::not_sent)?;
        request.headers_mut().insert("x-attempt-id", id);
        self.0.send(request).await
    }
}

/// The client of the page.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Hive(Client);

#[wasm_bindgen]
impl Hive {
    /// Creates a client that calls the proxy at a base URL. `session` is the token of the user's
    /// session with the proxy, which takes the place of the API key.
    ///
    /// # Errors
    ///
    /// Returns an error if the URL or the token is invalid.
    #[wasm_bindgen(constructor)]
    pub fn new(base_url: String, session: String) -> Result<Self, JsValue> {
        let client = Client::builder().base_url(base_url).api_key(session);
        let client = client.transport(WithAttemptId(FetchTransport)).clock(FetchClock).build();
        client.map(Self).map_err(|error| to_js(&error))
    }

    /// Runs a workflow, and returns its output as text.
    ///
    /// # Errors
    ///
    /// Returns an object that describes the error.
    pub async fn run(&self, deployment: String, topic: String, timeout_seconds: f64) -> Result<String, JsValue> {
        let timeout = Duration::try_from_secs_f64(timeout_seconds).map_err(|error| error.to_string())?;
        let call = self.0.invoke_workflow(deployment).input("topic", topic).timeout(timeout);
        let run = call.await.map_err(|error| to_js(&error))?;
        let id = run.request_id.clone();
        match run.into_output() {
            Ok(output) => Ok(output.as_str().map_or_else(|| output.to_string(), str::to_owned)),
            // The service answered that the run failed, so there is no doubt about it.
            Err(error) => Err(parse(&json!({"message": error.to_string(), "verdict": "failed", "run": id}))),
        }
    }

    /// Asks an agent, and passes each event of its answer to a function. Stops when the signal is
    /// aborted.
    ///
    /// # Errors
    ///
    /// Returns an object that describes the error.
    pub async fn ask(
        &self,
        agent: String,
        message: String,
        on_event: Function,
        signal: AbortSignal,
    ) -> Result<(), JsValue> {
        let aborted = Promise::new(&mut |resolve, _| {
            let _ = signal.add_event_listener_with_callback("abort", &resolve);
        });
        let answer = pin!(self.stream(agent, message, on_event));
        match select(answer, JsFuture::from(aborted)).await {
            Either::Left((answer, _)) => answer.map_err(|error| to_js(&error)),
            // Dropping the stream closes its connection.
            Either::Right(_) => Ok(()),
        }
    }

    async fn stream(&self, agent: String, message: String, on_event: Function) -> Result<(), Error> {
        let mut events = self.0.invoke_agent(agent, message).stream().await?;
        while let Some(event) = events.next().await {
            let event = match &*event? {
                StreamEvent::Reasoning(chunk) => json!({"type": "thought", "text": chunk.text()}),
                StreamEvent::Response(chunk) => json!({"type": "text", "text": chunk.text()}),
                StreamEvent::Tool(call) => {
                    json!({"type": "tool", "tool": call.tool, "input": call.tool_input, "result": call.observation})
                }
                StreamEvent::Usage(end) => {
                    json!({"type": "usage", "tokens": end.usage.as_ref().and_then(TokenUsage::total), "run": end.request_id})
                }
                _ => continue,
            };
            let _ = on_event.call1(&JsValue::UNDEFINED, &parse(&event));
        }
        Ok(())
    }
}

/// Describes an error for the page: its text with all causes, and its verdict.
fn to_js(error: &Error) -> JsValue {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    let verdict = if error.may_have_run() { "may-have-run" } else { "not-started" };
    parse(&json!({
        "message": message, "verdict": verdict, "retryable": error.is_retryable(), "attempts": error.attempts(),
        "status": error.status().map(|status| status.as_u16()), "run": error.request_id(),
    }))
}

fn parse(value: &Value) -> JsValue {
    JSON::parse(&value.to_string()).unwrap_or_default()
}
