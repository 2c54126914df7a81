//! `fetch-hive request`.

use std::future::IntoFuture as _;
use std::time::Duration;

use clap::Subcommand;
use fetch_hive_client::types::{GetRequest, RequestRecord};

use super::resource::call;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result, look_up};
use crate::run::output_text;
use crate::table::Shape;
use crate::text::one_line;

#[derive(Debug, Subcommand)]
pub(crate) enum Request {
    /// Show the record of a run
    #[command(before_help = "Examples:\n  fetch-hive request get req_1\n  fetch-hive request get req_1 --jq .status")]
    Get {
        /// The request id of the run
        id: String,
    },
    /// Wait until a run has ended, and print its output if the record contains it
    #[command(before_help = "Examples:\n  fetch-hive request wait req_1 --timeout 1h")]
    Wait {
        /// The request id of the run
        id: String,
        /// The time before the first look-up, which doubles up to a minute; look-ups may count as
        /// API calls
        #[arg(long, value_name = "TIME", value_parser = crate::text::parse_duration, default_value = "5s")]
        interval: Duration,
    },
}

pub(crate) async fn execute(command: Request, context: &Context) -> Result<()> {
    match command {
        Request::Get { id } => call(context, GetRequest::new(id), Shape::Record("request")).await,
        Request::Wait { id, interval } => wait(context, &id, interval).await,
    }
}

async fn wait(context: &Context, id: &str, interval: Duration) -> Result<()> {
    let out = context.out.clone();
    let mut last = String::new();
    let waiting = context
        .client()
        .await?
        .requests()
        .wait(id)
        .interval(interval, interval.max(Duration::from_secs(60)))
        .timeout(context.run_timeout())
        .until_approval()
        .on_progress(move |record| {
            let status = record.status.as_ref().map_or("unknown", |status| status.as_str());
            if status != last {
                out.note(&format!("status {}", one_line(status)));
                status.clone_into(&mut last);
            }
        });
    let record = tokio::select! {
        record = waiting.into_future() => record?,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::new(Exit::Interrupted, "stopped waiting; the run continues on the service")
                .next(look_up(Some(id)))
                .request(Some(id)));
        }
    };
    if context.out.wants_json() {
        context.out.json(record.body())?;
    }
    let outcome = outcome(&record)?;
    if context.out.wants_json() { Ok(()) } else { context.out.text(&outcome) }
}

/// Returns the output of a run that has ended.
fn outcome(record: &RequestRecord) -> Result<String> {
    if record.is_awaiting_approval() {
        let id = record.request_id.as_ref();
        let list = id.map_or_else(String::new, |id| format!(" --request {}", one_line(id.as_str())));
        return Err(Failure::new(Exit::Waiting, "the run waits for an approval; it continues after the decision")
            .next(format!("`fetch-hive approval list{list}`, and then `fetch-hive approval decide`"))
            .request(id));
    }
    let output = record.to_run().into_output()?;
    Ok(output_text(&output))
}
