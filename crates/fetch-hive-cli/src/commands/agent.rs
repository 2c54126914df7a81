//! `fetch-hive agent`.

use std::path::Path;
use std::time::Instant;

use clap::{Args, Subcommand};
use fetch_hive_client::types::{
    AgentAttachment, AgentRunStatus, ApprovalId, AttachmentDescriptor, CreateAgent, DeleteAgent, GetAgent, InvokeAgent,
    ListAgents, PendingToolApproval, RequestId, ToolApproval, UpdateAgent,
};

use super::resource::{Fields, call, change, delete};
use super::{approval, asset, stream};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::inputs;
use crate::options::PreviewArgs;
use crate::run::{RunInfo, Summary, recorded};
use crate::table::Shape;
use crate::terminal;
use crate::text::one_line;

const LIST: Shape = Shape::List { key: "agents", columns: &["id", "name", "llm_model", "model_type", "description"] };
const RECORD: Shape = Shape::Record("agent");

#[derive(Debug, Subcommand)]
pub(crate) enum Agent {
    /// Send a message to an agent and print its answer
    Run(Run),
    /// Chat with an agent at the terminal; an empty line ends the chat
    Chat(Chat),
    /// List the agents of the workspace
    #[command(before_help = "Examples:\n  fetch-hive agent list\n  fetch-hive agent list --jq '.agents[].name'")]
    List,
    /// Show an agent
    #[command(before_help = "Examples:\n  fetch-hive agent get agent_1")]
    Get {
        /// The id of the agent
        id: String,
    },
    /// Create an agent
    #[command(before_help = "Examples:\n  fetch-hive agent create -f name=Support -f llm_model=gpt-4.1-mini \
                             -f model_type=hosted")]
    Create(Fields),
    /// Change an agent; fields that are not set keep their value
    #[command(before_help = "Examples:\n  fetch-hive agent update agent_1 -f temperature:=0.2")]
    Update {
        /// The id of the agent
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete an agent
    #[command(before_help = "Examples:\n  fetch-hive agent delete agent_1 --yes")]
    Delete {
        /// The id of the agent
        id: String,
    },
}

const RUN_EXAMPLES: &str = "\
Examples:
  fetch-hive agent run researcher \"What is new?\" --thread customer-7 --attach report.pdf
  fetch-hive agent run researcher - --stream < question.txt";

#[derive(Debug, Args)]
#[command(before_help = RUN_EXAMPLES)]
pub(crate) struct Run {
    /// The slug or the id of the agent
    agent: String,
    /// The message, or - to read it from standard input
    message: String,
    #[command(flatten)]
    options: RunOptions,
    /// Print the answer while it is generated
    #[arg(long)]
    stream: bool,
    #[command(flatten)]
    preview: PreviewArgs,
}

/// The options of a message.
#[derive(Debug, Args)]
struct RunOptions {
    /// The thread that the message continues or starts
    #[arg(long, value_name = "ID")]
    thread: Option<String>,
    /// A file or an https URL that is sent with the message; a file is uploaded to the workspace
    #[arg(long, value_name = "FILE|URL")]
    attach: Vec<String>,
    /// The https URL of an image that is sent with the message
    #[arg(long, value_name = "URL")]
    image: Vec<String>,
    /// A metadata value, which comes back with the outcome: NAME=TEXT or NAME:=JSON
    #[arg(short = 'm', long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Your own id of the user on whose behalf the agent is invoked
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Approve all tool actions of this run automatically
    #[arg(long)]
    auto_approve: bool,
}

const CHAT_EXAMPLES: &str = "\
Examples:
  fetch-hive agent chat support
  fetch-hive agent chat support --thread customer-7";

#[derive(Debug, Args)]
#[command(before_help = CHAT_EXAMPLES)]
pub(crate) struct Chat {
    /// The slug or the id of the agent
    agent: String,
    #[command(flatten)]
    options: RunOptions,
}

impl RunOptions {
    fn request(&self, agent: &str, message: String) -> Result<InvokeAgent> {
        let mut request = InvokeAgent::new(agent, message)
            .thread_id(self.thread.clone().unwrap_or_default())
            .image_urls(self.image.iter().cloned())
            .metadata_from(inputs::pairs("--metadata", &self.metadata)?);
        if let Some(user) = &self.user {
            request = request.user(user.as_str());
        }
        if self.auto_approve {
            request = request.tool_approval(ToolApproval::AutoApprove);
        }
        Ok(request)
    }

