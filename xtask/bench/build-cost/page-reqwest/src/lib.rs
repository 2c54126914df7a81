//! The functions of the page of `examples/transports/fetch`, with reqwest.

use eventsource_stream::Eventsource as _;
use futures_util::StreamExt as _;
use js_sys::{Function, JSON};
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

#[derive(serde::Deserialize)]
struct Run {
    output: Value,
}

#[derive(serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    Reasoning { response: String },
    Response { response: String },
    Tool { tool: Option<String>, tool_input: Option<Value>, observation: Option<Value> },
    Usage { usage: Option<Value>, request_id: Option<String> },
    #[serde(other)]
    Other,
}

#[wasm_bindgen]
pub struct Hive {
    client: reqwest::Client,
    base_url: String,
    session: String,
}

#[wasm_bindgen]
impl Hive {
    #[wasm_bindgen(constructor)]
    pub fn new(base_url: String, session: String) -> Self {
        Self { client: reqwest::Client::new(), base_url, session }
    }

    pub async fn run(&self, deployment: String, topic: String) -> Result<String, JsError> {
        let body = json!({"deployment": deployment, "inputs": {"topic": topic}});
        let run: Run = self.post("workflow/invoke", &body).await?.json().await?;
        Ok(run.output.as_str().map_or_else(|| run.output.to_string(), str::to_owned))
    }

    pub async fn ask(&self, agent: String, message: String, on_event: Function) -> Result<(), JsError> {
        let body = json!({"agent": agent, "message": message, "streaming": true});
        let mut events = self.post("agent/invoke", &body).await?.bytes_stream().eventsource();
        while let Some(event) = events.next().await {
            let data = event?.data;
            if data == "[DONE]" {
                break;
            }
            let event = match serde_json::from_str(&data)? {
                Event::Reasoning { response } => json!({"type": "thought", "text": response}),
                Event::Response { response } => json!({"type": "text", "text": response}),
                Event::Tool { tool, tool_input, observation } => {
                    json!({"type": "tool", "tool": tool, "input": tool_input, "result": observation})
                }
                Event::Usage { usage, request_id } => json!({"type": "usage", "usage": usage, "run": request_id}),
                Event::Other => continue,
            };
            let event = JSON::parse(&event.to_string()).unwrap_or_default();
            let _ = on_event.call1(&JsValue::UNDEFINED, &event);
        }
        Ok(())
    }
}

impl Hive {
    async fn post(&self, path: &str, body: &Value) -> Result<reqwest::Response, reqwest::Error> {
        let request = self.client.post(format!("{}/{path}", self.base_url)).bearer_auth(&self.session).json(body);
        request.send().await?.error_for_status()
    }
}
