//! The results of a simulation, and its checks.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::scenario::{HOLD, LEASE, MINUTE, SIZES, Scenario};
use crate::worker::lock;
use crate::workspace::{Class, Recovery, Workspace};

/// A workspace must start runs again after an outage, although all its slots were lost: after their
/// lease and their hold.
const MAX_RECOVERY: i64 = LEASE + HOLD + MINUTE;

/// The least fairness between two batches with four processes and two. After 60 s, runs start in
/// order of arrival, so the index is 0.9 if all runs wait for that long.
const MIN_FAIRNESS: f64 = 0.8;

/// The probes of a day: one after the reset, and three if the service resets the cap late.
const PROBES: u64 = 4;

/// The transactions of the database.
#[derive(Default)]
pub(crate) struct Load {
    last: u64,
    /// The transactions and the waiting runs of each interval, and its end.
    samples: Vec<(i64, u64, usize)>,
}

impl Load {
    pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

    pub(crate) fn sample(&mut self, now: i64, transactions: u64, workspaces: &[Arc<Mutex<Workspace>>]) {
        let waiting = workspaces.iter().map(|workspace| lock(workspace).waiting_runs()).sum();
        self.samples.push((now, transactions - std::mem::replace(&mut self.last, transactions), waiting));
    }

    fn print(&self, starts: u64) {
        let seconds = Self::INTERVAL.as_secs();
        let mean = self.last / (self.samples.len() as u64 * seconds).max(1);
        println!("transactions: {} ({} per run), {mean}/s on average", self.last, self.last / starts.max(1));
        if let Some((_, most, waiting)) = self.samples.iter().max_by_key(|(_, transactions, _)| *transactions) {
            println!("   {}/s at most, while {waiting} runs waited", most / seconds);
        }
    }
}

/// Prints the results, and returns the broken rules.
pub(crate) fn report(workspaces: &[&Workspace], load: &Load, scenario: &Scenario) -> Vec<String> {
    let starts = workspaces.iter().map(|workspace| workspace.starts).sum();
    println!("runs: {starts}");
    load.print(starts);
    println!("waiting times      runs   median      95 %      99 %       max");
    for (name, is_batch) in [("interactive", false), ("batch", true)] {
        for (suffix, with_disturbed) in [("", false), (", all", true)] {
            let waits = workspaces.iter().flat_map(|workspace| &workspace.waits).filter(|wait| {
                (wait.class != Class::Interactive) == is_batch && (with_disturbed || !wait.is_disturbed)
            });
            print_times(&format!("{name}{suffix}"), waits.map(|wait| wait.millis).collect());
        }
    }
    let gave_up = |index: usize| workspaces.iter().map(|workspace| workspace.gave_up[index]).sum::<u64>();
    println!(
        "interactive calls that timed out after 120 s: {}, and {} while runs were disturbed",
        gave_up(0),
        gave_up(1)
    );
    let errors: u64 = workspaces.iter().map(|workspace| workspace.store_errors).sum();
    println!("calls that failed because of the database: {errors}");
    let mut fairness_of_all = 1.0_f64;
    for size in SIZES {
        let of_size: Vec<_> = workspaces.iter().filter(|workspace| workspace.size == size).collect();
        let [slots, used] = [0, 1].map(|index| of_size.iter().map(|workspace| workspace.contended[index]).sum::<i64>());
        let peak = of_size.iter().map(|workspace| workspace.peak).max().unwrap_or_default();
        let fairness = of_size.iter().map(|workspace| jain(workspace.batch_starts)).fold(1.0, f64::min);
        println!(
            "limit {size}: peak {peak}, slots in use while runs wait {:.1} %, fairness of two batches {:.3} (least {fairness:.3})",
            ratio(used, slots) * 100.0,
            jain(batch_starts(&of_size)),
        );
        fairness_of_all = fairness_of_all.min(jain(batch_starts(&of_size)));
    }
    let refused = workspaces.iter().flat_map(|workspace| workspace.refused.values());
    let reached = refused.clone().count();
    println!("calls refused by the cap: {} on {reached} days of workspaces", refused.sum::<u64>());
    let outage = (scenario.outage.1 - scenario.outage.0) / MINUTE;
    print_recovery(&format!("after {outage} min without the database"), workspaces.iter().map(|one| one.after_outage));
    print_recovery("after the reset of the cap", workspaces.iter().map(|one| one.after_reset));
    println!(
        "most often a batch was overtaken after 60 s: {}",
        most(workspaces, |workspace| u64::from(workspace.overtaken))
    );
    let mut broken = check(workspaces);
    if fairness_of_all < MIN_FAIRNESS {
        broken.push(format!("the fairness of two batches is {fairness_of_all:.3}, less than {MIN_FAIRNESS}"));
    }
    broken
}

