//! The exit codes of the command.

use std::fmt::Write as _;

/// An exit code, which tells a script what happened without reading the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Success,
    Other,
    Usage,
    RunFailed,
    Key,
    NotStarted,
    MayHaveRun,
    Refused,
    RowsFailed,
    Waiting,
    Interrupted,
}

impl Exit {
    pub(crate) const ALL: [Self; 11] = [
        Self::Success,
        Self::Other,
        Self::Usage,
        Self::RunFailed,
        Self::Key,
        Self::NotStarted,
        Self::MayHaveRun,
        Self::Refused,
        Self::RowsFailed,
        Self::Waiting,
        Self::Interrupted,
    ];

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::RunFailed => 3,
            Self::Key => 4,
            Self::NotStarted => 5,
            Self::MayHaveRun => 6,
            Self::Refused => 7,
            Self::RowsFailed => 8,
            Self::Waiting => 9,
            Self::Interrupted => 130,
        }
    }

    /// Returns a short name, which the history shows.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Success => "ok",
            Self::Other => "error",
            Self::Usage => "usage",
            Self::RunFailed => "run failed",
            Self::Key => "key or permission",
            Self::NotStarted => "not started",
            Self::MayHaveRun => "may have run",
            Self::Refused => "refused",
            Self::RowsFailed => "rows failed",
            Self::Waiting => "waiting",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns what happened, and what to do about it.
    const fn meaning(self) -> (&'static str, &'static str) {
        match self {
            Self::Success => ("The command succeeded.", "Read the result from standard output."),
            Self::Other => {
                ("The command failed for another reason, such as a signature that is wrong.", "Read the message.")
            }
            Self::Usage => ("The command line or an input is invalid. Nothing was sent.", "Correct the command line."),
            Self::RunFailed => ("The run failed. It is charged.", "Correct the inputs or the deployment."),
            Self::Key => (
                "The key is missing, invalid or lacks a permission, or the plan does not allow the call. Nothing was \
                 started.",
                "Check the key with `fetch-hive auth status`.",
            ),
            Self::NotStarted => ("Nothing was started.", "Run the same command later. The message says when."),
            Self::MayHaveRun => (
                "The run may have started, and may be charged, but its result was lost.",
                "Do not run it again before you have looked. The message says what to look for.",
            ),
            Self::Refused => ("The service refused the request. Nothing was started.", "Correct the request."),
            Self::RowsFailed => ("A batch finished, but not every row succeeded.", "Read the failed rows."),
            Self::Waiting => (
                "The run waits for a person, such as for an approval.",
                "Decide it, and then wait for the run. Do not run it again.",
            ),
            Self::Interrupted => (
                "Ctrl-C stopped the command. A run that had started continues, and is charged.",
                "Look for the run before you run it again.",
            ),
        }
    }
}

/// Returns the text of `fetch-hive help exit-codes`.
pub(crate) fn help() -> String {
    let mut text = "Exit codes of fetch-hive\n\n".to_owned();
    for exit in Exit::ALL {
        let (meaning, next) = exit.meaning();
        let _ = writeln!(text, "{:>5}  {}\n       {meaning}\n       {next}\n", exit.code(), exit.name());
    }
    text += "Repeat the command of a run only after exit code 5. `batch run` can always be repeated: it starts no row twice.\n";
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_documented() {
        let mut codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130]);
        let help = help();
        for exit in Exit::ALL {
            assert!(help.contains(&format!("{:>5}  {}", exit.code(), exit.name())), "{exit:?}");
            assert!(help.contains(exit.meaning().0) && help.contains(exit.meaning().1), "{exit:?}");
        }
    }
}
