use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_core::callback::{Claim, EventKey};

use crate::BoxError;
use crate::clock::{Instant, later};

/// A store for handled events, which prevents a handler from running again when the service
/// redelivers an event.
///
/// The [`Receiver`](super::Receiver) claims an event before the handler runs, commits the claim
/// when the handler succeeds, and releases the claim when the handler fails. If the process is
/// killed while a handler runs, the claim expires with its lease, and a later redelivery is handled
/// again.
///
/// [`MemoryDedupStore`] works within one process. If several processes receive the same callbacks,
/// use `fetch-hive-store`, or implement this trait for a shared store. Each method must be atomic.
#[async_trait]
pub trait DedupStore: Send + Sync + 'static {
    /// Claims an event for the duration of the lease, unless it is already claimed or handled.
    ///
    /// # Errors
    ///
    /// Returns any error from the store. The handler then does not run, and the receiver responds
    /// with 503, so that the service redelivers the event.
    async fn claim(&self, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError>;

    /// Records that the claimed event has been handled.
    ///
    /// Committing a claim again must succeed. A handler can therefore commit the claim in the same
    /// transaction as its own work, before the receiver commits it.
    ///
    /// # Errors
    ///
    /// Returns [`ClaimLost`] if the lease expired and the event was claimed again, or any error
    /// from the store.
    async fn commit(&self, claim: &Claim) -> Result<(), BoxError>;

    /// Extends the lease of a claim. The receiver calls it while the handler runs.
    ///
    /// The default does nothing. The lease must then be longer than the handler ever takes.
    ///
    /// # Errors
    ///
    /// Returns [`ClaimLost`] if the lease expired and the event was claimed again, or any error
    /// from the store.
    async fn renew(&self, claim: &Claim, lease: Duration) -> Result<(), BoxError> {
        let _ = (claim, lease);
        Ok(())
    }

    /// Releases a claim, so that the next delivery of the event is handled.
    ///
    /// Releasing a claim that was committed or lost must have no effect.
    ///
    /// # Errors
    ///
    /// Returns any error from the store. The event can then be claimed again when the lease
    /// expires.
    async fn release(&self, claim: &Claim) -> Result<(), BoxError>;
}

/// The result of an attempt to claim an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// The caller holds the claim and may handle the event.
    Acquired(Claim),
    /// Another handler holds a claim whose lease has not expired.
    InProgress,
    /// The event has already been handled.
    AlreadyHandled,
}

/// An error that occurs if the lease of a claim expired and the event was claimed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease expired before the handler finished, and the event was claimed again; set a longer lease")]
pub struct ClaimLost;

/// An in-memory dedup store for a single-process service.
///
/// Its contents are lost when the process ends, so an event that is redelivered after a restart is
/// handled again.
pub struct MemoryDedupStore {
    state: Mutex<State>,
    max_events: usize,
    max_age: Duration,
}

#[derive(Default)]
struct State {
    events: HashMap<EventKey, Entry>,
    /// All claims, oldest first, which may include claims that are no longer in `events`.
    claims: VecDeque<(Instant, EventKey, u64)>,
    last_number: u64,
}

struct Entry {
    number: u64,
    /// The end of the lease, or `None` once the claim is committed.
    lease_end: Option<Instant>,
}

impl MemoryDedupStore {
    /// Creates a store that remembers up to 100,000 events for 24 hours each.
    ///
    /// The service does not document for how long it redelivers an event.
    pub fn new() -> Self {
        Self { state: Mutex::default(), max_events: 100_000, max_age: Duration::from_secs(24 * 60 * 60) }
    }

    /// Sets the maximum number of events to remember. Defaults to 100,000.
    ///
    /// When the store is full, the oldest handled event is forgotten first. Each event occupies
    /// about 400 bytes.
    #[must_use]
    pub fn max_events(mut self, events: usize) -> Self {
        self.max_events = events.max(1);
        self
    }

    /// Sets how long an event is remembered. Defaults to 24 hours.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim_at(&self, now: Instant, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError> {
        let mut state = self.state();
        state.evict_expired(now, self.max_age);
        match state.events.get(key).map(|entry| entry.lease_end) {
            Some(None) => return Ok(ClaimResult::AlreadyHandled),
            Some(Some(lease_end)) if lease_end > now => return Ok(ClaimResult::InProgress),
            Some(_) => {}
            None if state.events.len() < self.max_events || state.evict_one(now) => {}
            None => {
                let max = self.max_events;
                return Err(format!("all {max} events are being handled; raise `max_events` of the dedup store").into());
            }
        }
        state.drop_superseded();
        state.last_number += 1;
        let number = state.last_number;
        // `Duration::MAX` overflows the clock, so such a lease lasts for a year.
        state.events.insert(key.clone(), Entry { number, lease_end: Some(later(now, lease)) });
        state.claims.push_back((now, key.clone(), number));
        Ok(ClaimResult::Acquired(Claim::new(key.clone(), number)))
    }
}

impl State {
    /// Returns whether a claim was committed, has expired or was replaced.
    fn can_evict(&self, now: Instant, key: &EventKey, number: u64) -> bool {
        let entry = self.events.get(key).filter(|entry| entry.number == number);
        entry.is_none_or(|entry| entry.lease_end.is_none_or(|lease_end| lease_end <= now))
    }

    /// Removes an event if it still belongs to this claim, and returns whether it did.
    fn remove(&mut self, key: &EventKey, number: u64) -> bool {
        let is_current = self.events.get(key).is_some_and(|entry| entry.number == number);
        if is_current {
            self.events.remove(key);
        }
        is_current
    }

