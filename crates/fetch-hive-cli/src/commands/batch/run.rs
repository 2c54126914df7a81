//! The commands that run rows.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use fetch_hive_batch::{Batch, End, Export, Mapping, ReadOptions, RowStatus, Stop};

use super::plan::Plan;
use super::progress::{BAR, Reporter, progress_line};
use super::{ExportArgs, failed, open};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::terminal::{can_ask, confirm};
use crate::text::grouped;

#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "the options are independent of each other")]
pub(crate) struct RunArgs {
    /// The CSV, JSONL or XLSX file with the rows
    file: PathBuf,
    /// Run this workflow deployment for each row
    #[arg(long, value_name = "DEPLOYMENT", group = "target")]
    workflow: Option<String>,
    /// Run this prompt deployment for each row
    #[arg(long, value_name = "DEPLOYMENT", group = "target")]
    prompt: Option<String>,
    /// Send a message to this agent for each row
    #[arg(long, value_name = "AGENT", group = "target", requires = "message")]
    agent: Option<String>,
    /// The column with the message to the agent
    #[arg(long, value_name = "COLUMN", requires = "agent")]
    message: Option<String>,
    /// The variant of the deployment
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Map a column to an input, such as review='Review Text'; repeatable
    #[arg(long, value_name = "INPUT=COLUMN", value_parser = pair)]
    map: Vec<(String, String)>,
    /// Map a template to an input, such as prompt='Summarize {{ text }}'; repeatable
    #[arg(long, value_name = "INPUT=TEMPLATE", value_parser = pair)]
    template: Vec<(String, String)>,
    /// Map a column to the metadata of the run; repeatable
    #[arg(long, value_name = "NAME=COLUMN", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// The column with the user of the run
    #[arg(long, value_name = "COLUMN")]
    user: Option<String>,
    /// Map each column to an input of the same name
    #[arg(long)]
    all_columns: bool,
    #[command(flatten)]
    target: ExportArgs,
    /// The name of the batch; by default, the name of the file without its extension
    #[arg(long)]
    name: Option<String>,
    /// The column whose values identify the rows; each value must be unique
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    /// The sheet of a workbook
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// The encoding of the file, such as windows-1252
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// The delimiter of a CSV file
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// Name columns without a name after their number, such as `column 4`
    #[arg(long)]
    name_empty_columns: bool,
    /// Skip and list rows with more or fewer cells than the header
    #[arg(long)]
    skip_ragged: bool,
    /// Run this many rows first, and print what the others would take
    #[arg(long, value_name = "ROWS")]
    sample: Option<u64>,
    /// Print the plan, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: WorkerOptions,
}

