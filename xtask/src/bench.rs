use crate::run::step;

/// Times and counts come from two builds, for counting allocations costs time.
pub(crate) fn bench(_: &[String]) -> Result<(), String> {
    // A folder of its own: the two choices of features would otherwise build everything anew with each change.
    let folder = [("CARGO_TARGET_DIR", "target/bench")];
    step("streams: events per second", "run --release -p fetch-hive-bench", &folder)?;
    step("streams: allocations", "run --release -p fetch-hive-bench --features count", &folder)
}
