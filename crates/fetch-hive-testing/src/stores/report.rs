use std::fmt;

/// The results of the checks of a store. The `Display` output contains one line per check.
#[derive(Clone, Debug, Default)]
#[must_use = "the report contains the failures"]
pub struct StoreReport(Vec<(&'static str, Result<(), String>)>);

/// The result of one check, or a description of the violation.
pub(super) type CheckResult = Result<(), String>;

impl StoreReport {
    pub(super) fn add(&mut self, name: &'static str, result: CheckResult) {
        self.0.push((name, result));
    }

    /// Returns whether no check failed.
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Returns the name of each check, and a description of its failure if it failed.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, Result<(), &str>)> {
        self.0.iter().map(|(name, result)| (*name, result.as_ref().copied().map_err(String::as_str)))
    }

    /// Returns the names of the checks that failed.
    pub fn failures(&self) -> impl Iterator<Item = &'static str> {
        self.outcomes().filter(|(_, result)| result.is_err()).map(|(name, _)| name)
    }
}

impl fmt::Display for StoreReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, result) in self.outcomes() {
            match result {
                Ok(()) => writeln!(f, "passed    {name}")?,
                Err(error) => writeln!(f, "FAILED    {name}: {error}")?,
            }
        }
        let failed = self.failures().count();
        write!(f, "{} passed, {failed} failed", self.0.len() - failed)
    }
}

/// Fails a check unless a condition is true.
pub(super) fn ensure(condition: bool, violation: impl Into<String>) -> CheckResult {
    if condition { Ok(()) } else { Err(violation.into()) }
}
