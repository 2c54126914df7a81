use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Something that goes wrong with the delivery of callbacks. Several may meet one event.
///
/// ```
/// # use std::time::Duration;
/// # use fetch_hive_emulator::DeliveryFault;
/// // Each tenth event is delivered twice; the third comes late, and its first try is signed with another secret.
/// let faults = [
///     DeliveryFault::repeat(1).every(10),
///     DeliveryFault::late(Duration::from_secs(2)).nth(3),
///     DeliveryFault::missign().nth(3).first_tries(1),
/// ];
/// ```
#[derive(Clone, Debug)]
pub struct DeliveryFault {
    pub(crate) action: Action,
    event_type: Option<String>,
    nth: Option<u64>,
    every: u64,
    offset: u64,
    tries: u32,
    seen: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Early,
    Late(Duration),
    Repeat(u32),
    Reorder,
    Corrupt,
    Missign,
    Unsigned,
}

impl DeliveryFault {
    fn new(action: Action) -> Self {
        Self { action, event_type: None, nth: None, every: 1, offset: 0, tries: u32::MAX, seen: 0 }
    }

    /// The callback is delivered before the invocation is answered. Not by event type: the runs are counted as they are accepted.
    pub fn early() -> Self {
        Self::new(Action::Early)
    }

    /// The first try comes this much later.
    pub fn late(by: Duration) -> Self {
        Self::new(Action::Late(by))
    }

    /// It is delivered so many times more after a receiver has taken it.
    pub fn repeat(times: u32) -> Self {
        Self::new(Action::Repeat(times))
    }

    /// It waits until another event was tried, or five seconds.
    pub fn reorder() -> Self {
        Self::new(Action::Reorder)
    }

    /// One bit of the body is changed after it was signed.
    pub fn corrupt() -> Self {
        Self::new(Action::Corrupt)
    }

    /// It is signed with another secret.
    pub fn missign() -> Self {
        Self::new(Action::Missign)
    }

    /// It has no signature.
    pub fn unsigned() -> Self {
        Self::new(Action::Unsigned)
    }

    /// Only for events of one type, such as `workflow.completed`.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Only for the nth event that it could meet, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }

    /// Only for each nth event that it could meet.
    #[must_use]
    pub fn every(mut self, nth: u64) -> Self {
        self.every = nth.max(1);
        self
    }

    /// Counts the events for [`every`](Self::every) from after the nth on: `every(10).offset(3)` meets the 13th, the 23rd, …
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.offset = offset;
        self
    }

    /// Only for the first tries of each event: what is corrupt, signed wrongly or not signed is right after them.
    #[must_use]
    pub fn first_tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    fn meets(&mut self, event_type: &str) -> bool {
        if self.event_type.as_ref().is_some_and(|only| only != event_type) {
            return false;
        }
        self.seen += 1;
        match self.nth {
            Some(nth) => self.seen == nth,
            None => self.seen > self.offset && (self.seen - self.offset) % self.every == 0,
        }
    }
}

/// The faults of deliveries in force.
#[derive(Debug, Default)]
pub(crate) struct DeliveryFaults(Mutex<Vec<DeliveryFault>>);

impl DeliveryFaults {
    pub(crate) fn add(&self, fault: DeliveryFault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whether the next run that is accepted calls back before it is answered.
    pub(crate) fn is_early(&self) -> bool {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let early = faults.iter_mut().filter(|fault| fault.action == Action::Early);
        // Each of them counts the run, so none may be skipped.
        early.map(|fault| fault.meets("")).filter(|meets| *meets).count() > 0
    }

    /// What goes wrong with the delivery of an event.
    pub(crate) fn of(&self, event_type: &str) -> Plan {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let others = faults.iter_mut().filter(|fault| fault.action != Action::Early);
        Plan(others.filter_map(|fault| fault.meets(event_type).then_some((fault.action, fault.tries))).collect())
    }
}

/// What goes wrong with one event.
#[derive(Debug, Default)]
pub(crate) struct Plan(Vec<(Action, u32)>);

impl Plan {
    pub(crate) fn late(&self) -> Duration {
        self.0.iter().map(|(action, _)| if let Action::Late(by) = action { *by } else { Duration::ZERO }).sum()
    }

    pub(crate) fn repeats(&self) -> u32 {
        self.0.iter().map(|(action, _)| if let Action::Repeat(times) = action { *times } else { 0 }).sum()
    }

    pub(crate) fn does(&self, wanted: Action, attempt: u32) -> bool {
        self.0.iter().any(|(action, tries)| *action == wanted && attempt <= *tries)
    }
}
