use std::time::Duration;

/// The settings of a limiter.
#[derive(Clone)]
pub(crate) struct Limits {
    pub(crate) name: String,
    pub(super) max_runs: i64,
    /// How long a slot or a queue entry outlives its process.
    pub(super) lease: Duration,
    /// How long a run's slot stays occupied if it is unknown whether the run has ended.
    pub(super) hold: Duration,
    pub(super) daily_cap: Option<DailyCap>,
    pub(super) on_store_failure: OnStoreFailure,
}

/// What happens to an interactive run without a callback if the database fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// The call fails, and nothing is sent.
    #[default]
    Fail,
    /// The run starts without a slot, so more runs than allowed may be in progress. Batch runs fail
    /// in any case.
    StartAnyway,
}

/// The plan's daily cap, and the number of runs that batches may not use.
#[derive(Clone, Copy)]
pub(crate) struct DailyCap {
    pub(super) runs: i64,
    pub(super) reserved: i64,
}

impl Limits {
    pub(super) fn new(name: &str, max_runs: u32) -> Self {
        Self {
            name: name.to_owned(),
            max_runs: i64::from(max_runs.max(1)),
            lease: Duration::from_secs(30),
            hold: Duration::from_secs(15 * 60),
            daily_cap: None,
            on_store_failure: OnStoreFailure::Fail,
        }
    }
}
