/// Reports the current test as skipped. The test runner does not capture what is written directly.
pub fn report_skipped(missing: &str) {
    use std::io::Write as _;
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "skipped {name}: {missing} was not found");
}
