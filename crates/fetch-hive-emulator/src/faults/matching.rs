//! The active faults, and the choice of the ones that apply.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::faults::callback::{CallbackFault, CallbackFaults};
use crate::faults::error::FaultError;
use crate::faults::fault::{Action, ConnectionFault, Fault};

/// A list of faults, in the order in which they are matched.
#[derive(Debug, Default)]
pub(crate) struct FaultList(Mutex<Vec<Fault>>);

impl FromIterator<Fault> for FaultList {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(Mutex::new(faults.into_iter().collect()))
    }
}

impl FaultList {
    fn lock(&self) -> MutexGuard<'_, Vec<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Checks that every fault can apply.
    pub(crate) fn validate(&self, tls: bool) -> Result<(), FaultError> {
        self.lock().iter().try_for_each(|fault| fault.validate_for_emulator(tls))
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Returns the faults in text form.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.lock().iter().map(ToString::to_string).collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Returns the fault of a new connection.
    pub(crate) fn connection(&self) -> Option<ConnectionFault> {
        match self.first(|fault| matches!(fault.action, Action::Connection(_)))?.action {
            Action::Connection(fault) => Some(fault),
            _ => None,
        }
    }

    fn request(&self, operation: &str) -> Option<Fault> {
        let is_of_request = |action: &Action| !matches!(action, Action::Connection(_) | Action::Callback(_));
        self.first(|fault| is_of_request(&fault.action) && fault.matches_operation(operation))
    }

    /// Returns the first matching fault that applies.
    fn first(&self, matches: impl Fn(&Fault) -> bool) -> Option<Fault> {
        self.lock().iter_mut().filter(|fault| matches(fault)).find_map(|fault| fault.applies().then(|| fault.clone()))
    }

    /// Returns all matching callback faults that apply.
    fn callback(&self, matches: impl Fn(CallbackFault, &Fault) -> bool) -> Vec<(CallbackFault, u32)> {
        let mut faults = self.lock();
        let applied = faults.iter_mut().filter_map(|fault| match fault.action {
            Action::Callback(action) if matches(action, fault) => fault.applies().then_some((action, fault.attempts)),
            _ => None,
        });
        applied.collect()
    }
}

impl Fault {
    fn matches_operation(&self, operation: &str) -> bool {
        self.operation.as_ref().is_none_or(|id| id == operation)
    }
}

/// The origin of a run: the operation that started it, and the faults of its request header.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    /// The operation id, or an empty string if no operation matches the request.
    pub(crate) operation: &'static str,
    pub(crate) header_faults: Arc<FaultList>,
}

impl Origin {
    /// Returns the fault of the request. The faults of its header come first.
    pub(crate) fn request_fault(&self, faults: &FaultList) -> Option<Fault> {
        self.header_faults.request(self.operation).or_else(|| faults.request(self.operation))
    }

    /// Returns whether the callback of the run is delivered before the response to the request.
    pub(crate) fn has_early_callback(&self, faults: &FaultList) -> bool {
        let early = |action, fault: &Fault| action == CallbackFault::Early && fault.matches_operation(self.operation);
        // Both lists count the run, so evaluate both.
        let (from_header, others) = (self.header_faults.callback(early), faults.callback(early));
        !from_header.is_empty() || !others.is_empty()
    }

    /// Returns the faults of an event's callback.
    pub(crate) fn callback_faults(&self, faults: &FaultList, event_type: &str) -> CallbackFaults {
        let matches = |action, fault: &Fault| {
            let matches_type = fault.event_type.as_ref().is_none_or(|only| only == event_type);
            action != CallbackFault::Early && matches_type && fault.matches_operation(self.operation)
        };
        CallbackFaults([self.header_faults.callback(matches), faults.callback(matches)].concat())
    }
}
