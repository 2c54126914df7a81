//! An agent that calls tools: every kind of event as it comes, and at the end what was spent.
//!
//! Without `FETCH_HIVE_API_KEY` it talks to an emulator in this process, which plays a scripted stream. With it, to the agent named by
//! `FETCH_HIVE_AGENT`.

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
            StreamEvent::Reasoning(piece) => writeln!(out, "[thinks] {}", piece.response)?,
            StreamEvent::Tool(call) => {
                write!(out, "[calls] {}", call.tool.as_deref().unwrap_or("?"))?;
                match &call.tool_input {
                    Some(input) => writeln!(out, " {input}")?,
                    None => writeln!(out)?,
                }
            }
            StreamEvent::Response(piece) => write!(out, "{}", piece.response)?,
            StreamEvent::Artifact(made) => {
                let name = made.artifact.as_ref().and_then(|artifact| artifact.file_name.as_deref());
                writeln!(out, "\n[made] {}", name.unwrap_or("a file"))?;
            }
            StreamEvent::Usage(end) => {
                let tokens = end.usage.as_ref().and_then(TokenUsage::total).unwrap_or(0);
                writeln!(out, "[spent] {tokens} tokens, status {}", end.status.as_ref().map_or("?", |s| s.as_str()))?;
            }
            other => writeln!(out, "[{}]", other.event_type())?,
        }
        out.flush()?;
    }
    Ok(())
}
