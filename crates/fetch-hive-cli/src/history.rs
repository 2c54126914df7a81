//! Records a command in the history before it sends anything.

use std::time::Instant;

use fetch_hive_store::{HistoryOutcome, StoreHistory};

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::redact;

/// An entry of the history that is open while a command runs.
pub(crate) struct Record {
    history: Option<(StoreHistory, i64)>,
    started: Instant,
}

impl Record {
    /// Opens an entry. If the store fails, the command continues, because the history is only a
    /// help.
    pub(crate) async fn start(context: &Context, operation: &str, target: Option<&str>) -> Self {
        let mut record = Self { history: None, started: Instant::now() };
        if !context.records_history() {
            return record;
        }
        let arguments = redact::command_line().join(" ");
        let opened = async {
            let history = context.store().await?.history();
            let number = history.start(&arguments, operation, target).await;
            Ok::<_, Failure>((history, number.map_err(|error| Failure::other(error.to_string()))?))
        };
        match opened.await {
            Ok(opened) => record.history = Some(opened),
            Err(failure) => context.out.warn(&format!("this command is not in the history: {failure}")),
        }
        record
    }

    /// Stores the id of a run as soon as it is known.
    pub(crate) async fn set_request_id(&self, request_id: &str) {
        if let Some((history, number)) = &self.history {
            // The outcome contains it again.
            let _ = history.set_request_id(*number, request_id).await;
        }
    }

    /// Stores the outcome.
    pub(crate) async fn finish<T>(
        self,
        context: &Context,
        request_id: Option<String>,
        tokens: Option<u64>,
        result: &Result<T>,
    ) {
        let Some((history, number)) = &self.history else { return };
        let failure = result.as_ref().err();
        let exit = failure.map_or(Exit::Success, |failure| failure.exit);
        let outcome = HistoryOutcome {
            verdict: exit.name().to_owned(),
            exit_code: exit.code(),
            duration: self.started.elapsed(),
            request_id: failure.and_then(|failure| failure.request_id.clone()).or(request_id),
            tokens,
            // A closed pipe has no text.
            error: failure.filter(|failure| !failure.text.is_empty()).map(|failure| redact::text(&failure.text)),
        };
        if let Err(error) = history.finish(*number, &outcome).await {
            context.out.warn(&format!("the outcome is not in the history: {error}"));
        }
    }
}
