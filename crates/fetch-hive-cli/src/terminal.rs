//! Questions to a person at a terminal.

use std::io::{BufRead as _, ErrorKind, IsTerminal as _, Write as _};

use crate::failure::{Failure, Result};
use crate::options::Globals;

/// Returns whether standard output is a terminal.
pub(crate) fn stdout_is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Returns whether a person can be asked.
pub(crate) fn can_ask(globals: &Globals) -> bool {
    !globals.no_input && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Returns the number of columns of the terminal.
pub(crate) fn columns() -> Option<u16> {
    terminal_size::terminal_size().map(|(width, _)| width.0)
}

/// Asks a question, and returns the answer without surrounding spaces. Returns `None` at the end of
/// the input.
pub(crate) fn ask(question: &str) -> Result<Option<String>> {
    let mut stderr = anstream::stderr().lock();
    let _ = write!(stderr, "{question}");
    let _ = stderr.flush();
    drop(stderr);
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    match read.map_err(|error| match error.kind() {
        ErrorKind::InvalidData => Failure::usage("standard input is not UTF-8 text").next("convert it to UTF-8"),
        _ => Failure::other(format!("cannot read standard input: {error}")),
    })? {
        0 => Ok(None),
        _ => Ok(Some(line.trim().to_owned())),
    }
}

/// Asks for a confirmation. With `--yes`, the answer is yes; without a terminal, the command is
/// refused.
pub(crate) fn confirm(globals: &Globals, question: &str) -> Result<()> {
    if globals.yes {
        return Ok(());
    }
    if !can_ask(globals) {
        return Err(Failure::usage(format!("{question} cannot be asked without a terminal")).next("add --yes"));
    }
    match ask(&format!("{question} [y/N] "))?.as_deref() {
        Some("y" | "Y" | "yes") => Ok(()),
        _ => Err(Failure::usage("not confirmed; nothing was sent")),
    }
}
