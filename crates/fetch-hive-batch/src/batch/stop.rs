use std::sync::Arc;

use tokio::sync::watch;

/// A handle for stopping workers. All clones stop the same workers.
#[derive(Clone, Debug)]
pub struct Stop(Arc<watch::Sender<Level>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Run,
    /// No new rows start, but running rows finish.
    Finish,
    /// Requests in flight are aborted, and their rows become unknown.
    Abandon,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Creates a handle.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Level::Run)))
    }

    /// Requests a stop, for example when the process receives a signal.
    ///
    /// After the first call, no new rows start, and the workers return when the running rows have
    /// finished. After the second call, the workers return immediately. Rows whose requests are in
    /// flight then become unknown, and another worker settles the rows that were accepted.
    pub fn request(&self) {
        self.0.send_modify(|level| {
            *level = if *level == Level::Run { Level::Finish } else { Level::Abandon };
        });
    }

    /// Returns whether a stop was requested.
    pub fn is_requested(&self) -> bool {
        self.level() > Level::Run
    }

    pub(super) fn level(&self) -> Level {
        *self.0.borrow()
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Level> {
        self.0.subscribe()
    }
}
