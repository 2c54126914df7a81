//! Standard output has the result and nothing else. Everything else goes to standard error.

use std::io::{IsTerminal as _, Write as _};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::options::{Format, Globals};
use crate::table::{self, Shape};
use crate::terminal::{columns, stdout_is_terminal};
use crate::text::printable;
use crate::{jq, json};

/// Writes results and notes.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the command")]
pub(crate) struct Output {
    format: Option<Format>,
    jq: Option<String>,
    show_secrets: bool,
    quiet: bool,
    pub(crate) verbose: bool,
    is_terminal: bool,
}

impl Output {
    /// Reads the options. An invalid filter is reported before anything is sent.
    pub(crate) fn new(globals: &Globals) -> Result<Self> {
        globals.jq.as_deref().map_or(Ok(()), jq::check)?;
        Ok(Self {
            format: if globals.json { Some(Format::Json) } else { globals.output },
            jq: globals.jq.clone(),
            show_secrets: globals.show_secrets,
            quiet: globals.quiet,
            verbose: globals.verbose,
            is_terminal: stdout_is_terminal(),
        })
    }

    /// Returns whether the user asked for JSON or for a part of it.
    pub(crate) fn wants_json(&self) -> bool {
        self.jq.is_some() || self.format == Some(Format::Json)
    }

    pub(crate) fn show_secrets(&self) -> bool {
        self.show_secrets
    }

    /// Prints a text and a line break.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        self.write(text, if text.ends_with('\n') { "" } else { "\n" })
    }

    /// Prints the body of a response if the user asked for JSON, and a text otherwise.
    pub(crate) fn json_or_text(&self, body: &[u8], text: &str) -> Result<()> {
        if self.wants_json() { self.json(body) } else { self.text(text) }
    }

    /// Prints a part of a text at once.
    pub(crate) fn chunk(&self, text: &str) -> Result<()> {
        self.write(text, "")
    }

    fn write(&self, text: &str, end: &str) -> Result<()> {
        let mut stdout = std::io::stdout().lock();
        let write = |stdout: &mut std::io::StdoutLock<'_>| {
            if self.is_terminal {
                // The output of a model must not control the terminal.
                stdout.write_all(printable(text).as_bytes())?;
            } else {
                stdout.write_all(text.as_bytes())?;
            }
            stdout.write_all(end.as_bytes())?;
            stdout.flush()
        };
        write(&mut stdout).map_err(|error| Failure::write(&error))
    }

    /// Prints JSON as the user asked for it.
    pub(crate) fn json(&self, body: &[u8]) -> Result<()> {
        if let Some(filter) = &self.jq {
            let masked = json::compact(body, self.show_secrets);
            let lines = jq::apply(filter, masked.as_ref().map_or(body, |text| text.as_bytes()));
            let lines = lines.map_err(|failure| {
                // The response may be the paid output of a run, so it is not lost.
                let body = json::pretty(body, self.show_secrets).unwrap_or_default();
                self.warn(&format!("the filter failed, so the whole response follows\n{body}"));
                failure.next("correct the filter; the whole response is on standard error")
            })?;
            return lines.iter().try_for_each(|line| self.text(line));
        }
        match json::pretty(body, self.show_secrets) {
            Some(text) => self.text(&text),
            None => self.text(&String::from_utf8_lossy(body)),
        }
    }

    /// Prints one of several JSON values on a line.
    pub(crate) fn json_line(&self, body: &[u8]) -> Result<()> {
        if self.jq.is_some() {
            return self.json(body);
        }
        match json::compact(body, self.show_secrets) {
            Some(text) => self.text(&text),
            None => self.text(&String::from_utf8_lossy(body)),
        }
    }

    /// Prints a response: a table or text on a terminal, and JSON elsewhere, unless the user asked
    /// for a format.
    pub(crate) fn response(&self, shape: Shape, body: &[u8]) -> Result<()> {
        let guess = if !self.is_terminal {
            Format::Json
        } else if matches!(shape, Shape::List { .. }) {
            Format::Table
        } else {
            Format::Text
        };
        let format = self.format.unwrap_or(guess);
        if self.jq.is_some() || format == Format::Json {
            return self.json(body);
        }
        let masked = json::compact(body, self.show_secrets);
        let Some(value) = masked.and_then(|text| serde_json::from_str::<Value>(&text).ok()) else {
            return self.text(&String::from_utf8_lossy(body));
        };
        let text = match format {
            Format::Table => table::table(shape, &value, columns().filter(|_| self.is_terminal)),
            _ => table::text(shape, &value),
        };
        if text.is_empty() { Ok(()) } else { self.text(&text) }
    }

    /// Prints a note to standard error, unless `--quiet` is set.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let style = anstyle::Style::new().dimmed();
            // A closed standard error does not stop a command.
            let _ = writeln!(anstream::stderr().lock(), "{style}{}{style:#}", printable(text));
        }
    }

    /// Prints a note to standard error if `--verbose` is set.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.note(text);
        }
    }

    /// Returns a progress bar on standard error, which is hidden without a terminal.
    pub(crate) fn progress_bar(&self, template: &str) -> indicatif::ProgressBar {
        if self.quiet || !std::io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        let style = indicatif::ProgressStyle::with_template(template);
        let bar = indicatif::ProgressBar::new(0);
        style.map_or(bar.clone(), |style| bar.with_style(style))
    }

    /// Prints a warning to standard error, even with `--quiet`.
    #[allow(clippy::unused_self, reason = "it is called like a note")]
    pub(crate) fn warn(&self, text: &str) {
        let style = anstyle::AnsiColor::Yellow.on_default().bold();
        let _ = writeln!(anstream::stderr().lock(), "{style}warning:{style:#} {}", printable(text));
    }
}
