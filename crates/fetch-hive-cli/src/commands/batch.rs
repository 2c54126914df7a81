//! `fetch-hive batch`.

mod plan;
mod progress;
mod run;

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use fetch_hive_batch::{Batch, Error, Export, Progress, Resolution, RowStatus};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::table::Shape;
use crate::terminal::confirm;
use crate::text::utc;

const LIST: Shape =
    Shape::List { key: "batches", columns: &["name", "state", "rows", "done", "succeeded", "unknown", "created"] };

const ROWS: Shape = Shape::List { key: "rows", columns: &["row", "status", "attempts", "request_id", "error"] };

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Run the rows of a CSV, JSONL or XLSX file; the same command again continues the batch
    #[command(
        before_help = "Examples:\n  fetch-hive batch run r.csv --workflow summarize --map review='Review Text' --out \
                             s.csv\n  fetch-hive batch run r.csv --workflow summarize --all-columns --out s.csv --sample \
                             5\n  fetch-hive batch run leads.xlsx --agent a1 --message Question --out answers.xlsx"
    )]
    Run(Box<run::RunArgs>),
    /// Continue a batch, for example after a pause
    #[command(before_help = "Examples:\n  fetch-hive batch resume reviews --out summaries.csv")]
    Resume(run::ResumeArgs),
    /// Work on a batch that other workers have started, without writing results
    #[command(before_help = "Examples:\n  fetch-hive batch work reviews --store postgres://db.example.com/app")]
    Work(run::WorkArgs),
    /// Settle rows whose outcome has become known, without starting any
    #[command(before_help = "Examples:\n  fetch-hive batch settle reviews")]
    Settle(run::WorkArgs),
    /// List the batches of the store
    #[command(before_help = "Examples:\n  fetch-hive batch list")]
    List,
    /// Show the progress of a batch: running, idle (no row is running), paused or finished
    #[command(before_help = "Examples:\n  fetch-hive batch status reviews --jq .unknown")]
    Status {
        /// The name of the batch
        name: String,
    },
    /// Pause a batch; running rows finish
    #[command(before_help = "Examples:\n  fetch-hive batch pause reviews --reason 'new prompt'")]
    Pause {
        /// The name of the batch
        name: String,
        /// The reason, which `status` shows
        #[arg(long, default_value = "paused by a person")]
        reason: String,
    },
    /// Write the results so far
    #[command(before_help = "Examples:\n  fetch-hive batch export reviews --out summaries.xlsx")]
    Export {
        /// The name of the batch
        name: String,
        #[command(flatten)]
        target: ExportArgs,
    },
    /// List the rows whose runs may have started, with what is known about them
    #[command(before_help = "Examples:\n  fetch-hive batch unknown reviews\n  fetch-hive batch unknown reviews \
                             --status failed")]
    Unknown {
        /// The name of the batch
        name: String,
        /// The status of the rows to list
        #[arg(long, value_enum, default_value_t = ListedStatus::Unknown)]
        status: ListedStatus,
    },
    /// Decide what happened to unknown rows
    #[command(before_help = "Examples:\n  fetch-hive batch resolve reviews 17 --as did-not-run\n  fetch-hive batch \
                             resolve reviews 17 42 --as ran")]
    Resolve {
        /// The name of the batch
        name: String,
        /// The numbers of the rows
        #[arg(required = true)]
        rows: Vec<u64>,
        /// What happened: the run did not start, it has ended, or it should run again in any case
        #[arg(long = "as", value_enum)]
        resolution: ResolutionArg,
    },
    /// Make all failed or all rejected rows ready again; failed rows may be charged again
    #[command(before_help = "Examples:\n  fetch-hive batch retry reviews failed")]
    Retry {
        /// The name of the batch
        name: String,
        /// The rows to retry
        #[arg(value_enum)]
        rows: RetryArg,
    },
    /// Reject a ready row that pauses the batch again and again
    #[command(before_help = "Examples:\n  fetch-hive batch reject reviews 17 --reason 'too long'")]
    Reject {
        /// The name of the batch
        name: String,
        /// The number of the row
        row: u64,
        /// The reason, which the results show
        #[arg(long, default_value = "not wanted")]
        reason: String,
    },
    /// Delete a batch with its rows and results
    #[command(before_help = "Examples:\n  fetch-hive batch purge reviews --yes")]
    Purge {
        /// The name of the batch
        name: String,
    },
}

