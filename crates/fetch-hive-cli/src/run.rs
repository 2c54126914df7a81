//! What the commands share that start a run: Ctrl-C, the history, the output and the notes.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fetch_hive_client::ApiResponseParts;
use fetch_hive_client::types::{RequestId, TokenUsage};
use serde_json::Value;
use tokio::sync::watch;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result, look_up};
use crate::history::Record;
use crate::text;

/// What is known about the run, also if the command is interrupted or cannot print the result.
#[derive(Clone, Default)]
pub(crate) struct RunInfo {
    request_id: Rc<watch::Sender<Option<String>>>,
    tokens: Rc<Cell<Option<u64>>>,
}

impl RunInfo {
    /// Sets the id when it is known first.
    pub(crate) fn set_id(&self, id: Option<impl ToString>) {
        let Some(id) = id else { return };
        self.request_id.send_if_modified(|known| {
            let is_new = known.is_none();
            known.get_or_insert_with(|| id.to_string());
            is_new
        });
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.request_id.borrow().clone()
    }
}

/// Runs a command that starts a run: records it in the history, and stops at Ctrl-C.
pub(crate) async fn recorded<T>(
    context: &Context,
    operation: &str,
    target: Option<&str>,
    run: impl AsyncFnOnce(RunInfo) -> Result<T>,
) -> Result<T> {
    let record = Record::start(context, operation, target).await;
    let info = RunInfo::default();
    let mut ids = info.request_id.subscribe();
    let result = {
        let mut running = pin!(run(info.clone()));
        loop {
            tokio::select! {
                result = &mut running => break result,
                _ = tokio::signal::ctrl_c() => break Err(interrupted(context)),
                // Stored at once, so that it is left if the process is killed.
                Ok(()) = ids.changed() => {
                    if let Some(id) = info.request_id() {
                        record.set_request_id(&id).await;
                    }
                }
            }
        }
    };
    let result = result.map_err(|failure| complete(failure, info.request_id()));
    record.finish(context, info.request_id(), info.tokens.get(), &result).await;
    result
}

/// Adds the id of the run and the next step to a failure.
fn complete(mut failure: Failure, request_id: Option<String>) -> Failure {
    failure.request_id = failure.request_id.or(request_id);
    let id = failure.request_id.as_deref();
    failure.next = failure.next.or_else(|| Some(look_up(id)));
    failure
}

/// Describes what Ctrl-C does not stop.
fn interrupted(context: &Context) -> Failure {
    let text = if context.emulates() {
        "interrupted"
    } else {
        "interrupted; a run that has started continues on the service, and is charged"
    };
    Failure::new(Exit::Interrupted, text)
}

/// What is printed to standard error about a finished run.
#[derive(Debug, Default)]
pub(crate) struct Summary<'a> {
    pub(crate) request_id: Option<&'a RequestId>,
    pub(crate) model: Option<&'a str>,
    pub(crate) usage: Option<&'a TokenUsage>,
    pub(crate) attempts: u32,
    pub(crate) waited: Duration,
}

impl<'a> Summary<'a> {
    /// Creates the summary of a response, without a model and tokens.
    pub(crate) fn new(request_id: Option<&'a RequestId>, parts: &ApiResponseParts) -> Self {
        Self { request_id, model: None, usage: None, attempts: parts.attempts, waited: parts.waited }
    }

    /// Prints the summary, and keeps the id and the tokens for the history.
    pub(crate) fn print(&self, context: &Context, started: Instant, info: &RunInfo) {
        info.set_id(self.request_id);
        info.tokens.set(self.usage.and_then(TokenUsage::total));
        let mut parts = Vec::new();
        parts.extend(self.request_id.map(ToString::to_string));
        parts.extend(self.model.map(str::to_owned));
        parts.extend(self.usage.and_then(TokenUsage::total).map(|total| format!("{total} tokens")));
        if self.attempts > 1 {
            parts.push(format!("{} attempts, {} between them", self.attempts, text::duration(self.waited)));
        }
        parts.push(text::duration(started.elapsed()));
        context.out.note(&text::one_line(&parts.join(" · ")));
    }
}

/// Returns the output of a run as text. Values other than strings are JSON.
pub(crate) fn output_text(output: &Value) -> String {
    match output {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}
