//! The progress of a batch on a terminal, in a log or as JSON.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use fetch_hive_batch::{Progress, RowStatus};
use indicatif::ProgressBar;

use crate::output::Output;
use crate::text::{grouped, rounded, utc};

/// The template of the progress bar. A narrow terminal cuts the end of the message.
pub(super) const BAR: &str = "{bar:12} {wide_msg}";

/// How often progress is printed without a terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// A wait of at least this time is explained.
const LONG_WAIT: Duration = Duration::from_secs(60);

/// Prints progress as a bar, as a line every 30 s, or as JSON.
pub(super) struct Reporter {
    batch: String,
    out: Output,
    is_json: bool,
    max_runs_per_day: Option<u64>,
    bar: ProgressBar,
    last: Mutex<Last>,
}

/// What was printed last.
#[derive(Default)]
struct Last {
    line: Option<Instant>,
    wait: Option<String>,
}

impl Reporter {
    pub(super) fn new(
        batch: &str,
        out: &Output,
        is_json: bool,
        max_runs_per_day: Option<u64>,
        bar: ProgressBar,
    ) -> Self {
        let (batch, out) = (batch.to_owned(), out.clone());
        Self { batch, out, is_json, max_runs_per_day, bar, last: Mutex::default() }
    }

    pub(super) fn report(&self, progress: &Progress) {
        if self.is_json {
            eprintln!("{}", json(progress));
            return;
        }
        let Ok(mut last) = self.last.lock() else { return };
        let wait = self.wait(progress);
        if let Some(wait) = wait.as_ref().filter(|wait| last.wait.as_ref() != Some(wait)) {
            self.bar.suspend(|| self.out.note(wait));
        }
        last.wait = wait;
        let line = progress_line(progress, self.max_runs_per_day);
        if !self.bar.is_hidden() {
            self.bar.set_length(progress.rows());
            self.bar.set_position(progress.done());
            self.bar.set_message(line);
        } else if last.line.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            last.line = Some(Instant::now());
            self.out.note(&line);
        }
    }

    /// Explains a long wait.
    fn wait(&self, progress: &Progress) -> Option<String> {
        let name = &self.batch;
        if let Some(until) = progress.slots_held_until {
            return Some(format!(
                "waits for a run slot until {}: all slots are held by runs that may still be in progress; \
                 `fetch-hive batch unknown {name}` lists rows with such runs",
                utc(until)
            ));
        }
        let until = progress.paused_until?;
        let is_long = until.duration_since(SystemTime::now()).is_ok_and(|left| left >= LONG_WAIT);
        is_long.then(|| {
            format!(
                "waits until {}; you can stop the command with Ctrl-C and repeat it later, and \
                 `fetch-hive batch export {name} --out FILE` writes the results so far",
                utc(until)
            )
        })
    }
}

/// Formats progress such as `412/2,024  ok 405  failed 3  unknown 1  3 running  21 min left`.
pub(super) fn progress_line(progress: &Progress, max_runs_per_day: Option<u64>) -> String {
    let mut parts = vec![format!("{}/{}", grouped(progress.done()), grouped(progress.rows()))];
    let shown = [
        ("ok", RowStatus::Succeeded, true),
        ("failed", RowStatus::Failed, true),
        ("rejected", RowStatus::Rejected, false),
        ("unknown", RowStatus::Unknown, true),
    ];
    for (name, status, always) in shown {
        let count = progress.count(status);
        if always || count > 0 {
            parts.push(format!("{name} {}", grouped(count)));
        }
    }
    parts.push(format!("{} running", progress.running()));
    parts.extend(progress.time_left.map(|left| format!("{} left", rounded(left))));
    let limit = max_runs_per_day.map_or_else(String::new, |limit| format!("/{}", grouped(limit)));
    parts.push(format!("today {}{limit}", grouped(progress.runs_today)));
    if progress.unsaved > 0 {
        parts.push(format!("{} not stored yet", progress.unsaved));
    }
    let until = progress.paused_until.or(progress.slots_held_until);
    parts.extend(until.map(|until| format!("waits until {}", utc(until))));
    parts.extend(progress.paused.as_ref().map(|reason| format!("paused: {reason}")));
    parts.join("  ")
}

fn json(progress: &Progress) -> serde_json::Value {
    serde_json::json!({
        "rows": progress.rows(),
        "done": progress.done(),
        "succeeded": progress.count(RowStatus::Succeeded),
        "failed": progress.count(RowStatus::Failed),
        "rejected": progress.count(RowStatus::Rejected),
        "unknown": progress.count(RowStatus::Unknown),
        "running": progress.running(),
        "runs_today": progress.runs_today,
        "tokens": progress.tokens,
        "paused": progress.paused,
        "paused_until": progress.paused_until.map(utc),
        "slots_held_until": progress.slots_held_until.map(utc),
        "rows_per_minute": progress.rows_per_minute,
        "seconds_left": progress.time_left.map(|left| left.as_secs()),
        "unsaved": progress.unsaved,
    })
}
