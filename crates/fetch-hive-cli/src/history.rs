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

/// What a successful command learned about its run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Learned {
    pub(crate) request_id: Option<String>,
    pub(crate) tokens: Option<u64>,
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

    /// Stores the outcome, and returns the result.
    pub(crate) async fn finish<T>(self, context: &Context, result: Result<(T, Learned)>) -> Result<T> {
        if let Some((history, number)) = &self.history {
            let outcome = self.outcome(&result);
            if let Err(error) = history.finish(*number, &outcome).await {
                context.out.warn(&format!("the outcome is not in the history: {error}"));
            }
        }
        result.map(|(value, _)| value)
    }

    fn outcome<T>(&self, result: &Result<(T, Learned)>) -> HistoryOutcome {
        let duration = self.started.elapsed();
        match result {
            Ok((_, learned)) => HistoryOutcome {
                verdict: Exit::Success.name().to_owned(),
                exit_code: 0,
                duration,
                request_id: learned.request_id.clone(),
                tokens: learned.tokens,
                error: None,
            },
            Err(failure) => HistoryOutcome {
                verdict: failure.exit.name().to_owned(),
                exit_code: failure.exit.code(),
                duration,
                request_id: failure.request_id.clone(),
                tokens: None,
                error: Some(redact::text(&failure.text)),
            },
        }
    }
}