    /// Returns the attached URLs for a preview, and names the files that a run uploads first.
    fn previewed_attachments(&self, context: &Context) -> Result<Vec<AgentAttachment>> {
        let (urls, files): (Vec<_>, Vec<_>) = self.attach.iter().partition(|attachment| attachment.contains("://"));
        for file in files {
            asset::open(Path::new(file), asset::media_type(Path::new(file)))?;
            context.out.note(&format!("{file} is not in the request; it would be uploaded first"));
        }
        Ok(urls.into_iter().map(|url| AgentAttachment::from(url.as_str())).collect())
    }

    /// Uploads the attached files, and returns the attachments.
    async fn attachments(&self, context: &Context) -> Result<Vec<AgentAttachment>> {
        let mut attachments = Vec::new();
        for attachment in &self.attach {
            if attachment.contains("://") {
                attachments.push(AgentAttachment::from(attachment.as_str()));
            } else {
                attachments.push(upload(context, Path::new(attachment)).await?.into());
            }
        }
        Ok(attachments)
    }
}

/// Uploads a file, so that an agent can read it.
async fn upload(context: &Context, path: &Path) -> Result<AttachmentDescriptor> {
    let media_type = asset::media_type(path);
    let file = asset::open(path, media_type)?;
    let workspace = context.workspace()?;
    let uploaded = context.client().await?.workspace(workspace).assets().upload(file).await?.into_value();
    let uploaded = uploaded.asset.unwrap_or_default();
    let Some(url) = uploaded.file_url else {
        return Err(Failure::other(format!("{} was uploaded, but the response has no URL", path.display()))
            .next("find it with `fetch-hive asset list`, and pass its URL to `--attach`"));
    };
    context.out.detail(&format!("uploaded {}", path.display()));
    // An attachment must have an https URL. Only an emulator links to http, and it never opens the
    // link.
    let url = url.strip_prefix("http://").map_or(url.clone(), |rest| format!("https://{rest}"));
    let mut descriptor = AttachmentDescriptor::new(url).file_type(media_type);
    if let Some(id) = uploaded.id {
        descriptor = descriptor.id(id);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(descriptor.file_name(name.unwrap_or_default()))
}

pub(crate) async fn execute(command: Agent, context: &Context) -> Result<()> {
    match command {
        Agent::Run(command) => run(command, context).await,
        Agent::Chat(command) => chat(command, context).await,
        Agent::List => call(context, ListAgents::new(context.workspace()?), LIST).await,
        Agent::Get { id } => call(context, GetAgent::new(context.workspace()?, id), RECORD).await,
        Agent::Create(fields) => {
            let request =
                CreateAgent::new(context.workspace()?, fields.read::<fetch_hive_client::types::AgentCreate>()?);
            change(context, request, RECORD, &fields.preview).await
        }
        Agent::Update { id, fields } => {
            let changes = fields.read::<fetch_hive_client::types::AgentUpdate>()?;
            let request = UpdateAgent::new(context.workspace()?, id, changes);
            change(context, request, RECORD, &fields.preview).await
        }
        Agent::Delete { id } => {
            let request = DeleteAgent::new(context.workspace()?, id.as_str());
            delete(context, &format!("the agent {id}"), request).await
        }
    }
}

async fn run(command: Run, context: &Context) -> Result<()> {
    let message = match command.message.as_str() {
        "-" => inputs::read_text(Path::new("-"))?,
        message => message.to_owned(),
    };
    let request = command.options.request(&command.agent, message)?;
    if command.preview.is_set() {
        let request = request.attachments(command.options.previewed_attachments(context)?);
        return command.preview.show(context, &request).await.map(drop);
    }
    recorded(context, "invokeAgent", Some(&command.agent), async |info| {
        let started = Instant::now();
        let request = request.attachments(command.options.attachments(context).await?);
        if command.stream {
            streamed(context, request, &info, started).await
        } else {
            direct(context, request, &info, started).await
        }
    })
    .await
}

async fn streamed(context: &Context, request: InvokeAgent, info: &RunInfo, started: Instant) -> Result<()> {
    let streamed = stream::print(context, context.client().await?.call(request), info).await?;
    streamed.summary().print(context, started, info);
    let is_waiting = is_waiting(streamed.status.as_ref(), &streamed.pending);
    finish(context, is_waiting, streamed.request_id.as_ref(), &streamed.pending).await
}

async fn direct(context: &Context, request: InvokeAgent, info: &RunInfo, started: Instant) -> Result<()> {
    let response = context.client().await?.call(request).timeout(context.run_timeout()).await?;
    for tool in &response.tool_calls {
        let (input, observation) = (tool.tool_input.as_ref(), tool.observation.as_ref());
        context.out.note(&stream::tool_note(tool.tool_name.as_deref(), input, observation));
    }
    let summary = Summary {
        model: response.model.as_deref(),
        usage: response.usage.as_ref(),
        ..Summary::new(response.request_id.as_ref(), response.parts())
    };
    summary.print(context, started, info);
    if context.out.wants_json() {
        context.out.json(response.body())?;
    } else if !response.text().is_empty() {
        context.out.text(response.text())?;
    }
    let pending = &response.pending_tool_approvals;
    let is_waiting = is_waiting(response.status.as_ref(), pending);
    finish(context, is_waiting, response.request_id.as_ref(), pending).await
}

fn is_waiting(status: Option<&AgentRunStatus>, pending: &[PendingToolApproval]) -> bool {
    status.is_some_and(|status| status.as_str() == "awaiting_approval") || !pending.is_empty()
}

/// Lets the person at the terminal decide the approvals, or fails with exit code 9.
async fn finish(
    context: &Context,
    is_waiting: bool,
    request_id: Option<&RequestId>,
    pending: &[PendingToolApproval],
) -> Result<()> {
    if !is_waiting {
        return Ok(());
    }
    for approval in pending {
        let summary = approval.summary.as_deref().or(approval.tool_name.as_deref()).unwrap_or("no summary");
        let id = approval.approval_id.as_ref().map_or_else(|| "?".to_owned(), |id| one_line(id.as_str()));
        context.out.note(&format!("approval {id}: {}", one_line(summary)));
    }
    if let (true, Some(request_id)) = (terminal::can_ask(&context.globals), request_id) {
        if context.workspace().is_ok() {
            return approval::decide_at_terminal(context, request_id).await;
        }
        context.out.note("the approval is not asked for here, because no workspace is configured");
    }
    let id = pending.iter().find_map(|approval| approval.approval_id.as_ref());
    Err(approval::waiting(context, id.map(ApprovalId::as_str), request_id))
}

/// A thread for a chat that the user did not name.
fn new_thread() -> String {
    let millis = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("cli-{millis}-{}", std::process::id())
}

async fn chat(command: Chat, context: &Context) -> Result<()> {
    let Chat { agent, mut options } = command;
    let thread = options.thread.get_or_insert_with(new_thread).clone();
    context.out.note(&format!("thread {}; an empty line ends the chat", one_line(&thread)));
    let asks = terminal::can_ask(&context.globals);
    let mut attachments = options.attachments(context).await?;
    loop {
        let line = tokio::task::spawn_blocking(move || terminal::ask(if asks { "> " } else { "" }));
        let line = tokio::select! {
            line = line => line.map_err(|error| Failure::other(error.to_string()))??,
            // Nothing is running while the prompt waits.
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(message) = line.filter(|line| !line.is_empty()) else { return Ok(()) };
        let request = options.request(&agent, message)?.attachments(std::mem::take(&mut attachments));
        let answered = recorded(context, "invokeAgent", Some(&agent), async |info| {
            streamed(context, request, &info, Instant::now()).await
        });
        match answered.await {
            // The chat continues after an error that a person can see and correct.
            Err(failure) if asks && !matches!(failure.exit, Exit::Key | Exit::Success | Exit::Interrupted) => {
                context.out.warn(&failure.text);
                if let Some(next) = failure.next {
                    context.out.note(&next);
                }
            }
            result => result?,
        }
    }
}