/// Returns the starts of each batch in all workspaces.
fn batch_starts(workspaces: &[&&Workspace]) -> [u64; 2] {
    [0, 1].map(|batch| workspaces.iter().map(|workspace| workspace.batch_starts[batch]).sum())
}

fn check(workspaces: &[&Workspace]) -> Vec<String> {
    let mut broken = Vec::new();
    for workspace in workspaces {
        let Workspace { name, size, peak, overtaken, .. } = workspace;
        let mut fail = |failed: bool, text: String| {
            if failed {
                broken.push(format!("{name}: {text}"));
            }
        };
        fail(peak > size, format!("{peak} runs at a time (limit {size})"));
        // Other free slots may be granted first.
        fail(overtaken >= size, format!("a batch that had waited for 60 s was overtaken {overtaken} times"));
        let refused = workspace.refused.values().max().copied().unwrap_or_default();
        // The runs of the other slots may be on their way when the first one is refused.
        fail(refused > u64::from(*size) + PROBES, format!("the cap refused {refused} calls of a day"));
        for (event, recovery) in [("outage", workspace.after_outage), ("reset", workspace.after_reset)] {
            let minutes = recovery.first_start.map(|time| time / MINUTE);
            let is_late = recovery.first_start.is_none_or(|time| time > MAX_RECOVERY);
            fail(is_late, format!("no run within {} min after the {event}: {minutes:?} min", MAX_RECOVERY / MINUTE));
        }
    }
    broken
}

fn print_times(name: &str, mut times: Vec<i64>) {
    times.sort_unstable();
    let at = |per_mille: usize| {
        let index = (times.len() * per_mille / 1_000).min(times.len().saturating_sub(1));
        seconds(times.get(index).copied().unwrap_or_default())
    };
    println!("{name:<17} {:>5} {} {} {} {}", times.len(), at(500), at(950), at(990), at(1_000));
}

fn print_recovery(name: &str, recoveries: impl Iterator<Item = Recovery>) {
    let mut times: Vec<_> = recoveries.filter_map(|recovery| recovery.first_start).collect();
    times.sort_unstable();
    let [median, last] =
        [times.get(times.len() / 2), times.last()].map(|time| seconds(time.copied().unwrap_or_default()));
    println!("first run {name}, in {} workspaces: median {}, last {}", times.len(), median.trim(), last.trim());
}

fn most(workspaces: &[&Workspace], value: impl Fn(&Workspace) -> u64) -> u64 {
    workspaces.iter().map(|workspace| value(workspace)).max().unwrap_or_default()
}

/// Jain's index of fairness, which is 1 if both batches have started equally many runs.
fn jain([first, second]: [u64; 2]) -> f64 {
    let [sum, squares] = [first + second, first * first + second * second];
    if sum == 0 {
        1.0
    } else {
        ratio(i64::try_from(sum * sum).unwrap_or(i64::MAX), i64::try_from(2 * squares).unwrap_or(1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure of a report")]
fn ratio(part: i64, whole: i64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn seconds(millis: i64) -> String {
    format!("{:>7.1} s", ratio(millis, 1_000))
}
