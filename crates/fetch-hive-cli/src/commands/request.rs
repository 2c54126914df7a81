//! `fetch-hive request`.

use std::time::Duration;

use clap::Subcommand;
use fetch_hive_client::ApiResponse;
use fetch_hive_client::types::{GetRequest, RequestId, RequestRecord};
use http::StatusCode;

use super::approval;
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
        /// The time between the first two look-ups, which doubles up to a minute; look-ups may
        /// count as API calls
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
    let record = tokio::select! {
        record = look_up_until_end(context, id, interval) => record?,
        _ = tokio::signal::ctrl_c() => {
            return Err(Failure::new(Exit::Interrupted, "stopped waiting; the run continues on the service")
                .next(look_up(Some(id)))
                .request(Some(id)));
        }
    };
    if context.out.wants_json() {
        context.out.json(record.body())?;
    }
    if record.is_awaiting_approval() {
        let id = RequestId::from(id);
        let approval = approval::pending_id(context, &id).await;
        return Err(approval::waiting(context, approval.as_deref(), Some(&id)));
    }
    let output = record.to_run().into_output()?;
    if context.out.wants_json() { Ok(()) } else { context.out.text(&output_text(&output)) }
}

/// Looks up a run at once and then in intervals, until it has ended or waits for an approval.
async fn look_up_until_end(context: &Context, id: &str, interval: Duration) -> Result<ApiResponse<RequestRecord>> {
    let requests = context.client().await?.requests();
    let out = context.out.clone();
    let mut last = String::new();
    let mut show_status = move |record: &RequestRecord| {
        let status = record.status.as_ref().map_or("unknown", |status| status.as_str());
        if status != last {
            out.note(&format!("status {}", one_line(status)));
            status.clone_into(&mut last);
        }
    };
    match requests.get(id).await {
        Ok(record) => {
            show_status(&record);
            if record.has_ended() || record.is_awaiting_approval() {
                return Ok(record);
            }
        }
        Err(error) if error.api().is_some_and(|api| api.status == StatusCode::NOT_FOUND) => {
            let id = one_line(id);
            context.out.note(&format!("the service has no record of {id} yet; it is looked up again for a short time"));
        }
        Err(error) if error.is_retryable() => {
            context.out.note(&format!("the look-up failed: {}", Failure::from(error)));
        }
        Err(error) => return Err(error.into()),
    }
    let waiting = requests
        .wait(id)
        .interval(interval, interval.max(Duration::from_secs(60)))
        .timeout(context.run_timeout())
        .until_approval()
        .on_progress(show_status);
    Ok(waiting.await?)
}
