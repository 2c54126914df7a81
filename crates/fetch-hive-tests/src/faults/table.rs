//! The lines of the printed table.

use super::run::Outcome;

/// Formats the header of the table.
pub fn header_line() -> String {
    format!(
        "{:>2}  {:<54} {:<17} {:>8} {:>4} {:>4} {:>4} {:>7} {:>7}",
        "", "failure", "result", "attempts", "ran?", "read", "runs", "took", "limit"
    )
}

/// Formats the line of a row that was skipped.
pub fn skipped_line(number: usize, name: &str, reason: &str) -> String {
    format!("{number:>2}  {name:<54} skipped: {reason}")
}

/// Formats the line of a row.
pub fn row_line(number: usize, name: &str, outcome: &Outcome) -> String {
    let Outcome { actual, elapsed, deadline, problems, .. } = outcome;
    format!(
        "{number:>2}  {name:<54} {:<17} {:>8} {:>4} {:>4} {:>4} {:>5.2} s {:>5.2} s{}",
        actual.result,
        actual.attempts,
        if actual.may_have_run { "yes" } else { "no" },
        actual.received,
        actual.runs,
        elapsed.as_secs_f64(),
        deadline.as_secs_f64(),
        if problems.is_empty() { "" } else { "  WRONG" },
    )
}
