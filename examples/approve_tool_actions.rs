//! Lists the pending tool-action approvals of an agent's run, and approves them.
//!
//! The example starts an emulator in this process, whose agent `mailer` asks before it sends an
//! e-mail.

use std::error::Error;

use fetch_hive_client::Client;
use fetch_hive_client::types::{ApprovalDecision, ApprovalFilter, ToolApproval};
use fetch_hive_emulator::{DEFAULT_WORKSPACE, Emulator};

const AGENTS: &str = r#"
[[agent]]
agent = "mailer"
tools = [{ tool = "send_email", input = { to = "team@example.com" }, approval = "ask" }]
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = agents_file()?;
    let emulator = Emulator::builder().config(&file).start().await?;
    std::fs::remove_file(&file)?;
    let client = Client::builder().api_key("fhk_example").base_url(emulator.base_url()).build()?;

    let response = client.invoke_agent("mailer", "Send the report.").tool_approval(ToolApproval::Policy).await?;
    println!("status: {}", response.status.as_ref().map_or("unknown", |status| status.as_str()));
    let run = response.request_id.clone().ok_or("the response has no request id")?;

    let approvals = client.workspace(DEFAULT_WORKSPACE).approvals();
    let mut pending = approvals.all(ApprovalFilter::new().request_id(run));
    while let Some(approval) = pending.next().await {
        let approval = approval?;
        println!("waits: {}", approval.summary.as_deref().unwrap_or("no summary"));
        let id = approval.id.ok_or("the approval has no id")?;
        approvals.decide(id, ApprovalDecision::AllowOnce).await?;
        println!("decided: allow_once; the service resumes the run");
    }
    Ok(())
}

fn agents_file() -> std::io::Result<std::path::PathBuf> {
    let file = std::env::temp_dir().join(format!("fetch-hive-agents-{}.toml", std::process::id()));
    std::fs::write(&file, AGENTS)?;
    Ok(file)
}
