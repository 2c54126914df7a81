//! An agent asks before it acts: the actions that wait are listed, looked at, and decided.
//!
//! It talks to an emulator in this process, whose agent `mailer` wants to send an e-mail.

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

    let reply = client.invoke_agent("mailer", "Send the report.").tool_approval(ToolApproval::Policy).await?;
    println!("status: {}", reply.status.as_ref().map_or("unknown", |status| status.as_str()));
    let run = reply.request_id.clone().ok_or("the reply names no run")?;

    let approvals = client.workspace(DEFAULT_WORKSPACE).approvals();
    let mut waiting = approvals.all(ApprovalFilter::new().request_id(run));
    while let Some(approval) = waiting.next().await {
        let approval = approval?;
        println!("waits: {}", approval.summary.as_deref().unwrap_or("an action without a summary"));
        let id = approval.id.ok_or("the approval has no id")?;
        approvals.decide(id, ApprovalDecision::AllowOnce).await?;
        println!("decided: allow_once; the run goes on by itself");
    }
    Ok(())
}

fn agents_file() -> std::io::Result<std::path::PathBuf> {
    let file = std::env::temp_dir().join(format!("fetch-hive-agents-{}.toml", std::process::id()));
    std::fs::write(&file, AGENTS)?;
    Ok(file)
}
