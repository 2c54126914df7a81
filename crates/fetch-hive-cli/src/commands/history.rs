//! `fetch-hive history`.

use clap::Subcommand;
use fetch_hive_store::{HistoryEntry, StoreHistory};
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::table::Shape;
use crate::terminal::confirm;
use crate::text::{duration, utc_millis};

const LIST: Shape = Shape::List {
    key: "history",
    columns: &["number", "started", "operation", "target", "verdict", "request_id", "tokens", "duration"],
};

#[derive(Debug, Subcommand)]
pub(crate) enum History {
    /// List the last runs from this machine, newest first
    #[command(before_help = "Examples:\n  fetch-hive history list --limit 5\n  fetch-hive history list --jq \
                             '.history[] | select(.exit_code == 6)'")]
    List {
        /// The largest number of entries
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: u32,
    },
    /// Show an entry, with the arguments without secrets
    #[command(before_help = "Examples:\n  fetch-hive history show 12")]
    Show {
        /// The number of the entry
        number: i64,
    },
    /// Delete the history
    #[command(before_help = "Examples:\n  fetch-hive history clear --yes")]
    Clear,
}

pub(crate) async fn execute(command: History, context: &Context) -> Result<()> {
    let failed = |error: fetch_hive_store::StoreError| Failure::other(error.to_string());
    let history: StoreHistory = context.store().await?.history();
    match command {
        History::List { limit } => {
            let entries = history.list(limit).await.map_err(failed)?;
            let entries: Vec<Value> = entries.iter().map(entry).collect();
            print(context, LIST, &json!({ "history": entries }))
        }
        History::Show { number } => match history.get(number).await.map_err(failed)? {
            Some(found) => print(context, Shape::Record("entry"), &entry(&found)),
            None => Err(Failure::usage(format!("the history has no entry {number}")).next("see `history list`")),
        },
        History::Clear => {
            confirm(&context.globals, "Delete the history?")?;
            let deleted = history.clear().await.map_err(failed)?;
            context.out.note(&format!("deleted {deleted} entries"));
            Ok(())
        }
    }
}

fn print(context: &Context, shape: Shape, value: &Value) -> Result<()> {
    context.out.response(shape, value.to_string().as_bytes())
}

fn entry(entry: &HistoryEntry) -> Value {
    let outcome = entry.outcome.as_ref();
    json!({
        "number": entry.number,
        "started": utc_millis(entry.started),
        "arguments": entry.arguments,
        "operation": entry.operation,
        "target": entry.target,
        // A command without an outcome is running, or was killed while its run may have started.
        "verdict": outcome.map_or("no outcome", |outcome| outcome.verdict.as_str()),
        "exit_code": outcome.map(|outcome| outcome.exit_code),
        "request_id": entry.request_id,
        "tokens": outcome.and_then(|outcome| outcome.tokens),
        "duration": outcome.map(|outcome| duration(outcome.duration)),
        "error": outcome.and_then(|outcome| outcome.error.clone()),
    })
}
