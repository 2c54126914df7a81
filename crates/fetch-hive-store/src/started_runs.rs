use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fetch_hive_client::callback::AcceptedRun;

/// The maximum number of runs that are kept.
const CAPACITY: usize = 4_096;

/// The last runs that this process started. The secrets for their callbacks need not be queried.
#[derive(Default)]
pub(crate) struct StartedRuns(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    by_token: HashMap<Vec<u8>, AcceptedRun>,
    /// The tokens in the order in which their runs were started.
    tokens: VecDeque<Vec<u8>>,
}

impl StartedRuns {
    /// Adds a run if its secret and request id are known.
    pub(crate) fn insert(&self, token: &[u8], run: &AcceptedRun) {
        if run.webhook_secret.is_none() || run.request_id.is_none() {
            return;
        }
        let mut runs = self.lock();
        if runs.by_token.insert(token.to_owned(), run.clone()).is_none() {
            runs.tokens.push_back(token.to_owned());
        }
        if runs.tokens.len() > CAPACITY {
            if let Some(oldest) = runs.tokens.pop_front() {
                runs.by_token.remove(&oldest);
            }
        }
    }

    pub(crate) fn get(&self, token: &[u8]) -> Option<AcceptedRun> {
        self.lock().by_token.get(token).cloned()
    }

    pub(crate) fn remove(&self, token: &[u8]) {
        self.lock().by_token.remove(token);
    }

    /// Removes the runs with this request id.
    pub(crate) fn erase(&self, request_id: &str) {
        let has_id = |run: &AcceptedRun| run.request_id.as_ref().is_some_and(|id| id.as_str() == request_id);
        self.lock().by_token.retain(|_, run| !has_id(run));
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
