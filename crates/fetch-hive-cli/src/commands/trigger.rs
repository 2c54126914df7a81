//! `fetch-hive trigger`.

use std::time::Instant;

use clap::{Args, Subcommand};
use fetch_hive_client::Endpoint;
use fetch_hive_client::types::{TriggerAgent, TriggerPrompt, TriggerWorkflow, WebhookTriggerResponse};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::inputs;
use crate::keys::secret_from_env;
use crate::options::{InputArgs, PreviewArgs};
use crate::run::{Summary, recorded};

#[derive(Debug, Subcommand)]
pub(crate) enum Trigger {
    /// Start a workflow with its webhook secret, without an API key
    #[command(before_help = "Examples:\n  fetch-hive trigger workflow endpoint_1 variant_1 \
                             --secret-env S --callback https://example.com")]
    Workflow(Deployment),
    /// Start a prompt with its webhook secret, without an API key
    #[command(before_help = "Examples:\n  fetch-hive trigger prompt endpoint_1 variant_1 \
                             --secret-env S --callback https://example.com")]
    Prompt(Deployment),
    /// Send a message to an agent with its webhook secret, without an API key
    #[command(before_help = "Examples:\n  fetch-hive trigger agent agent_1 \"What is new?\" \
                             --secret-env S --callback https://example.com")]
    Agent(AgentMessage),
}

/// Where the outcome goes, and the secret that starts the run.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The environment variable that contains the webhook secret
    #[arg(long, value_name = "NAME")]
    secret_env: String,
    /// The URL to which the service sends the outcome
    #[arg(long, value_name = "URL", env = "FETCH_HIVE_CALLBACK_URL", hide_env_values = true)]
    callback: String,
    #[command(flatten)]
    preview: PreviewArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Deployment {
    /// The id of the endpoint, from the URL of the webhook
    endpoint: String,
    /// The id of the variant, from the URL of the webhook
    variant: String,
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct AgentMessage {
    /// The id of the agent
    agent: String,
    /// The message
    message: String,
    /// The thread that the message continues or starts
    #[arg(long, value_name = "ID")]
    thread: Option<String>,
    /// A metadata value, which comes back with the outcome: NAME=TEXT or NAME:=JSON
    #[arg(short = 'm', long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Your own id of the user on whose behalf the agent is started
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    #[command(flatten)]
    common: Common,
}

pub(crate) async fn execute(command: Trigger, context: &Context) -> Result<()> {
    match command {
        Trigger::Workflow(run) => {
            let secret = secret_from_env(&run.common.secret_env)?;
            let mut request =
                TriggerWorkflow::new(run.endpoint.as_str(), run.variant.as_str(), secret, &run.common.callback)
                    .inputs(run.inputs.inputs()?)
                    .metadata_from(run.inputs.metadata()?);
            if let Some(user) = &run.inputs.user {
                request = request.user(user.as_str());
            }
            start(context, request, &run.endpoint, &run.common).await
        }
        Trigger::Prompt(run) => {
            let secret = secret_from_env(&run.common.secret_env)?;
            let mut request =
                TriggerPrompt::new(run.endpoint.as_str(), run.variant.as_str(), secret, &run.common.callback)
                    .inputs(run.inputs.inputs()?)
                    .metadata_from(run.inputs.metadata()?);
            if let Some(user) = &run.inputs.user {
                request = request.user(user.as_str());
            }
            start(context, request, &run.endpoint, &run.common).await
        }
        Trigger::Agent(run) => {
            let secret = secret_from_env(&run.common.secret_env)?;
            let mut request = TriggerAgent::new(run.agent.as_str(), secret, run.message.as_str(), &run.common.callback)
                .metadata_from(inputs::pairs("--metadata", &run.metadata)?);
            if let Some(thread) = &run.thread {
                request = request.thread_id(thread.as_str());
            }
            if let Some(user) = &run.user {
                request = request.user(user.as_str());
            }
            start(context, request, &run.agent, &run.common).await
        }
    }
}

fn wrong_secret(variable: &str) -> String {
    format!("set {variable}, which `--secret-env` names, to the webhook secret of this deployment in the dashboard")
}

async fn start<E>(context: &Context, request: E, target: &str, common: &Common) -> Result<()>
where
    E: Endpoint<Response = WebhookTriggerResponse> + 'static,
{
    let secret = &common.secret_env;
    if common.preview.show_with(context, &request, secret).await? {
        return Ok(());
    }
    recorded(context, E::NAME, Some(target), async |info| {
        let started = Instant::now();
        let response = context.client().await?.call(request).await.map_err(|error| {
            // No key is sent, so the advice about keys does not fit.
            let is_refused = error.api().is_some_and(|api| matches!(api.status.as_u16(), 401 | 403));
            let failure = Failure::from(error);
            if is_refused { failure.next(wrong_secret(secret)) } else { failure }
        })?;
        let summary = Summary::new(response.request_id.as_ref(), response.parts());
        summary.print(context, started, &info);
        context.out.json_or_text(response.body(), &info.request_id().unwrap_or_default())
    })
    .await
}
