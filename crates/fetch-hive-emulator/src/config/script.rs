use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// A scripted event stream for a prompt or an agent.
///
/// The steps are played in order and written byte for byte.
///
/// ```
/// # use std::time::Duration;
/// # use fetch_hive_emulator::Script;
/// # use serde_json::json;
/// let script = Script::new()
///     .comment("thinking")
///     .wait(Duration::from_millis(50))
///     .text("Hello")
///     .event(&json!({"type": "tool", "tool": "search", "observation": "{}"}))
///     .event(&json!({"type": "usage", "stop_reason": "completed"}))
///     .done();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(crate) steps: VecDeque<ScriptStep>,
    /// The largest number of bytes in one write.
    pub(crate) chunk_size: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum ScriptStep {
    Write(Bytes),
    Wait(Duration),
    Disconnect,
}

impl Script {
    /// Creates a script of a stream that ends without any event.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event with JSON data.
    #[must_use]
    pub fn event(self, event: &Value) -> Self {
        self.raw(format!("data: {event}\n\n"))
    }

    /// Adds a `response` event with a part of the response text.
    #[must_use]
    pub fn text(self, text: &str) -> Self {
        self.event(&json!({"type": "response", "response": text}))
    }

    /// Adds a comment line, which clients ignore.
    #[must_use]
    pub fn comment(self, text: &str) -> Self {
        self.raw(format!(": {text}\n\n"))
    }

    /// Adds raw bytes, such as an incomplete event or a frame that is not JSON.
    #[must_use]
    pub fn raw(mut self, bytes: impl Into<Bytes>) -> Self {
        self.steps.push_back(ScriptStep::Write(bytes.into()));
        self
    }

    /// Adds the end marker `[DONE]`. Without it, the stream ends after the last step.
    #[must_use]
    pub fn done(self) -> Self {
        self.raw("data: [DONE]\n\n")
    }

    /// Adds a pause before the next step.
    #[must_use]
    pub fn wait(mut self, time: Duration) -> Self {
        self.steps.push_back(ScriptStep::Wait(time));
        self
    }

    /// Breaks the connection, 20 ms after the previous step so that the client reads it.
    #[must_use]
    pub fn disconnect(mut self) -> Self {
        self.steps.push_back(ScriptStep::Wait(Duration::from_millis(20)));
        self.steps.push_back(ScriptStep::Disconnect);
        self
    }

    /// Splits the stream into chunks of at most this many bytes. The minimum is 1.
    #[must_use]
    pub fn chunk_size(mut self, bytes: usize) -> Self {
        self.chunk_size = Some(bytes.max(1));
        self
    }
}
