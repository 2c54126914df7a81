use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fetch_hive_core::callback::EventKey;

use crate::BoxError;

/// Keeps a handler from running twice for one event, which the service delivers more than once.
///
/// An event is claimed before its handler runs, committed when the handler took it, and released when the handler failed. A claim holds no
/// longer than its lease: if the process is killed in between, the event can be claimed again when the lease is over.
///
/// [`MemoryDedupStore`] does for one process. Processes that share the work share a store: implement this over yours. All three methods must be
/// atomic there.
#[async_trait]
pub trait DedupStore: Send + Sync + 'static {
    /// Claims an event for as long as the lease, if nobody else has it and it was not committed.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from being asked. The handler does not run, and the event is to be delivered again.
    async fn claim(&self, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError>;

    /// Notes for good that the event was handled. A handler that wrote to the same store can have done this itself, together with its own
    /// work: committing the same claim again does nothing.
    ///
    /// # Errors
    ///
    /// [`ClaimLost`] when the lease ran out and another claimed the event since; whatever kept the store from being asked.
    async fn commit(&self, claim: &Claim) -> Result<(), BoxError>;

    /// Gives the event back, so that the next delivery is handled. A claim that was lost is left alone.
    ///
    /// # Errors
    ///
    /// Whatever kept the store from being asked. The event is free when the lease is over.
    async fn release(&self, claim: &Claim) -> Result<(), BoxError>;
}

/// The answer to a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// The event is the caller's.
    Acquired(Claim),
    /// Somebody else has it, and may fail yet.
    InProgress,
    /// It was handled before.
    AlreadyHandled,
}

/// The right to handle an event, for the time of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claim {
    /// The event.
    pub key: EventKey,
    /// Tells this claim from earlier and later ones of the same event: who comes back after the lease must not commit for another.
    pub number: u64,
}

impl Claim {
    /// A claim, as a guard gives it.
    pub fn new(key: EventKey, number: u64) -> Self {
        Self { key, number }
    }
}

/// The lease of a claim ran out, and the event was claimed by another since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease ran out before the handler was done, and another has claimed the event")]
pub struct ClaimLost;

/// A guard in memory: for a service of one process. What it knows ends with the process.
pub struct MemoryDedupStore {
    state: Mutex<State>,
    max_events: usize,
    max_age: Duration,
}

#[derive(Default)]
struct State {
    events: HashMap<EventKey, Slot>,
    /// The claims in the order they were made, with what may have been taken out of `events` since.
    order: VecDeque<(Instant, EventKey, u64)>,
    claims: u64,
}

struct Slot {
    number: u64,
    /// When the lease ends; none once committed.
    until: Option<Instant>,
}

impl MemoryDedupStore {
    /// A guard that remembers 100,000 events, each for 24 hours. For how long the service delivers again is unknown.
    pub fn new() -> Self {
        Self { state: Mutex::default(), max_events: 100_000, max_age: Duration::from_secs(24 * 60 * 60) }
    }

    /// How many events are remembered; the oldest that was handled makes room. An event takes about 400 bytes.
    #[must_use]
    pub fn max_events(mut self, events: usize) -> Self {
        self.max_events = events.max(1);
        self
    }

    /// How long an event is remembered.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    fn claim_at(&self, now: Instant, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.forget_old(now, self.max_age);
        match state.events.get(key).map(|slot| slot.until) {
            Some(None) => return Ok(ClaimResult::AlreadyHandled),
            Some(Some(until)) if until > now => return Ok(ClaimResult::InProgress),
            Some(_) => {}
            None if state.events.len() < self.max_events || state.make_room(now) => {}
            None => return Err("as many events are being handled as the guard may remember".into()),
        }
        state.drop_superseded();
        state.claims += 1;
        let number = state.claims;
        // A lease beyond what the clock can count lasts for a year.
        let until = now.checked_add(lease).unwrap_or(now + Duration::from_secs(365 * 24 * 60 * 60));
        state.events.insert(key.clone(), Slot { number, until: Some(until) });
        state.order.push_back((now, key.clone(), number));
        Ok(ClaimResult::Acquired(Claim::new(key.clone(), number)))
    }
}

impl State {
    /// Whether a claim of the order may be forgotten: it was committed, or is not in force any more.
    fn is_over(&self, now: Instant, key: &EventKey, number: u64) -> bool {
        let slot = self.events.get(key).filter(|slot| slot.number == number);
        slot.is_none_or(|slot| slot.until.is_none_or(|until| until <= now))
    }

    fn forget(&mut self, key: &EventKey, number: u64) -> bool {
        let is_its_own = self.events.get(key).is_some_and(|slot| slot.number == number);
        if is_its_own {
            self.events.remove(key);
        }
        is_its_own
    }

    /// An event that fails again and again leaves a claim behind each time, which must not pile up behind an older one that stands.
    fn drop_superseded(&mut self) {
        if self.order.len() > 2 * self.events.len() + 16 {
            let events = &self.events;
            self.order.retain(|(_, key, number)| events.get(key).is_some_and(|slot| slot.number == *number));
        }
    }

    fn forget_old(&mut self, now: Instant, age: Duration) {
        while let Some((at, key, number)) = self.order.front() {
            let superseded = self.events.get(key).is_none_or(|slot| slot.number != *number);
            if !superseded && (now.saturating_duration_since(*at) < age || !self.is_over(now, key, *number)) {
                return;
            }
            let Some((_, key, number)) = self.order.pop_front() else { return };
            self.forget(&key, number);
        }
    }

