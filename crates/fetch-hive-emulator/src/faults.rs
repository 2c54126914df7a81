//! The faults in force, and what they do.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::callback_fault::{Plan, Wrong};
use crate::fault::{Action, Connecting, Fault};
use crate::reply::{Broken, Reply, cut, raw};
use crate::wire::Takeover;

/// Faults, asked in their order.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(Mutex::new(faults.into_iter().collect()))
    }
}

impl Faults {
    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// What goes wrong with a request to an operation.
    fn request(&self, operation: &str) -> Option<Fault> {
        let is_of_request = |action: &Action| !matches!(action, Action::Connection(_) | Action::Callback(_));
        self.first(|fault| is_of_request(&fault.action) && fault.is_of(operation))
    }

    /// What goes wrong with a new connection.
    pub(crate) fn connection(&self) -> Option<Connecting> {
        match self.first(|fault| matches!(fault.action, Action::Connection(_)))?.action {
            Action::Connection(connecting) => Some(connecting),
            _ => None,
        }
    }

    fn first(&self, meets: impl Fn(&Fault) -> bool) -> Option<Fault> {
        self.lock().iter_mut().filter(|fault| meets(fault)).find_map(|fault| fault.strikes().then(|| fault.clone()))
    }

    /// What goes wrong with callbacks, in all the ways that `meets` lets through.
    fn callback(&self, meets: impl Fn(Wrong, &Fault) -> bool) -> Vec<(Wrong, u32)> {
        let mut faults = self.lock();
        let struck = faults.iter_mut().filter_map(|fault| match fault.action {
            Action::Callback(wrong) if meets(wrong, fault) => fault.strikes().then_some((wrong, fault.tries)),
            _ => None,
        });
        struck.collect()
    }
}

impl Fault {
    fn is_of(&self, operation: &str) -> bool {
        self.operation.as_ref().is_none_or(|id| id == operation)
    }
}

/// Which operation a request is to, and the faults that it asks for itself.
#[derive(Clone, Default)]
pub(crate) struct Cause {
    /// Its name in the contract; empty where there is none.
    pub(crate) operation: &'static str,
    pub(crate) asked: Arc<Faults>,
}

impl Cause {
    /// What goes wrong with the request.
    pub(crate) fn request_fault(&self, everywhere: &Faults) -> Option<Fault> {
        self.asked.request(self.operation).or_else(|| everywhere.request(self.operation))
    }

    /// Whether the run that it started calls back before the request is answered.
    pub(crate) fn is_early(&self, everywhere: &Faults) -> bool {
        let early = |wrong, fault: &Fault| wrong == Wrong::Early && fault.is_of(self.operation);
        // Each counts the run, so none may be skipped.
        let (asked, others) = (self.asked.callback(early), everywhere.callback(early));
        !asked.is_empty() || !others.is_empty()
    }

    /// What goes wrong with the callback of an event of the run that it started.
    pub(crate) fn callback_faults(&self, everywhere: &Faults, event_type: &str) -> Plan {
        let meets = |wrong, fault: &Fault| {
            let is_of_type = fault.event_type.as_ref().is_none_or(|only| only == event_type);
            wrong != Wrong::Early && is_of_type && fault.is_of(self.operation)
        };
        Plan([self.asked.callback(meets), everywhere.callback(meets)].concat())
    }
}

impl Action {
    /// Does it to a request; nothing where the operation is only delayed.
    pub(crate) async fn strike(self, takeover: &Takeover) -> Option<Result<Reply, Broken>> {
        match self {
            Self::Reply { status, headers, body, cut: None } => Some(Ok(raw(status, &headers, body))),
            Self::Reply { status, headers, body, cut: Some(end) } => {
                Some(Ok(cut(status, &headers, &body, end, takeover)))
            }
            Self::Delay(delay) => {
                tokio::time::sleep(delay).await;
                None
            }
            Self::Hang => std::future::pending().await,
            Self::Close => Some(Err(Broken(None))),
            Self::ResetStream(reason) => Some(Err(Broken(Some(h2::Reason::from(reason).into())))),
            Self::Raw(bytes, end) => {
                takeover.ask(bytes, end);
                std::future::pending().await
            }
            Self::Connection(_) | Self::Callback(_) => None,
        }
    }
}

/// Carries an operation out with a fault before or after it.
pub(crate) async fn around(
    fault: Option<Fault>,
    takeover: &Takeover,
    operation: impl Future<Output = Reply>,
) -> Result<Reply, Broken> {
    let Some(Fault { action, after_run, .. }) = fault else { return Ok(operation.await) };
    let mut operation = pin!(operation);
    if after_run {
        let reply = operation.as_mut().await;
        return action.strike(takeover).await.unwrap_or(Ok(reply));
    }
    match action.strike(takeover).await {
        Some(ended) => ended,
        None => Ok(operation.await),
    }
}