/// Where and how results are written.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    /// The file for the results: .csv, .jsonl or .xlsx. Cells of a .csv or .xlsx file that are too
    /// long for a spreadsheet are written to a folder next to it
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// A prefix for the names of the added columns
    #[arg(long, value_name = "TEXT", default_value = "")]
    prefix: String,
    /// Write cells that a spreadsheet would run as formulas with a leading apostrophe
    #[arg(long)]
    neutralise_formulas: bool,
    /// Add a column for a key of JSON outputs; repeatable
    #[arg(long, value_name = "KEY")]
    flatten: Vec<String>,
}

impl ExportArgs {
    pub(crate) fn export(&self) -> Result<Export> {
        let export = Export::to(&self.out).map_err(failed)?;
        Ok(export.prefix(&self.prefix).neutralise_formulas(self.neutralise_formulas).flatten(&self.flatten))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ListedStatus {
    Unknown,
    Failed,
    Rejected,
    Ready,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ResolutionArg {
    /// No run was started: the row becomes ready again
    DidNotRun,
    /// The run has ended: the row counts as succeeded, without an output
    Ran,
    /// Run the row again, even if its first run was charged
    RunAgain,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RetryArg {
    Failed,
    Rejected,
}

/// Converts an error of a batch. Invalid input is a mistake of the command line.
#[expect(clippy::needless_pass_by_value, reason = "used with map_err")]
pub(crate) fn failed(error: Error) -> Failure {
    let text = crate::failure::chain(&error);
    match error {
        Error::Store(_) => Failure::other(text).next("correct the store, and run the same command again"),
        Error::NotFound { .. } => Failure::usage(text).next("see `fetch-hive batch list`"),
        Error::Different { .. } => Failure::usage(text).next("pass another `--name`"),
        _ => Failure::usage(text),
    }
}

pub(crate) async fn execute(command: BatchCommand, context: &Context) -> Result<()> {
    match command {
        BatchCommand::Run(arguments) => run::run(*arguments, context).await,
        BatchCommand::Resume(arguments) => run::resume(arguments, context).await,
        BatchCommand::Work(arguments) => run::work(arguments, context, None).await,
        BatchCommand::Settle(arguments) => run::work(arguments, context, Some(0)).await,
        BatchCommand::List => list(context).await,
        BatchCommand::Status { name } => {
            let batch = open(context, &name).await?;
            let value = status(&batch).await?;
            context.out.response(Shape::Record("batch"), value.to_string().as_bytes())
        }
        BatchCommand::Pause { name, reason } => {
            open(context, &name).await?.pause(&reason).await.map_err(failed)?;
            context.out.note(&format!("{name} is paused; running rows finish"));
            Ok(())
        }
        BatchCommand::Export { name, target } => {
            let batch = open(context, &name).await?;
            run::export(context, &batch, &target.export()?).await
        }
        BatchCommand::Unknown { name, status } => {
            let status = match status {
                ListedStatus::Unknown => RowStatus::Unknown,
                ListedStatus::Failed => RowStatus::Failed,
                ListedStatus::Rejected => RowStatus::Rejected,
                ListedStatus::Ready => RowStatus::Ready,
            };
            rows(context, &name, status).await
        }
        BatchCommand::Resolve { name, rows, resolution } => {
            let batch = open(context, &name).await?;
            let resolution = match resolution {
                ResolutionArg::DidNotRun => Resolution::DidNotRun,
                ResolutionArg::Ran => Resolution::Ran,
                ResolutionArg::RunAgain => {
                    confirm(&context.globals, "These runs may be charged a second time. Run them again?")?;
                    Resolution::RunAgain
                }
            };
            for row in rows {
                batch.resolve(row, resolution).await.map_err(failed)?;
            }
            context.out.note(&format!(
                "continue with the same `batch run` command, or with `fetch-hive batch resume {name} --out FILE`"
            ));
            Ok(())
        }
        BatchCommand::Retry { name, rows } => {
            let batch = open(context, &name).await?;
            let status = match rows {
                RetryArg::Failed => {
                    confirm(&context.globals, "Failed rows may be charged a second time. Run them again?")?;
                    RowStatus::Failed
                }
                RetryArg::Rejected => RowStatus::Rejected,
            };
            let count = batch.retry(status).await.map_err(failed)?;
            context.out.note(&format!(
                "{count} rows are ready again; continue with `fetch-hive batch resume {name} --out FILE`"
            ));
            Ok(())
        }
        BatchCommand::Reject { name, row, reason } => {
            open(context, &name).await?.reject(row, &reason).await.map_err(failed)
        }
        BatchCommand::Purge { name } => {
            let batch = open(context, &name).await?;
            confirm(&context.globals, &format!("Delete the batch {name} with its results?"))?;
            batch.delete().await.map_err(failed)
        }
    }
}

pub(crate) async fn open(context: &Context, name: &str) -> Result<Batch> {
    Batch::open(context.store().await?, name).await.map_err(failed)
}

async fn list(context: &Context) -> Result<()> {
    let store = context.store().await?;
    let mut batches = Vec::new();
    for record in Batch::list(store).await.map_err(failed)? {
        let batch = Batch::open(store, &record.name).await.map_err(failed)?;
        let mut value = status(&batch).await?;
        value["created"] = utc(record.created).into();
        batches.push(value);
    }
    context.out.response(LIST, json!({ "batches": batches }).to_string().as_bytes())
}

/// Returns the progress of a batch as JSON.
async fn status(batch: &Batch) -> Result<Value> {
    let progress = batch.progress().await.map_err(failed)?;
    let mut value = json!({
        "name": batch.name(),
        "state": state(&progress),
        "paused": progress.paused,
        "paused_until": progress.paused_until.map(utc),
        "rows": progress.rows(),
        "done": progress.done(),
        "running": progress.running(),
        "runs": progress.runs,
        "runs_today": progress.runs_today,
        "tokens": progress.tokens,
    });
    for status in [RowStatus::Ready, RowStatus::Succeeded, RowStatus::Failed, RowStatus::Rejected, RowStatus::Unknown] {
        value[status.as_str()] = progress.count(status).into();
    }
    Ok(value)
}

fn state(progress: &Progress) -> &'static str {
    if progress.paused.is_some() {
        "paused"
    } else if progress.done() == progress.rows() {
        "finished"
    } else if progress.running() > 0 {
        "running"
    } else {
        "idle"
    }
}

async fn rows(context: &Context, name: &str, status: RowStatus) -> Result<()> {
    let batch = open(context, name).await?;
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let page = batch.rows(status, after, 200).await.map_err(failed)?;
        let Some(last) = page.last() else { break };
        after = last.row.number();
        rows.extend(page.iter().map(|report| {
            json!({
                "row": report.row.number(),
                "line": report.row.line(),
                "status": report.result.status.as_str(),
                "attempts": report.result.attempts,
                "started_at": report.result.started_at,
                "request_id": report.result.request_id,
                "error": report.result.error,
            })
        }));
    }
    if status == RowStatus::Unknown && !rows.is_empty() {
        context.out.note(&format!(
            "the requests have the metadata batch_id={name}, batch_row and batch_attempt: look for runs with \
             it, for example in the dashboard, and then use `fetch-hive batch resolve {name} ROW --as did-not-run|ran|run-again`"
        ));
    }
    context.out.response(ROWS, json!({ "rows": rows }).to_string().as_bytes())
}
