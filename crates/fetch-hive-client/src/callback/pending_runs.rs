use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fetch_hive_core::callback::{Callback, Verifier};
use fetch_hive_core::types::RequestId;
use http::HeaderMap;

use super::outcome::Outcome;
use super::token::Token;

/// How many deliveries of one run are put aside before its secret is known. The good one is not the only one that may come.
const PARKED_PER_RUN: usize = 8;

/// How many runs that nobody waits for are remembered, and for how long.
const IDLE_RUNS: usize = 10_000;
const IDLE_TIME: Duration = Duration::from_secs(60 * 60);

/// The runs that are waited for at a receiver, by the token in their callback URLs.
#[derive(Default)]
pub(super) struct MemoryPendingRuns(Mutex<Table>);

struct Table {
    runs: HashMap<Token, Run>,
    /// Bytes that are put aside, in deliveries before the secret is known and in ends that nobody has taken.
    bytes: usize,
    max_bytes: usize,
    /// Runs that nobody waits for, longest first, with what was resumed since.
    idle: VecDeque<(Instant, Token)>,
}

/// What a delivery with a token came to.
pub(super) enum Arrival {
    Over(Outcome),
    /// An event that does not end its run: for the handler.
    Event(Box<Callback>),
}

/// What a wait finds.
pub(super) enum Found {
    Ended(Box<Callback>),
    /// The end was handed over before.
    Taken,
}

#[derive(Default)]
struct Run {
    /// What its callbacks verify with, once its secret is known.
    verifier: Option<Verifier>,
    request_id: Option<RequestId>,
    parked: Vec<(HeaderMap, Bytes)>,
    end: End,
    wakers: Vec<Waker>,
    waiting: usize,
    idle_since: Option<Instant>,
}

#[derive(Default)]
enum End {
    #[default]
    Awaited,
    Here(Box<Callback>),
    Taken,
}

impl Default for Table {
    fn default() -> Self {
        Self { runs: HashMap::new(), bytes: 0, max_bytes: 16 << 20, idle: VecDeque::new() }
    }
}

impl MemoryPendingRuns {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_max_bytes(&self, bytes: usize) {
        self.table().max_bytes = bytes;
    }

    /// Begins to wait under a token, before its run is started or when it is resumed.
    pub(super) fn open(&self, token: &Token) {
        let mut table = self.table();
        table.forget_idle(Instant::now());
        let run = table.runs.entry(token.clone()).or_default();
        run.waiting += 1;
        run.idle_since = None;
    }

    /// Ends what `open` began. What is known of the run stays for a while, so that the wait can be resumed and repeats be told.
    pub(super) fn close(&self, token: &Token) {
        let mut table = self.table();
        let now = Instant::now();
        let Some(run) = table.runs.get_mut(token) else { return };
        run.waiting = run.waiting.saturating_sub(1);
        if run.waiting > 0 {
            return;
        }
        run.wakers.clear();
        if run.verifier.is_none() {
            // Nobody can resume a run whose invocation has failed.
            table.remove(token);
            return;
        }
        run.idle_since = Some(now);
        table.idle.push_back((now, token.clone()));
        table.forget_idle(now);
    }

    /// Says what the callbacks of a run verify with, and judges what was put aside until now.
    pub(super) fn know(&self, token: &Token, verifier: &Verifier, request_id: Option<&RequestId>) {
        let parked = {
            let mut table = self.table();
            let Some(run) = table.runs.get_mut(token) else { return };
            run.verifier = Some(verifier.clone());
            run.request_id = request_id.cloned();
            let parked = std::mem::take(&mut run.parked);
            table.bytes -= parked.iter().map(size).sum::<usize>();
            parked
        };
        for (headers, body) in parked {
            // The end of the run is taken at once. Everything else comes again: it was answered so.
            if let Ok(callback) = verifier.verify(&headers, body) {
                let _ = self.settle(token, callback);
            }
        }
    }

    /// Takes a delivery. `general` verifies what the receiver takes without a token.
    pub(super) fn arrive(&self, token: &Token, headers: &HeaderMap, body: Bytes, general: &Verifier) -> Arrival {
        let own = match self.table().runs.get(token) {
            None => return Arrival::Over(Outcome::UnknownRun),
            Some(run) => run.verifier.clone(),
        };
        let knows_secret = own.is_some();
        match own.as_ref().unwrap_or(general).verify(headers, body.clone()) {
            Ok(callback) => self.settle(token, callback),
            Err(error) if knows_secret => Arrival::Over(Outcome::Refused(error)),
            Err(_) => self.park(token, headers, body, general),
        }
    }

