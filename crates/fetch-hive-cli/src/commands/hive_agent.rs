//! `fetch-hive hive-agent`.

use std::time::Instant;

use clap::{Args, Subcommand, ValueEnum};
use fetch_hive_client::types::{BudgetPolicy, HiveAgentSources, InvokeHiveAgent};

use super::workflow::store_secret;
use crate::context::Context;
use crate::failure::Result;
use crate::inputs;
use crate::options::PreviewArgs;
use crate::run::{Summary, recorded};

#[derive(Debug, Subcommand)]
pub(crate) enum HiveAgent {
    /// Give an objective to a hive agent, and print the request id of the run
    Run(Run),
}

const EXAMPLES: &str = "\
Examples:
  fetch-hive hive-agent run analyst \"Compare the three offers\" --callback https://example.com/hooks
  fetch-hive hive-agent run analyst \"Summarize\" --kb kb_1 --callback https://example.com/hooks";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Run {
    /// The slug or the id of the hive agent
    hive_agent: String,
    /// The objective
    objective: String,
    /// The URL to which the service sends the outcome
    #[arg(long, value_name = "URL", env = "FETCH_HIVE_CALLBACK_URL", hide_env_values = true)]
    callback: String,
    /// A website that the hive agent may use
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// An asset that the hive agent may use
    #[arg(long, value_name = "ID")]
    asset: Vec<String>,
    /// A knowledge base that the hive agent may use
    #[arg(long, value_name = "ID")]
    kb: Vec<String>,
    /// An item of a knowledge base that the hive agent may use
    #[arg(long, value_name = "ID")]
    kb_item: Vec<String>,
    /// Continue without a person
    #[arg(long)]
    unattended: bool,
    /// What happens when the budget is used up
    #[arg(long, value_enum, value_name = "POLICY")]
    budget_policy: Option<Policy>,
    /// A metadata value, which comes back with the outcome: NAME=TEXT or NAME:=JSON
    #[arg(short = 'm', long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    #[command(flatten)]
    preview: PreviewArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Policy {
    Stop,
    ProceedToCap,
}

impl Run {
    fn request(&self) -> Result<InvokeHiveAgent> {
        let mut request =
            InvokeHiveAgent::new(self.hive_agent.as_str(), self.objective.as_str(), self.callback.as_str())
                .metadata_from(inputs::pairs("--metadata", &self.metadata)?);
        if [&self.url, &self.asset, &self.kb, &self.kb_item].iter().any(|sources| !sources.is_empty()) {
            let sources = HiveAgentSources::new()
                .website_urls(self.url.iter().cloned())
                .asset_ids(self.asset.iter().cloned())
                .knowledge_base_ids(self.kb.iter().cloned())
                .knowledge_base_item_ids(self.kb_item.iter().cloned());
            request = request.sources(sources);
        }
        if self.unattended {
            request = request.unattended(true);
        }
        if let Some(policy) = self.budget_policy {
            request = request.budget_policy(match policy {
                Policy::Stop => BudgetPolicy::Stop,
                Policy::ProceedToCap => BudgetPolicy::ProceedToCap,
            });
        }
        Ok(request)
    }
}

pub(crate) async fn execute(command: HiveAgent, context: &Context) -> Result<()> {
    let HiveAgent::Run(run) = command;
    let request = run.request()?;
    if run.preview.show(context, &request).await? {
        return Ok(());
    }
    recorded(context, "invokeHiveAgent", Some(&run.hive_agent), async |info| {
        let started = Instant::now();
        let response = context.client().await?.call(request).await?;
        let summary = Summary::new(response.request_id.as_ref(), response.parts());
        summary.print(context, started, &info);
        store_secret(context, &format!("hive-agent/{}", run.hive_agent), response.webhook_secret.as_ref()).await;
        context.out.json_or_text(response.body(), &info.request_id().unwrap_or_default())
    })
    .await
}