/// The options of a worker.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkerOptions {
    /// The largest number of runs at a time, in all processes that use the store
    #[arg(long, value_name = "RUNS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    slots: u32,
    /// Pause the batch after this many runs in total, including earlier ones
    #[arg(long, value_name = "RUNS")]
    max_runs: Option<u64>,
    /// Wait for the next day (UTC) after this many runs. The command can be stopped and repeated
    /// later
    #[arg(long, value_name = "RUNS")]
    max_runs_per_day: Option<u64>,
    /// Pause the batch after this many tokens in total
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<u64>,
    /// How progress is printed
    #[arg(long, value_enum, default_value_t = ProgressFormat::Auto)]
    progress: ProgressFormat,
    /// Run this program when the batch pauses or finishes, with the reason as its argument
    #[arg(long, value_name = "PROGRAM")]
    on_end: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressFormat {
    /// A bar on a terminal, and a line every 30 s otherwise
    Auto,
    /// One JSON object per line on standard error
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// The name of the batch
    name: String,
    #[command(flatten)]
    target: ExportArgs,
    #[command(flatten)]
    options: WorkerOptions,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WorkArgs {
    /// The name of the batch
    name: String,
    #[command(flatten)]
    options: WorkerOptions,
}

fn pair(text: &str) -> std::result::Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() || value.is_empty() {
        return Err("neither the name nor the value may be empty".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

impl RunArgs {
    fn mapping(&self) -> Result<Mapping> {
        let mut mapping = match (&self.workflow, &self.prompt, &self.agent, &self.message) {
            (Some(deployment), ..) => Mapping::workflow(deployment),
            (_, Some(deployment), ..) => Mapping::prompt(deployment),
            (_, _, Some(agent), Some(message)) => Mapping::agent(agent, message.as_str()),
            _ => return Err(Failure::usage("pass `--workflow`, `--prompt` or `--agent`")),
        };
        for (input, column) in &self.map {
            mapping = mapping.input(input, column.as_str());
        }
        for (input, template) in &self.template {
            mapping = mapping.template(input, template);
        }
        for (name, column) in &self.metadata {
            mapping = mapping.metadata(name, column.as_str());
        }
        if let Some(column) = &self.user {
            mapping = mapping.user(column.as_str());
        }
        if let Some(variant) = &self.variant {
            mapping = mapping.variant(variant);
        }
        Ok(if self.all_columns { mapping.all_columns() } else { mapping })
    }

    fn read_options(&self) -> ReadOptions {
        let mut options = ReadOptions::new().skip_ragged(self.skip_ragged).name_empty_columns(self.name_empty_columns);
        if let Some(sheet) = &self.sheet {
            options = options.sheet(sheet);
        }
        if let Some(encoding) = &self.encoding {
            options = options.encoding(encoding);
        }
        if let Some(delimiter) = self.delimiter {
            options = options.delimiter(delimiter);
        }
        options
    }
}

pub(super) async fn run(arguments: RunArgs, context: &Context) -> Result<()> {
    let (mapping, options, export) = (arguments.mapping()?, arguments.read_options(), arguments.target.export()?);
    let stem = || arguments.file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = arguments.name.clone().unwrap_or_else(stem);
    let rows = options.open(&arguments.file).map_err(failed)?;
    export.check(rows.header()).map_err(failed)?;
    let is_new = arguments.dry_run || Batch::open(context.store().await?, &name).await.is_err();
    let plan = Plan { path: &arguments.file, options: &options, mapping: &mapping, name: &name, is_new };
    let count = plan.show(context)?;
    if let Some(per_day) = arguments.options.max_runs_per_day {
        let days = grouped(count.div_ceil(per_day.max(1)));
        context.out.note(&format!("days, with at most {} runs per day: {days}", grouped(per_day)));
    }
    if arguments.dry_run {
        context
            .out
            .note("nothing was sent (--dry-run); the service checks the deployment and its inputs when a row is sent");
        return Ok(());
    }
    let mut builder = Batch::builder(&name);
    if let Some(column) = &arguments.id_column {
        builder = builder.id_column(column);
    }
    let batch = builder.create(context.store().await?, rows, &mapping).await.map_err(failed)?;
    let progress = batch.progress().await.map_err(failed)?;
    if progress.done() > 0 {
        context.out.note(&format!("continues: {progress}"));
    } else if can_ask(&context.globals) && arguments.sample.is_none() {
        confirm(&context.globals, &format!("Run {count} rows?"))?;
    }
    if let Some(sample) = arguments.sample {
        let end = work_on(&batch, &arguments.options, context, Some(sample)).await?;
        if let Some(estimate) = batch.sample(arguments.options.slots).await.map_err(failed)? {
            context.out.note(&format!("estimate from {estimate}"));
        }
        if end != End::Stopped {
            return finish(context, &batch, &export, end).await;
        }
        if !can_ask(&context.globals) {
            context.out.note("run the same command without --sample to run the other rows");
            return self::export(context, &batch, &export).await;
        }
        confirm(&context.globals, "Run the other rows?")?;
    }
    resume_and_finish(&batch, &arguments.options, context, &export).await
}

pub(super) async fn resume(arguments: ResumeArgs, context: &Context) -> Result<()> {
    let export = arguments.target.export()?;
    let batch = open(context, &arguments.name).await?;
    export.check(batch.header()).map_err(failed)?;
    resume_and_finish(&batch, &arguments.options, context, &export).await
}

async fn resume_and_finish(batch: &Batch, options: &WorkerOptions, context: &Context, export: &Export) -> Result<()> {
    if let Some(reason) = batch.paused().await.map_err(failed)? {
        context.out.note(&format!("was paused: {reason}"));
        batch.resume().await.map_err(failed)?;
    }
    let end = work_on(batch, options, context, None).await?;
    finish(context, batch, export, end).await
}

/// Works on a batch without writing results.
pub(super) async fn work(arguments: WorkArgs, context: &Context, stop_after: Option<u64>) -> Result<()> {
    let batch = open(context, &arguments.name).await?;
    let end = work_on(&batch, &arguments.options, context, stop_after).await?;
    if stop_after == Some(0) {
        let progress = batch.progress().await.map_err(failed)?;
        context.out.note(&progress_line(&progress, None));
        if progress.count(RowStatus::Unknown) > 0 {
            context.out.note(&format!(
                "rows without a request id cannot be looked up; `fetch-hive batch unknown {}` lists them",
                batch.name()
            ));
        }
        return Ok(());
    }
    outcome(&batch, end).await
}

async fn work_on(batch: &Batch, options: &WorkerOptions, context: &Context, stop_after: Option<u64>) -> Result<End> {
    let limit = context.base_url().await?.unwrap_or_else(|| "service".to_owned());
    let limiter = context.store().await?.run_limiter(&limit, options.slots);
    let stop = Stop::new();
    let bar = context.out.progress_bar(BAR);
    let (on_signal, out, shown) = (stop.clone(), context.out.clone(), bar.clone());
    let signals = tokio::spawn(async move {
        while signal().await {
            let warning = if on_signal.is_requested() {
                "stopped at once: runs in progress continue on the service and may be charged, and their rows are unknown"
            } else {
                "no new rows start, and running rows finish; press Ctrl-C again to stop at once"
            };
            shown.suspend(|| out.warn(warning));
            on_signal.request();
        }
    });
    let is_json = options.progress == ProgressFormat::Json;
    let report = Reporter::new(batch.name(), &context.out, is_json, options.max_runs_per_day, bar.clone());
    let interval = if is_json { Duration::from_secs(1) } else { Duration::from_millis(250) };
    let mut worker = batch
        .worker(context.client().await?, &limiter)
        .max_run_time(context.run_timeout())
        .max_runs(options.max_runs)
        .max_runs_per_day(options.max_runs_per_day)
        .max_tokens(options.max_tokens)
        .stop_after(stop_after);
    if stop_after != Some(0) {
        worker = worker.on_progress(interval, move |progress| report.report(progress));
    }
    if let Some(program) = options.on_end.clone() {
        worker = worker.on_end(move |end| {
            // The outcome of the batch does not depend on the program.
            let _ = std::process::Command::new(&program).arg(end.to_string()).spawn();
        });
    }
    let end = worker.run(&stop).await.map_err(failed);
    bar.finish_and_clear();
    signals.abort();
    end
}

/// Waits for an interrupt or a termination signal.
async fn signal() -> bool {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted.is_ok(),
            terminated = terminate.recv() => terminated.is_some(),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await.is_ok()
}

/// Writes the results, and reports the outcome with the exit code.
async fn finish(context: &Context, batch: &Batch, export: &Export, end: End) -> Result<()> {
    self::export(context, batch, export).await?;
    outcome(batch, end).await
}

/// Writes the results, and prints their path.
pub(super) async fn export(context: &Context, batch: &Batch, export: &Export) -> Result<()> {
    let written = batch.export(export).await.map_err(failed)?;
    if let Some(warning) = written.warning() {
        context.out.warn(warning);
    }
    for file in written.long_cells() {
        context.out.note(&format!(
            "a cell is too long for a spreadsheet: it is in {}, and the results name this file instead",
            file.display()
        ));
    }
    context.out.note(&format!(
        "{} rows: {} succeeded, {} failed, {} rejected, {} unknown, {} not finished",
        written.rows(),
        written.count(RowStatus::Succeeded),
        written.count(RowStatus::Failed),
        written.count(RowStatus::Rejected),
        written.count(RowStatus::Unknown),
        written.count(RowStatus::Ready) + written.count(RowStatus::Starting) + written.count(RowStatus::Accepted),
    ));
    let runs = batch.progress().await.map_err(failed)?.runs;
    context.out.note(&format!("runs started in total: {}", grouped(runs)));
    context.out.text(&written.path().display().to_string())
}

/// Converts the end of a worker to the outcome of the command.
async fn outcome(batch: &Batch, end: End) -> Result<()> {
    let name = batch.name();
    let again = format!("run the same command again, or `fetch-hive batch resume {name} --out FILE`");
    match end {
        End::Finished => {
            let progress = batch.progress().await.map_err(failed)?;
            let bad = progress.rows() - progress.count(RowStatus::Succeeded);
            if bad == 0 {
                return Ok(());
            }
            let next = match progress.count(RowStatus::Unknown) {
                0 => format!("`fetch-hive batch retry {name} failed` runs failed rows again"),
                _ => format!("`fetch-hive batch unknown {name}` lists the rows that may have run"),
            };
            Err(Failure::new(Exit::RowsFailed, format!("{bad} of {} rows did not succeed", progress.rows())).next(next))
        }
        End::Paused { reason } => {
            let next = format!("when the cause is removed, {again}");
            Err(Failure::new(Exit::Waiting, format!("the batch is paused: {reason}")).next(next))
        }
        End::Spilled { .. } => Err(Failure::other(end.to_string()).next(again)),
        _ => Err(Failure::new(Exit::Interrupted, "the batch was stopped").next(again)),
    }
}
