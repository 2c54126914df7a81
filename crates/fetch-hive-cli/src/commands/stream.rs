//! Prints an event stream while it arrives.

use std::time::Duration;

use fetch_hive_client::types::{AgentRunStatus, PendingToolApproval, RequestId, StreamEvent, TokenUsage};
use fetch_hive_client::{Call, StreamingEndpoint};
use serde_json::Value;

use crate::context::Context;
use crate::failure::Result;
use crate::output::Output;
use crate::run::{RunInfo, Summary};
use crate::text::one_line;

/// What a stream reported apart from its text.
#[derive(Debug, Default)]
pub(crate) struct Streamed {
    pub(crate) request_id: Option<RequestId>,
    model: Option<String>,
    usage: Option<TokenUsage>,
    attempts: u32,
    waited: Duration,
    pub(crate) status: Option<AgentRunStatus>,
    pub(crate) pending: Vec<PendingToolApproval>,
}

impl Streamed {
    pub(crate) fn summary(&self) -> Summary<'_> {
        Summary {
            request_id: self.request_id.as_ref(),
            model: self.model.as_deref(),
            usage: self.usage.as_ref(),
            attempts: self.attempts,
            waited: self.waited,
        }
    }
}

/// Whether a line on standard output is open. The line ends when this is dropped, also by Ctrl-C.
struct OpenLine<'a> {
    out: &'a Output,
    is_open: bool,
}

impl OpenLine<'_> {
    fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            // A failed write was reported for the text of the line.
            let _ = self.out.chunk("\n");
        }
    }
}

impl Drop for OpenLine<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a call, and prints its text to standard output and its other events to standard error.
pub(crate) async fn print<E>(context: &Context, call: Call<E>, info: &RunInfo) -> Result<Streamed>
where
    E: StreamingEndpoint + Clone + 'static,
{
    let call = match context.globals.timeout {
        Some(timeout) => call.timeout(timeout),
        // A tool of an agent may be silent for minutes.
        None => call.idle_timeout(crate::context::RUN_TIMEOUT),
    };
    let mut events = call.stream().await?;
    let mut streamed = Streamed { attempts: events.attempts(), waited: events.waited(), ..Streamed::default() };
    let as_json = context.out.wants_json();
    let mut line = OpenLine { out: &context.out, is_open: false };
    while let Some(event) = events.next().await {
        let event = event?;
        info.set_id(event.request_id());
        streamed.request_id = streamed.request_id.or_else(|| event.request_id().cloned());
        if as_json {
            context.out.json_line(event.raw.as_ref())?;
        }
        match &*event {
            StreamEvent::Response(chunk) => {
                let text = chunk.text();
                if !as_json && !text.is_empty() {
                    context.out.chunk(text)?;
                    line.is_open = !text.ends_with('\n');
                }
                streamed.model = streamed.model.or_else(|| chunk.model.as_ref().map(ToString::to_string));
            }
            StreamEvent::Reasoning(chunk) => context.out.detail(chunk.text()),
            StreamEvent::Usage(end) => {
                streamed.usage.clone_from(&end.usage);
                streamed.status.clone_from(&end.status);
                streamed.pending.clone_from(&end.pending_tool_approvals);
            }
            other => {
                if let Some(note) = note(other) {
                    line.end();
                    context.out.note(&note);
                }
            }
        }
    }
    streamed.request_id = streamed.request_id.or_else(|| events.request_id().cloned());
    Ok(streamed)
}

/// Describes an event that is not part of the text.
fn note(event: &StreamEvent) -> Option<String> {
    Some(match event {
        StreamEvent::Tool(call) => tool_note(call.tool.as_deref(), call.tool_input.as_ref(), call.observation.as_ref()),
        StreamEvent::Artifact(event) => {
            let artifact = event.artifact.as_ref()?;
            let url = artifact.file_url.as_deref().unwrap_or_default();
            format!("file {} {}", name(artifact.file_name.as_ref()), one_line(url))
        }
        StreamEvent::ToolApproval(event) => {
            let summary = event.approval.as_ref().and_then(|approval| approval.get("summary")?.as_str());
            format!("approval needed: {}", one_line(summary.unwrap_or("see `fetch-hive approval list`")))
        }
        StreamEvent::Summary(_) => "the conversation was summarized to fit into the context".to_owned(),
        _ => return None,
    })
}

fn name(name: Option<&String>) -> String {
    name.map_or_else(|| "?".to_owned(), |name| one_line(name))
}

/// Describes a tool call, with its result if there is one.
pub(crate) fn tool_note(tool: Option<&str>, input: Option<&Value>, observation: Option<&Value>) -> String {
    let input = input.map_or_else(String::new, short);
    let observation = observation.map_or_else(String::new, |observation| format!(" → {}", short(observation)));
    format!("tool {} {input}{observation}", one_line(tool.unwrap_or("?")))
}

/// Returns a JSON value on one line of at most 200 characters.
fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = one_line(&text);
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
