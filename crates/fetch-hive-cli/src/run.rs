//! What the commands share that start a run: Ctrl-C, the history, the output and the notes.

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
use crate::history::{Learned, Record};
use crate::text;

/// The id of the run, which is shared with the code that handles Ctrl-C.
#[derive(Clone)]
pub(crate) struct RunId(Rc<watch::Sender<Option<String>>>);

impl RunId {
    fn new() -> Self {
        Self(Rc::new(watch::Sender::new(None)))
    }

    /// Sets the id when it is known first.
    pub(crate) fn set(&self, id: Option<&RequestId>) {
        let Some(id) = id else { return };
        self.0.send_if_modified(|known| {
            let is_new = known.is_none();
            known.get_or_insert_with(|| id.to_string());
            is_new
        });
    }

    fn get(&self) -> Option<String> {
        self.0.borrow().clone()
    }
}

/// Runs a command that starts a run: records it in the history, and stops at Ctrl-C.
pub(crate) async fn recorded<T>(
    context: &Context,
    operation: &str,
    target: Option<&str>,
    run: impl AsyncFnOnce(RunId) -> Result<(T, Learned)>,
) -> Result<T> {
    let record = Record::start(context, operation, target).await;
    let id = RunId::new();
    let mut ids = id.0.subscribe();
    let mut running = pin!(run(id.clone()));
    let result = loop {
        tokio::select! {
            result = &mut running => break result,
            _ = tokio::signal::ctrl_c() => break Err(interrupted(id.get().as_deref())),
            // Stored at once, so that it is left if the process is killed.
            Ok(()) = ids.changed() => {
                if let Some(id) = id.get() {
                    record.set_request_id(&id).await;
                }
            }
        }
    };
    record.finish(context, result).await
}

/// Describes what Ctrl-C does not stop.
fn interrupted(request_id: Option<&str>) -> Failure {
    Failure::new(Exit::Interrupted, "interrupted; a run that has started continues on the service, and is charged")
        .next(look_up(request_id))
        .request(request_id)
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

    /// Prints the summary, and returns what the history keeps of it.
    pub(crate) fn print(&self, context: &Context, started: Instant) -> Learned {
        let mut parts = Vec::new();
        parts.extend(self.request_id.map(ToString::to_string));
        parts.extend(self.model.map(str::to_owned));
        parts.extend(self.usage.and_then(TokenUsage::total).map(|total| format!("{total} tokens")));
        if self.attempts > 1 {
            parts.push(format!("{} attempts, {} between them", self.attempts, text::duration(self.waited)));
        }
        parts.push(text::duration(started.elapsed()));
        context.out.note(&text::one_line(&parts.join(" · ")));
        Learned { request_id: self.request_id.map(ToString::to_string), tokens: self.usage.and_then(TokenUsage::total) }
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