    /// Removes replaced claims from the list. Otherwise, an event whose handler keeps failing would
    /// make the list grow without limit.
    fn drop_superseded(&mut self) {
        if self.claims.len() > 2 * self.events.len() + 16 {
            let events = &self.events;
            self.claims.retain(|(_, key, number)| events.get(key).is_some_and(|entry| entry.number == *number));
        }
    }

    fn evict_expired(&mut self, now: Instant, max_age: Duration) {
        while let Some((claimed_at, key, number)) = self.claims.front() {
            let superseded = self.events.get(key).is_none_or(|entry| entry.number != *number);
            let is_young = now.saturating_duration_since(*claimed_at) < max_age;
            if !superseded && (is_young || !self.can_evict(now, key, *number)) {
                return;
            }
            let Some((_, key, number)) = self.claims.pop_front() else { return };
            self.remove(&key, number);
        }
    }

    fn evict_one(&mut self, now: Instant) -> bool {
        while let Some(index) = self.claims.iter().position(|(_, key, number)| self.can_evict(now, key, *number)) {
            let Some((_, key, number)) = self.claims.remove(index) else { return false };
            if self.remove(&key, number) {
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

    async fn renew(&self, claim: &Claim, lease: Duration) -> Result<(), BoxError> {
        let mut state = self.state();
        match state.events.get_mut(&claim.key).filter(|entry| entry.number == claim.number) {
            Some(entry) => {
                entry.lease_end = entry.lease_end.map(|_| later(Instant::now(), lease));
                Ok(())
            }
            None => Err(ClaimLost.into()),
        }
    }

    async fn commit(&self, claim: &Claim) -> Result<(), BoxError> {
        let mut state = self.state();
        match state.events.get_mut(&claim.key).filter(|entry| entry.number == claim.number) {
            Some(entry) => {
                entry.lease_end = None;
                Ok(())
            }
            None => Err(ClaimLost.into()),
        }
    }

    async fn release(&self, claim: &Claim) -> Result<(), BoxError> {
        let mut state = self.state();
        if state.events.get(&claim.key).is_some_and(|entry| entry.lease_end.is_some()) {
            state.remove(&claim.key, claim.number);
        }
        Ok(())
    }
}

impl fmt::Debug for MemoryDedupStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let events = self.state().events.len();
        f.debug_struct("MemoryDedupStore")
            .field("events", &events)
            .field("max_events", &self.max_events)
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
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

    fn claim(store: &MemoryDedupStore, now: Instant, n: usize) -> ClaimResult {
        store.claim_at(now, &key(n), Duration::from_secs(10)).unwrap()
    }

    fn acquire(store: &MemoryDedupStore, now: Instant, n: usize) -> Claim {
        let ClaimResult::Acquired(claim) = claim(store, now, n) else { panic!("event {n} is not free") };
        claim
    }

    fn commit(store: &MemoryDedupStore, claim: &Claim) -> Result<(), BoxError> {
        pollster::block_on(store.commit(claim))
    }

    fn release(store: &MemoryDedupStore, claim: &Claim) {
        pollster::block_on(store.release(claim)).unwrap();
    }

    #[test]
    fn released_and_expired_claims_can_be_acquired_again() {
        let store = MemoryDedupStore::new();
        let now = Instant::now();
        let first = acquire(&store, now, 1);
        assert_eq!(claim(&store, now, 1), ClaimResult::InProgress);
        acquire(&store, now, 2);
        release(&store, &first);
        let second = acquire(&store, now, 1);

        // The holder of the second claim was killed, so nothing releases it before its lease
        // expires.
        let late = now + Duration::from_secs(11);
        let third = acquire(&store, late, 1);
        assert!(commit(&store, &second).unwrap_err().is::<ClaimLost>());
        release(&store, &second);
        assert_eq!(claim(&store, late, 1), ClaimResult::InProgress);
        commit(&store, &third).unwrap();
        commit(&store, &third).unwrap();
        release(&store, &third);
        assert_eq!(claim(&store, late + Duration::from_secs(3600), 1), ClaimResult::AlreadyHandled);
    }

    #[test]
    fn max_events_and_max_age_are_kept() {
        let store = MemoryDedupStore::new().max_events(3).max_age(Duration::from_secs(100));
        let now = Instant::now();
        let in_progress = acquire(&store, now, 0);
        for n in 1..10 {
            commit(&store, &acquire(&store, now, n)).unwrap();
            let state = store.state();
            assert!(state.events.len() <= 3 && state.claims.len() <= 4, "{n}");
        }
        for n in [8, 9] {
            assert_eq!(claim(&store, now, n), ClaimResult::AlreadyHandled);
        }
        assert_eq!(claim(&store, now, 0), ClaimResult::InProgress, "an event in progress is not evicted");
        commit(&store, &in_progress).unwrap();
        let old = now + Duration::from_secs(101);
        acquire(&store, old, 9);
        assert_eq!(store.state().events.len(), 1);
        for n in 10..12 {
            acquire(&store, old, n);
        }
        assert!(store.claim_at(old, &key(12), Duration::ZERO).is_err());
        // Expired leases are evicted.
        acquire(&store, old + Duration::from_secs(20), 12);
    }

    #[test]
    fn repeated_failures_do_not_grow_the_store() {
        let store = MemoryDedupStore::new();
        let now = Instant::now();
        commit(&store, &acquire(&store, now, 0)).unwrap();
        for _ in 0..1_000 {
            release(&store, &acquire(&store, now, 1));
        }
        let length = store.state().claims.len();
        assert!(length < 40, "{length}");
        assert_eq!(claim(&store, now, 0), ClaimResult::AlreadyHandled);
    }
}
