//! `fetch-hive approval`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use fetch_hive_client::types::{
    ApprovalDecision, ApprovalFilter, DecideToolActionApproval, GetToolActionApproval, ListToolActionApprovals,
    RequestId, ToolActionApproval,
};

use super::resource::call;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result, list_approvals};
use crate::run::output_text;
use crate::table::Shape;
use crate::terminal;
use crate::text::one_line;

const LIST: Shape =
    Shape::List { key: "approvals", columns: &["id", "status", "summary", "risk_level", "expires_at", "agent_run_id"] };
const RECORD: Shape = Shape::Record("approval");

#[derive(Debug, Subcommand)]
pub(crate) enum Approval {
    /// List the approvals that wait for a decision
    #[command(before_help = "Examples:\n  fetch-hive approval list\n  fetch-hive approval list --request req_1")]
    List {
        /// The status of the approvals [default: pending]
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Only those of an agent
        #[arg(long, value_name = "ID")]
        agent: Option<String>,
        /// Only those of a run, by its request id
        #[arg(long, value_name = "ID")]
        request: Option<String>,
        /// Only those of a run, by its run id
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// The approval after which the page starts
        #[arg(long, value_name = "ID")]
        cursor: Option<String>,
        /// The largest number of approvals in the page, at most 50
        #[arg(long, value_name = "COUNT")]
        limit: Option<u32>,
    },
    /// Show an approval
    #[command(before_help = "Examples:\n  fetch-hive approval get approval_1")]
    Get {
        /// The id of the approval
        id: String,
    },
    /// Allow or deny a tool action; the run continues after the decision
    #[command(before_help = "Examples:\n  fetch-hive approval decide approval_1 allow_once")]
    Decide {
        /// The id of the approval
        id: String,
        /// The decision
        #[arg(value_enum)]
        decision: Decision,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Decision {
    AllowOnce,
    Deny,
}

impl From<Decision> for ApprovalDecision {
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::AllowOnce => Self::AllowOnce,
            Decision::Deny => Self::Deny,
        }
    }
}

pub(crate) async fn execute(command: Approval, context: &Context) -> Result<()> {
    let workspace = context.workspace()?;
    match command {
        Approval::List { status, agent, request, run, cursor, limit } => {
            let mut filter = ApprovalFilter::new();
            if let Some(status) = status {
                filter = filter.status(status.as_str());
            }
            if let Some(agent) = agent {
                filter = filter.agent_id(agent);
            }
            if let Some(request) = request {
                filter = filter.request_id(request);
            }
            if let Some(run) = run {
                filter = filter.run_id(run);
            }
            if let Some(cursor) = cursor {
                filter = filter.cursor(cursor);
            }
            if let Some(limit) = limit {
                filter = filter.limit(limit);
            }
            call(context, ListToolActionApprovals::new(workspace, filter), LIST).await
        }
        Approval::Get { id } => call(context, GetToolActionApproval::new(workspace, id), RECORD).await,
        Approval::Decide { id, decision } => {
            call(context, DecideToolActionApproval::new(workspace, id, decision), RECORD).await
        }
    }
}

/// Creates the failure of a run that waits for an approval, with the next step.
pub(crate) fn waiting(context: &Context, approval_id: Option<&str>, request_id: Option<&RequestId>) -> Failure {
    let text = if context.emulates() {
        "the run waits for an approval"
    } else {
        "the run waits for an approval; it continues after the decision"
    };
    let (workspace, id) = (context.workspace_option(), request_id.map(RequestId::as_str));
    let next = match approval_id {
        Some(approval_id) => {
            let wait = id.map_or_else(String::new, |id| format!(", and then `fetch-hive request wait {id}`"));
            format!("`fetch-hive approval decide {approval_id} allow_once{workspace}`{wait}; do not run it again")
        }
        None => list_approvals(id),
    };
    let hint = if workspace.is_empty() { "" } else { "; no workspace is configured, so pass its id" };
    Failure::new(Exit::Waiting, text).next(one_line(&format!("{next}{hint}"))).request(request_id)
}

/// Returns the id of the first approval that a run waits for, if the workspace is known.
pub(crate) async fn pending_id(context: &Context, request_id: &RequestId) -> Option<String> {
    let approvals = context.client().await.ok()?.workspace(context.workspace().ok()?).approvals();
    let first = approvals.all(ApprovalFilter::new().request_id(request_id)).next().await?.ok()?;
    first.id.map(|id| id.to_string())
}

/// Asks the person at the terminal to decide each approval of a run, and prints the outcome of the
/// run.
pub(crate) async fn decide_at_terminal(context: &Context, request_id: &RequestId) -> Result<()> {
    let client = context.client().await?;
    let approvals = client.workspace(context.workspace()?).approvals();
    loop {
        let mut pending = approvals.all(ApprovalFilter::new().request_id(request_id));
        while let Some(approval) = pending.next().await {
            let approval = approval?;
            let question = question(&approval);
            // A thread waits for the answer, so that Ctrl-C still stops the command.
            let decision = tokio::task::spawn_blocking(move || ask(&question)).await;
            let decision = decision.map_err(|error| Failure::other(error.to_string()))??;
            let id = approval.id.unwrap_or_default();
            let Some(decision) = decision else {
                return Err(waiting(context, Some(id.as_str()), Some(request_id)));
            };
            approvals.decide(id, decision).await?;
        }
        context.out.note("the run continues");
        let record = client
            .requests()
            .wait(request_id)
            .interval(Duration::from_millis(500), Duration::from_secs(10))
            .timeout(context.run_timeout())
            .until_approval()
            .await?;
        if !record.is_awaiting_approval() {
            if context.out.wants_json() {
                return context.out.json(record.body());
            }
            let output = record.to_run().into_output()?;
            return context.out.text(&output_text(&output));
        }
    }
}

fn question(approval: &ToolActionApproval) -> String {
    let action = approval.summary.as_deref().or(approval.action_label.as_deref()).unwrap_or("an action");
    let arguments = approval.arguments.as_ref().map(|arguments| {
        let text = serde_json::to_string(arguments).unwrap_or_default();
        format!("\n  {}", one_line(&text))
    });
    format!("{}{}\n[a]llow once, [d]eny or [l]ater? ", one_line(action), arguments.unwrap_or_default())
}

fn ask(question: &str) -> Result<Option<ApprovalDecision>> {
    loop {
        match terminal::ask(question)?.as_deref() {
            Some("a" | "allow") => return Ok(Some(ApprovalDecision::AllowOnce)),
            Some("d" | "deny") => return Ok(Some(ApprovalDecision::Deny)),
            Some("l" | "later") | None => return Ok(None),
            Some(_) => {}
        }
    }
}