    fn make_room(&mut self, now: Instant) -> bool {
        while let Some(at) = self.order.iter().position(|(_, key, number)| self.is_over(now, key, *number)) {
            let Some((_, key, number)) = self.order.remove(at) else { return false };
            if self.forget(&key, number) {
                return true;
            }
        }
        false
    }
}

impl Default for MemoryDedupStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl DedupStore for MemoryDedupStore {
    async fn claim(&self, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError> {
        self.claim_at(Instant::now(), key, lease)
    }

    async fn commit(&self, claim: &Claim) -> Result<(), BoxError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.events.get_mut(&claim.key).filter(|slot| slot.number == claim.number) {
            Some(slot) => {
                slot.until = None;
                Ok(())
            }
            None => Err(ClaimLost.into()),
        }
    }

    async fn release(&self, claim: &Claim) -> Result<(), BoxError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.events.get(&claim.key).is_some_and(|slot| slot.until.is_some()) {
            state.forget(&claim.key, claim.number);
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryDedupStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remembered = self.state.lock().unwrap_or_else(PoisonError::into_inner).events.len();
        f.debug_struct("MemoryDedupStore")
            .field("remembered", &remembered)
            .field("max_events", &self.max_events)
            .field("max_age", &self.max_age)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use fetch_hive_core::callback::{Verifier, signed_request};

    use super::*;

    fn key(n: usize) -> EventKey {
        let request = signed_request("s", format!(r#"{{"event_type":"a.b","request_id":"req_{n}"}}"#));
        Verifier::new(["s"]).verify(request.headers(), request.body().clone()).unwrap().key()
    }

    fn claim(guard: &MemoryDedupStore, now: Instant, n: usize) -> ClaimResult {
        guard.claim_at(now, &key(n), Duration::from_secs(10)).unwrap()
    }

    fn claimed(guard: &MemoryDedupStore, now: Instant, n: usize) -> Claim {
        let ClaimResult::Acquired(claim) = claim(guard, now, n) else { panic!("event {n} is not free") };
        claim
    }

    fn commit(guard: &MemoryDedupStore, claim: &Claim) -> Result<(), BoxError> {
        pollster::block_on(guard.commit(claim))
    }

    #[test]
    fn an_event_is_handled_once_and_given_back_when_its_handler_fails_or_dies() {
        let guard = MemoryDedupStore::new();
        let now = Instant::now();
        let first = claimed(&guard, now, 1);
        assert_eq!(claim(&guard, now, 1), ClaimResult::InProgress);
        claimed(&guard, now, 2);
        pollster::block_on(guard.release(&first)).unwrap();
        let second = claimed(&guard, now, 1);
        // Killed: nobody releases. The event is free when the lease is over, and whoever comes back then is too late.
        let late = now + Duration::from_secs(11);
        let third = claimed(&guard, late, 1);
        assert!(commit(&guard, &second).unwrap_err().is::<ClaimLost>());
        pollster::block_on(guard.release(&second)).unwrap();
        assert_eq!(claim(&guard, late, 1), ClaimResult::InProgress);
        commit(&guard, &third).unwrap();
        commit(&guard, &third).unwrap();
        pollster::block_on(guard.release(&third)).unwrap();
        assert_eq!(claim(&guard, late + Duration::from_secs(3600), 1), ClaimResult::AlreadyHandled);
    }

    #[test]
    fn it_remembers_no_more_and_no_longer_than_it_may() {
        let guard = MemoryDedupStore::new().max_events(3).max_age(Duration::from_secs(100));
        let now = Instant::now();
        let held = claimed(&guard, now, 0);
        for n in 1..10 {
            commit(&guard, &claimed(&guard, now, n)).unwrap();
            let state = guard.state.lock().unwrap();
            assert!(state.events.len() <= 3 && state.order.len() <= 4, "{n}");
        }
        assert_eq!((claim(&guard, now, 9), claim(&guard, now, 8)), (ClaimResult::AlreadyHandled, ClaimResult::AlreadyHandled));
        assert_eq!(claim(&guard, now, 0), ClaimResult::InProgress, "what is being handled makes no room");
        commit(&guard, &held).unwrap();
        let old = now + Duration::from_secs(101);
        claimed(&guard, old, 9);
        assert_eq!(guard.state.lock().unwrap().events.len(), 1);
        for n in 10..12 {
            claimed(&guard, old, n);
        }
        assert!(guard.claim_at(old, &key(12), Duration::ZERO).is_err());
        // Leases that nobody ended make room in the end.
        claimed(&guard, old + Duration::from_secs(20), 12);
    }

    #[test]
    fn an_event_that_fails_again_and_again_takes_no_more_room() {
        let guard = MemoryDedupStore::new();
        let now = Instant::now();
        commit(&guard, &claimed(&guard, now, 0)).unwrap();
        for _ in 0..1_000 {
            pollster::block_on(guard.release(&claimed(&guard, now, 1))).unwrap();
        }
        let length = guard.state.lock().unwrap().order.len();
        assert!(length < 40, "{length}");
        assert_eq!(claim(&guard, now, 0), ClaimResult::AlreadyHandled);
    }
}
