//! Streams the response of an agent that calls tools, and prints each event and the token usage.
//!
//! Set `FETCH_HIVE_API_KEY` and `FETCH_HIVE_AGENT` to call an agent of yours. Without a key, the
//! example starts an emulator in this process and streams a script.

use std::env;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use fetch_hive_client::types::{StreamEvent, TokenUsage};
use fetch_hive_client::{API_KEY_VARIABLE, Client};
use fetch_hive_emulator::{Emulator, Script};
use serde_json::json;

fn script() -> Script {
    let pause = Duration::from_millis(120);
    Script::new()
        .event(&json!({"type": "reasoning", "response": "The question is about today, so search."}))
        .wait(pause)
        .event(&json!({"type": "tool", "tool_id": "1", "tool": "google_search", "tool_input": {"query": "AI news"},
            "observation": "{\"results\": 3}"}))
        .wait(pause)
        .text("Three things ")
        .wait(pause)
        .text("are new.")
        .event(&json!({"type": "artifact", "artifact": {"file_url": "https://example.com/news.pdf", "file_name": "news.pdf"}}))
        .event(&json!({"type": "usage", "request_id": "req_1", "status": "completed", "stop_reason": "completed",
            "usage": {"duration": 0.6, "prompt_tokens": {"total_tokens": 24}, "completion_tokens": {"total_tokens": 9}, "total_tokens": 33}}))
        .done()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let agent = env::var("FETCH_HIVE_AGENT").unwrap_or_else(|_| "researcher".to_owned());
    let emulator = Emulator::builder().stream("researcher", script()).start().await?;
    let client = match env::var_os(API_KEY_VARIABLE) {
        Some(_) => Client::from_env()?,
        None => Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?,
    };

    let mut events = client.invoke_agent(agent, "What is new today?").stream().await?;
    let mut out = std::io::stdout();
    while let Some(event) = events.next().await {
        match &*event? {
            StreamEvent::Reasoning(chunk) => writeln!(out, "[thinks] {}", chunk.response)?,
            StreamEvent::Tool(call) => {
                let tool = call.tool.as_deref().unwrap_or("unknown tool");
                let input = call.tool_input.as_ref().map_or("without input".to_owned(), ToString::to_string);
                writeln!(out, "[calls] {tool} {input}")?;
            }
            StreamEvent::Response(chunk) => write!(out, "{}", chunk.response)?,
            StreamEvent::Artifact(event) => {
                let name = event.artifact.as_ref().and_then(|artifact| artifact.file_name.as_deref());
                writeln!(out, "\n[artifact] {}", name.unwrap_or("a file"))?;
            }
            StreamEvent::Usage(event) => {
                let tokens = event.usage.as_ref().and_then(TokenUsage::total);
                let tokens = tokens.map_or("unknown".to_owned(), |tokens| tokens.to_string());
                let status = event.status.as_ref().map_or("unknown", |status| status.as_str());
                writeln!(out, "[spent] {tokens} tokens, status {status}")?;
            }
            other => writeln!(out, "[{}]", other.event_type())?,
        }
        out.flush()?;
    }
    Ok(())
}
