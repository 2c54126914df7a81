//! The server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fetch_hive_client::Client;
use fetch_hive_client::types::{InvokeAgent, InvokePrompt, InvokeWorkflow, RequestId, StreamEvent, TokenUsage};
use fetch_hive_client::{Call, StreamingEndpoint};
use fetch_hive_store::{HistoryOutcome, StoreHistory};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::config::{Target, ToolConfig};
use super::verdict;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::redact;
use crate::run::output_text;
use crate::text::duration;

/// How often progress is reported.
const PROGRESS: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(super) struct Server {
    tools: Arc<[ToolConfig]>,
    client: Client,
    history: Option<StoreHistory>,
    timeout: Duration,
}

/// The result of a run.
#[derive(Debug, Default)]
struct Answer {
    output: Value,
    request_id: Option<String>,
    thread: Option<String>,
    tokens: Option<u64>,
}

impl Server {
    pub(super) fn new(
        tools: Vec<ToolConfig>,
        client: Client,
        history: Option<StoreHistory>,
        timeout: Duration,
    ) -> Self {
        Self { tools: tools.into(), client, history, timeout }
    }

    /// Runs a tool until it ends or the client cancels the call.
    async fn run(
        &self,
        tool: &ToolConfig,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<Answer> {
        if let Some(reason) = tool.check(&arguments) {
            return Err(Failure::usage(reason));
        }
        let started = Instant::now();
        let number = self.record_start(tool).await;
        let (status, watched) = watch::channel("running".to_owned());
        let result = tokio::select! {
            answer = self.invoke(tool, arguments, &status) => answer,
            () = report_progress(context, watched) => Err(Failure::other("the progress reports ended")),
            () = context.ct.cancelled() => Err(Failure::new(
                Exit::Interrupted,
                "cancelled; a run that has started continues on the service, and is charged",
            )),
        };
        self.record_end(number, started, &result).await;
        result
    }

    async fn invoke(&self, tool: &ToolConfig, arguments: JsonObject, status: &watch::Sender<String>) -> Result<Answer> {
        let timeout = tool.timeout.unwrap_or(self.timeout);
        match &tool.target {
            Target::Workflow { deployment, variant } => {
                let request = InvokeWorkflow::new(deployment.as_str())
                    .variant(variant.clone().unwrap_or_default())
                    .inputs(arguments);
                let run = self.client.call(request).timeout(timeout).await?;
                let request_id = run.request_id.as_ref().map(ToString::to_string);
                Ok(Answer { output: run.into_output()?, request_id, ..Answer::default() })
            }
            Target::Prompt { deployment, variant } => {
                let request = InvokePrompt::new(deployment.as_str())
                    .variant(variant.clone().unwrap_or_default())
                    .inputs(arguments);
                streamed(self.client.call(request).timeout(timeout), status).await
            }
            Target::Agent(agent) => {
                let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let request = InvokeAgent::new(agent.as_str(), text("message")).thread_id(text("thread"));
                streamed(self.client.call(request).timeout(timeout), status).await
            }
        }
    }

    /// Stores the start of a run. The inputs are not stored, because they may be confidential.
    async fn record_start(&self, tool: &ToolConfig) -> Option<i64> {
        let arguments = format!("mcp {}", tool.name);
        let target = Some(tool.target.name());
        self.history.as_ref()?.start(&arguments, tool.target.operation(), target).await.ok()
    }

    async fn record_end(&self, number: Option<i64>, started: Instant, result: &Result<Answer>) {
        let (Some(history), Some(number)) = (&self.history, number) else { return };
        let duration = started.elapsed();
        let outcome = match result {
            Ok(answer) => HistoryOutcome {
                verdict: Exit::Success.name().to_owned(),
                duration,
                request_id: answer.request_id.clone(),
                tokens: answer.tokens,
                ..HistoryOutcome::default()
            },
            Err(failure) => HistoryOutcome {
                verdict: failure.exit.name().to_owned(),
                exit_code: failure.exit.code(),
                duration,
                request_id: failure.request_id.clone(),
                tokens: None,
                error: Some(redact::text(&failure.text)),
            },
        };
        // The result of the run matters more than its entry.
        let _ = history.finish(number, &outcome).await;
    }
}

/// Collects the text of a stream, and names the tool that the agent is using.
async fn streamed<E>(call: Call<E>, status: &watch::Sender<String>) -> Result<Answer>
where
    E: StreamingEndpoint + Clone + 'static,
{
    let mut events = call.stream().await?;
    let (mut text, mut answer) = (String::new(), Answer::default());
    let mut request_id: Option<RequestId> = None;
    while let Some(event) = events.next().await {
        let event = event?;
        request_id = request_id.or_else(|| event.request_id().cloned());
        match &*event {
            StreamEvent::Response(chunk) => {
                text.push_str(chunk.text());
                status.send_replace(format!("{} characters", text.chars().count()));
            }
            StreamEvent::Tool(call) => {
                status.send_replace(format!("using {}", call.tool.as_deref().unwrap_or("a tool")));
            }
            StreamEvent::Usage(end) => {
                answer.tokens = end.usage.as_ref().and_then(TokenUsage::total);
                answer.thread = end.thread_id.as_ref().map(ToString::to_string);
                let waits = end.status.as_ref().is_some_and(|status| status.as_str() == "awaiting_approval");
                if waits || !end.pending_tool_approvals.is_empty() {
                    return Err(Failure::new(Exit::Waiting, "the run waits for an approval").request(request_id));
                }
            }
            _ => {}
        }
    }
    answer.request_id = request_id.as_ref().or(events.request_id()).map(ToString::to_string);
    answer.output = Value::String(text);
    Ok(answer)
}

/// Sends progress notifications if the client asked for them. It never ends.
async fn report_progress(context: &RequestContext<RoleServer>, status: watch::Receiver<String>) {
    let Some(token) = context.meta.get_progress_token() else { return std::future::pending().await };
    let started = Instant::now();
    loop {
        tokio::time::sleep(PROGRESS).await;
        let elapsed = started.elapsed();
        let message = format!("{} for {}", *status.borrow(), duration(elapsed));
        let progress = ProgressNotificationParam::new(token.clone(), elapsed.as_secs_f64()).with_message(message);
        // A client that is gone cancels the call.
        let _ = context.peer.notify_progress(progress).await;
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("fetch-hive", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "The tools run workflows, prompts and agents of Fetch Hive. Each call starts a run that is charged. \
                 Never repeat a call after an error unless the error says that nothing was started.",
            )
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.iter().map(ToolConfig::declaration).collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.tools.iter().find(|tool| tool.name == name).map(ToolConfig::declaration)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.tools.iter().find(|tool| tool.name == request.name) else {
            return Err(ErrorData::invalid_params(format!("no tool `{}`", request.name), None));
        };
        let result = match self.run(tool, request.arguments.unwrap_or_default(), &context).await {
            Ok(answer) => {
                let text = output_text(&answer.output);
                let mut structured = json!({ "verdict": "ok", "output": answer.output });
                for (name, value) in [
                    ("request_id", answer.request_id.map(Value::from)),
                    ("thread", answer.thread.map(Value::from)),
                    ("tokens", answer.tokens.map(Value::from)),
                ] {
                    if let Some(value) = value {
                        structured[name] = value;
                    }
                }
                let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
                result.structured_content = Some(structured);
                result
            }
            Err(failure) => {
                let mut result = CallToolResult::error(vec![ContentBlock::text(verdict::text(&failure))]);
                result.structured_content = Some(verdict::structured(&failure));
                result
            }
        };
        Ok(result.into())
    }
}
