//! `fetch-hive workflow`.

use std::time::Instant;

use clap::{Args, Subcommand};
use fetch_hive_client::types::{InvokeWorkflow, ToolApproval};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::options::{InputArgs, PreviewArgs};
use crate::run::{Summary, output_text, recorded};
use crate::text::one_line;

/// The environment variable with the callback URL of `--detach`.
const CALLBACK_VARIABLE: &str = "FETCH_HIVE_CALLBACK_URL";

#[derive(Debug, Subcommand)]
pub(crate) enum Workflow {
    /// Run a workflow and print its output
    Run(Run),
}

const EXAMPLES: &str = "\
Examples:
  fetch-hive workflow run weekly-report -i topic=AI -i sources:='[\"news\"]' -i brief=@brief.md
  fetch-hive workflow run weekly-report --inputs row.json --jq .output.title
  fetch-hive workflow run weekly-report --callback https://example.com/hooks";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Run {
    /// The name of the deployment
    deployment: String,
    #[command(flatten)]
    inputs: InputArgs,
    /// The variant of the deployment
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Start the run, print its request id, and let the service send the outcome to this URL
    #[arg(long, value_name = "URL", conflicts_with = "detach")]
    callback: Option<String>,
    /// Start the run and print its request id; the callback URL is `FETCH_HIVE_CALLBACK_URL`
    #[arg(long)]
    detach: bool,
    /// Approve all tool actions of this run automatically
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    preview: PreviewArgs,
}

impl Run {
    fn request(&self) -> Result<InvokeWorkflow> {
        let mut request = InvokeWorkflow::new(self.deployment.as_str())
            .variant(self.variant.clone().unwrap_or_default())
            .inputs(self.inputs.inputs()?)
            .metadata_from(self.inputs.metadata()?);
        if let Some(user) = &self.inputs.user {
            request = request.user(user.as_str());
        }
        if self.auto_approve {
            request = request.tool_approval(ToolApproval::AutoApprove);
        }
        if let Some(url) = self.callback_url()? {
            request = request.callback_url(url);
        }
        Ok(request)
    }

    fn callback_url(&self) -> Result<Option<String>> {
        if !self.detach {
            return Ok(self.callback.clone());
        }
        let url = std::env::var(CALLBACK_VARIABLE).ok().filter(|url| !url.is_empty());
        url.map(Some).ok_or_else(|| {
            Failure::usage(format!("--detach needs a callback URL, and {CALLBACK_VARIABLE} is not set"))
                .next("the service runs a workflow in the background only with a callback URL; pass `--callback URL`")
        })
    }
}

pub(crate) async fn execute(command: Workflow, context: &Context) -> Result<()> {
    let Workflow::Run(run) = command;
    let request = run.request()?;
    if run.preview.show(context, &request).await? {
        return Ok(());
    }
    let has_callback = request.async_mode.is_some();
    recorded(context, "invokeWorkflow", Some(&run.deployment), async |info| {
        let started = Instant::now();
        let call = context.client().await?.call(request).timeout(context.run_timeout());
        let response = call.await?;
        let summary = Summary::new(response.request_id.as_ref(), response.parts());
        summary.print(context, started, &info);
        if has_callback {
            store_secret(context, &run.deployment, response.webhook_secret.as_ref()).await;
            let id = info.request_id().unwrap_or_else(|| "ID".to_owned());
            context.out.note(&if context.emulates() {
                "the emulator ends with this command, so it may not send the outcome".to_owned()
            } else {
                one_line(&format!("the run continues on the service; wait for it with `fetch-hive request wait {id}`"))
            });
        }
        if context.out.wants_json() {
            context.out.json(response.body())?;
        }
        let shows_text = !context.out.wants_json();
        if has_callback && response.run_status.as_ref().is_none_or(|status| status.as_str() != "failed") {
            if shows_text {
                context.out.text(&info.request_id().unwrap_or_default())?;
            }
        } else {
            let output = response.into_output()?;
            if shows_text {
                context.out.text(&output_text(&output))?;
            }
        }
        Ok(())
    })
    .await
}

/// Stores the secret of a deployment, so that `callback listen` can verify its callbacks.
pub(crate) async fn store_secret(
    context: &Context,
    deployment: &str,
    secret: Option<&fetch_hive_client::types::WebhookSecret>,
) {
    let Some(secret) = secret.filter(|_| context.records_history()) else { return };
    let stored = async {
        let store = context.store().await?;
        store.put_secret(deployment, secret).await.map_err(|error| Failure::other(error.to_string()))
    };
    if let Err(failure) = stored.await {
        context.out.warn(&format!("the webhook secret of {deployment} is not in the store: {failure}"));
    }
}
