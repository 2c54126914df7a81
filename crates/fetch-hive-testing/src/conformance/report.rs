use std::fmt;

use super::check::Check;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The transport meets the requirement.
    Passed,
    /// The transport violates the requirement in the way that the text describes.
    Failed(String),
    /// The check was not run, for the reason in the text.
    Skipped(String),
    /// The transport violates the requirement, as declared with
    /// [`Suite::expect_failure`](super::Suite::expect_failure).
    ExpectedFailure {
        /// A description of the violation.
        error: String,
        /// The declared reason.
        reason: String,
    },
}

/// The results of all checks of a suite.
///
/// The `Display` output contains one line per check and a summary.
#[derive(Clone, Debug)]
#[must_use = "the report contains the failures"]
pub struct Report(pub(super) Vec<(Check, Outcome)>);

impl Report {
    /// Returns whether no check failed, except for the expected failures.
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Returns the outcome of each check, in the order in which they ran.
    pub fn outcomes(&self) -> impl Iterator<Item = (Check, &Outcome)> {
        self.0.iter().map(|(check, outcome)| (*check, outcome))
    }

    /// Returns the checks that failed, except for the expected failures.
    pub fn failures(&self) -> impl Iterator<Item = Check> {
        self.outcomes().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).map(|(check, _)| check)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut passed, mut failed, mut skipped, mut expected) = (0, 0, 0, 0);
        for (check, outcome) in self.outcomes() {
            let (name, description) = (check.name(), check.description());
            match outcome {
                Outcome::Passed => {
                    passed += 1;
                    writeln!(f, "passed    {name:<18} {description}")?;
                }
                Outcome::Failed(error) => {
                    failed += 1;
                    writeln!(f, "FAILED    {name:<18} {description}; got: {error}")?;
                }
                Outcome::Skipped(reason) => {
                    skipped += 1;
                    writeln!(f, "skipped   {name:<18} {reason}")?;
                }
                Outcome::ExpectedFailure { error, reason } => {
                    expected += 1;
                    writeln!(f, "expected  {name:<18} {description}; got: {error} ({reason})")?;
                }
            }
        }
        write!(f, "{passed} passed, {failed} failed, {skipped} skipped")?;
        if expected > 0 {
            write!(f, ", {expected} failed as expected")?;
        }
        Ok(())
    }
}