    /// Puts a delivery aside, unless the secret has become known meanwhile.
    fn park(&self, token: &Token, headers: &HeaderMap, body: Bytes, general: &Verifier) -> Arrival {
        let mut table = self.table();
        let parked = (headers.clone(), body);
        let fits = size(&parked) <= table.max_bytes.saturating_sub(table.bytes);
        let Some(run) = table.runs.get_mut(token) else { return Arrival::Over(Outcome::UnknownRun) };
        if run.verifier.is_some() {
            drop(table);
            return self.arrive(token, headers, parked.1, general);
        }
        if !fits || run.parked.len() == PARKED_PER_RUN {
            return Arrival::Over(Outcome::BufferFull);
        }
        let bytes = size(&parked);
        run.parked.push(parked);
        table.bytes += bytes;
        Arrival::Over(Outcome::Held)
    }

    /// What a verified event means for a run.
    fn settle(&self, token: &Token, callback: Callback) -> Arrival {
        let mut table = self.table();
        let fits = callback.raw.len() <= table.max_bytes.saturating_sub(table.bytes);
        let Some(run) = table.runs.get_mut(token) else { return Arrival::Over(Outcome::UnknownRun) };
        let of_another = |id: &RequestId| callback.request_id.as_ref().is_some_and(|named| named != id);
        if !callback.ends_run() || run.request_id.as_ref().is_some_and(of_another) {
            return Arrival::Event(Box::new(callback));
        }
        let key = callback.key();
        // While nobody waits the event is kept, and is to come again all the same: this process may end before somebody does.
        let (kept, answer) = match run.waiting {
            0 => (Outcome::Held, Outcome::Held),
            _ => (Outcome::RunEnded(key.clone()), Outcome::AlreadyHandled(key.clone())),
        };
        match run.end {
            End::Taken => return Arrival::Over(Outcome::AlreadyHandled(key)),
            End::Here(_) => return Arrival::Over(answer),
            End::Awaited if run.waiting == 0 && !fits => return Arrival::Over(Outcome::BufferFull),
            End::Awaited => {}
        }
        let (bytes, wakers) = (callback.raw.len(), std::mem::take(&mut run.wakers));
        run.end = End::Here(Box::new(callback));
        table.bytes += bytes;
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
        Arrival::Over(kept)
    }

    /// Looks for the end of a run.
    pub(super) fn poll(&self, token: &Token, waker: &Waker) -> Poll<Found> {
        let mut table = self.table();
        let Some(run) = table.runs.get_mut(token) else { return Poll::Ready(Found::Taken) };
        match std::mem::replace(&mut run.end, End::Taken) {
            End::Taken => Poll::Ready(Found::Taken),
            End::Here(callback) => {
                table.bytes -= callback.raw.len();
                Poll::Ready(Found::Ended(callback))
            }
            End::Awaited => {
                run.end = End::Awaited;
                if !run.wakers.iter().any(|known| known.will_wake(waker)) {
                    run.wakers.push(waker.clone());
                }
                Poll::Pending
            }
        }
    }
}

impl Table {
    fn remove(&mut self, token: &Token) {
        let Some(run) = self.runs.remove(token) else { return };
        self.bytes -= run.parked.iter().map(size).sum::<usize>();
        if let End::Here(callback) = run.end {
            self.bytes -= callback.raw.len();
        }
    }

    fn forget_idle(&mut self, now: Instant) {
        while let Some((since, token)) = self.idle.front() {
            if self.idle.len() <= IDLE_RUNS && now.saturating_duration_since(*since) < IDLE_TIME {
                return;
            }
            let was_resumed = self.runs.get(token).is_none_or(|run| run.idle_since != Some(*since));
            let Some((_, token)) = self.idle.pop_front() else { return };
            if !was_resumed {
                self.remove(&token);
            }
        }
    }
}

/// What a delivery takes that is put aside.
fn size((headers, body): &(HeaderMap, Bytes)) -> usize {
    body.len() + headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}
