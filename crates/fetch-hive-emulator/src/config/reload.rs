//! The configuration file of a running emulator.

use std::path::PathBuf;
use std::sync::{PoisonError, Weak};
use std::time::Duration;

use crate::config::file::{self, Declarations};
use crate::operations::agents::store_declared_agent;
use crate::state::State;

/// The interval at which the file is checked for changes.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);

/// Reads the file again whenever it changes, until the emulator stops.
pub(crate) async fn watch(state: Weak<State>, path: PathBuf) {
    let mut current = std::fs::read(&path).ok();
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let Some(state) = state.upgrade() else { return };
        let new = std::fs::read(&path).ok();
        if new == current {
            continue;
        }
        current = new;
        match file::read(&path, state.tls) {
            Ok(declared) => {
                state.log(|| format!("{}: read {} deployments", path.display(), declared.deployments.len()));
                apply(&state, declared);
            }
            Err(error) => state.log(|| format!("{error}; the previous configuration stays active")),
        }
    }
}

/// Replaces the previous declarations of the file.
pub(crate) fn apply(state: &State, declared: Declarations) {
    let mut deployments = state.builder_deployments.clone();
    for deployment in declared.deployments {
        store_declared_agent(&state.store, &deployment);
        deployments.insert((deployment.kind, deployment.name.clone()), deployment);
    }
    let mut previous = state.file_faults.lock().unwrap_or_else(PoisonError::into_inner);
    if *previous != declared.faults {
        // If the faults of the file change, all active faults are removed, also those from
        // elsewhere.
        if !previous.is_empty() {
            state.faults.clear();
        }
        declared.faults.iter().filter_map(|fault| fault.parse().ok()).for_each(|fault| state.faults.add(fault));
        *previous = declared.faults;
    }
    drop(previous);
    *state.deployments.write().unwrap_or_else(PoisonError::into_inner) = deployments;
    state.catalog.set_models(declared.models);
}
