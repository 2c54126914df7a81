//! `fetch-hive prompt`.

use std::time::Instant;

use clap::{Args, Subcommand};
use fetch_hive_client::types::InvokePrompt;

use super::stream;
use crate::context::Context;
use crate::failure::Result;
use crate::options::{InputArgs, PreviewArgs};
use crate::run::{Summary, recorded};

#[derive(Debug, Subcommand)]
pub(crate) enum Prompt {
    /// Run a prompt and print its answer
    Run(Run),
}

const EXAMPLES: &str = "\
Examples:
  fetch-hive prompt run tagline -i product=Hive --stream
  fetch-hive prompt run tagline --inputs row.json --json
  cat row.json | fetch-hive prompt run tagline --inputs -";

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
    /// Print the answer while it is generated
    #[arg(long)]
    stream: bool,
    #[command(flatten)]
    preview: PreviewArgs,
}

impl Run {
    fn request(&self) -> Result<InvokePrompt> {
        let mut request = InvokePrompt::new(self.deployment.as_str())
            .variant(self.variant.clone().unwrap_or_default())
            .inputs(self.inputs.inputs()?)
            .metadata_from(self.inputs.metadata()?);
        if let Some(user) = &self.inputs.user {
            request = request.user(user.as_str());
        }
        Ok(request)
    }
}

pub(crate) async fn execute(command: Prompt, context: &Context) -> Result<()> {
    let Prompt::Run(run) = command;
    let request = run.request()?;
    if run.preview.show(context, &request).await? {
        return Ok(());
    }
    recorded(context, "invokePrompt", Some(&run.deployment), async |info| {
        let started = Instant::now();
        let call = context.client().await?.call(request);
        if run.stream {
            let streamed = stream::print(context, call, &info).await?;
            streamed.summary().print(context, started, &info);
            return Ok(());
        }
        let response = call.timeout(context.run_timeout()).await?;
        let summary = Summary {
            model: response.model.as_deref(),
            usage: response.usage.as_ref(),
            ..Summary::new(response.request_id.as_ref(), response.parts())
        };
        summary.print(context, started, &info);
        context.out.json_or_text(response.body(), response.text())
    })
    .await
}
