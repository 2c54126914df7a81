//! The error type of every command: a text, the next step and the exit code.

use std::error::Error as StdError;
use std::fmt;
use std::time::{Duration, SystemTime};

use fetch_hive_client::types::{OutputError, RequestId};
use fetch_hive_client::{Error, ErrorKind, InvalidInput, RateLimit, StreamError, TransportErrorKind, WaitError};
use http::StatusCode;

use crate::exit::Exit;
use crate::text::{one_line, printable, utc};

/// A failed command.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What failed. It is empty if the reader of standard output closed the pipe.
    pub(crate) text: String,
    /// What to do next.
    pub(crate) next: Option<String>,
    /// The run that the failure belongs to.
    pub(crate) request_id: Option<String>,
}

/// A failed source of the key, which becomes the source of a client error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct KeyError(pub(crate) Failure);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into(), next: None, request_id: None }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    pub(crate) fn other(text: impl Into<String>) -> Self {
        Self::new(Exit::Other, text)
    }

    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    pub(crate) fn request(mut self, id: Option<impl fmt::Display>) -> Self {
        self.request_id = id.map(|id| one_line(&id.to_string())).or(self.request_id);
        self
    }

    /// Replaces a next step that needs the run, because the embedded emulator has ended.
    pub(crate) fn emulated(mut self) -> Self {
        let needs_run = matches!(self.exit, Exit::RunFailed | Exit::MayHaveRun | Exit::Waiting | Exit::Interrupted);
        if needs_run || self.request_id.is_some() {
            let ended = "the emulator has ended with this command; `fetch-hive emulator` keeps one running";
            self.next = Some(match self.exit {
                Exit::RunFailed => format!("correct the inputs or the deployment; {ended}"),
                _ => ended.to_owned(),
            });
        }
        self
    }

    /// Creates the failure of a write to standard output. A closed pipe is no error.
    pub(crate) fn write(error: &std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Success, "");
        }
        Self::other(format!("cannot write to standard output: {error}"))
    }

    /// Creates the failure of a local file.
    pub(crate) fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::usage(format!("cannot {what} {}: {error}", path.display())).next("check the path and its permissions")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns the text of an error with the texts of all its sources.
pub(crate) fn chain(error: &dyn StdError) -> String {
    one_line(&chain_lines(error))
}

/// Returns the same text as [`chain`] with its line breaks, which show a place in a file.
pub(crate) fn chain_lines(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    printable(&text).trim_end().to_owned()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = exit_of(&error);
        let next = next_of(&error, exit);
        Self { exit, text: text_of(&error), next: Some(next), request_id: None }.request(error.request_id())
    }
}

/// What to do without a key.
const NO_KEY: &str = "set FETCH_HIVE_API_KEY, or store a key with `fetch-hive auth login`; `--emulate` needs no key";

/// Names the options of the command instead of the settings of the library.
fn text_of(error: &Error) -> String {
    match error.kind() {
        ErrorKind::NotAStream => format!("{}: the response is not an event stream", error.operation()),
        ErrorKind::TooLarge { limit } => {
            format!("{}: the response is larger than {limit} bytes", error.operation())
        }
        ErrorKind::Credentials(source) => chain(&**source),
        ErrorKind::Invalid(invalid) => text_of_invalid(invalid),
        _ => {
            let mut text = chain(error);
            // The settings of the library are no options of the command.
            text = text
                .replace("; if the response has many or large headers, raise `max_headers` or `max_header_bytes`", "");
            for setting in ["headers_timeout", "idle_timeout", "connect_timeout or timeout", "timeout"] {
                text = text.replace(&format!("({setting})"), "(--timeout)");
            }
            text.replace("; read them from the error", "")
        }
    }
}

/// Describes an invalid input, without the settings of the library. The next step says that nothing
/// was sent.
pub(crate) fn text_of_invalid(invalid: &InvalidInput) -> String {
    let name = match &*invalid.field {
        "base_url" => "--base-url",
        "callback_url" => "--callback",
        "user_agent" => "user agent",
        field => field,
    };
    let reason = invalid.reason.split("; allow_plain_http").next().unwrap_or_default();
    one_line(&format!("invalid {name}: {reason}"))
}

fn exit_of(error: &Error) -> Exit {
    match error.kind() {
        ErrorKind::Invalid(_) => Exit::Usage,
        ErrorKind::Credentials(_) => Exit::Key,
        ErrorKind::Store(_) => Exit::NotStarted,
        ErrorKind::Wait(_) => Exit::MayHaveRun,
        ErrorKind::Stream(StreamError::Failed { .. }) => Exit::RunFailed,
        ErrorKind::Transport(_) if error.may_have_run() => Exit::MayHaveRun,
        ErrorKind::Transport(transport) => match transport.proxy_response() {
            Some(response) if !is_temporary(response.status()) => Exit::Refused,
            _ if error.is_retryable() => Exit::NotStarted,
            // The change may have taken effect, although it is no run.
            _ if transport.kind() != TransportErrorKind::NotSent => Exit::MayHaveRun,
            _ => Exit::NotStarted,
        },
        ErrorKind::Api(api) => match api.status.as_u16() {
            401..=403 => Exit::Key,
            429 => Exit::NotStarted,
            // The service itself reports a failed run, such as the error of a model provider.
            500 | 502 if error.may_have_run() && (api.code().is_some() || api.documented().is_some_and(has_id)) => {
                Exit::RunFailed
            }
            _ if error.may_have_run() => Exit::MayHaveRun,
            _ if error.is_retryable() => Exit::NotStarted,
            500..=599 => Exit::MayHaveRun,
            _ => Exit::Refused,
        },
        _ if error.may_have_run() => Exit::MayHaveRun,
        _ => Exit::Other,
    }
}

fn has_id(body: &fetch_hive_client::types::ErrorBody) -> bool {
    body.request_id.is_some()
}

fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500..=599)
}

fn next_of(error: &Error, exit: Exit) -> String {
    match error.kind() {
        ErrorKind::Credentials(source) => match source.downcast_ref::<KeyError>() {
            Some(KeyError(Failure { next: Some(next), .. })) => next.clone(),
            _ => NO_KEY.to_owned(),
        },
        ErrorKind::Store(_) => "check `--store`, and run the command again; nothing was sent".to_owned(),
        ErrorKind::Wait(wait) => match (&**wait, error.request_id()) {
            (WaitError::Timeout { .. }, Some(id)) => format!(
                "wait longer with `fetch-hive request wait {} --timeout 1h`; do not run it again",
                one_line(id.as_str())
            ),
            (_, id) => look_up(id.as_ref().map(RequestId::as_str)),
        },
        ErrorKind::Decode(_) if exit == Exit::Other => {
            "check `--base-url`: the response is not one of the service".to_owned()
        }
        ErrorKind::Transport(transport) if transport.proxy_response().is_some() => {
            "check HTTPS_PROXY and NO_PROXY; `fetch-hive doctor` shows the proxy in use".to_owned()
        }
        ErrorKind::Transport(_) if exit == Exit::NotStarted => {
            "check the network with `fetch-hive doctor`, and run the command again".to_owned()
        }
        ErrorKind::Api(api) => match (api.status.as_u16(), exit) {
            (402, _) => match api.upgrade_url() {
                Some(url) => format!("change the plan at {}", one_line(url)),
                None => "check the plan and its credits in the dashboard".to_owned(),
            },
            (_, Exit::Key) => "check the key and its permissions with `fetch-hive auth status`".to_owned(),
            (_, Exit::NotStarted) => try_again(error),
            (404, _) => "check the names and ids, `--workspace` and `--base-url`".to_owned(),
            (300..=399, _) => "check `--base-url`; redirects are not followed".to_owned(),
            (_, Exit::RunFailed) => failed_run(error.request_id().as_ref().map(RequestId::as_str)),
            (_, Exit::MayHaveRun) => look_up(error.request_id().as_ref().map(RequestId::as_str)),
            _ if api.code().is_none() => "correct the request".to_owned(),
            _ => "correct the request; `fetch-hive error-code list` explains the codes".to_owned(),
        },
        _ => match exit {
            Exit::Usage => "correct the command line; nothing was sent".to_owned(),
            Exit::RunFailed => failed_run(error.request_id().as_ref().map(RequestId::as_str)),
            Exit::MayHaveRun => look_up(error.request_id().as_ref().map(RequestId::as_str)),
            _ => "run the command again with `-v`, and report the problem if it persists".to_owned(),
        },
    }
}

/// Says when the same command may succeed.
fn try_again(error: &Error) -> String {
    let when = match error.retry_at() {
        Some(at) => format!("run the same command again at {}{}", utc(at), from_now(at)),
        None => "run the same command again in a few minutes".to_owned(),
    };
    match error.rate_limit() {
        Some(RateLimit::Concurrency) => format!("{when}, or add `--callback URL`, because such runs are queued"),
        _ => when,
    }
}

fn from_now(at: SystemTime) -> String {
    let remaining = at.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO).as_secs();
    match remaining {
        0 => ", which is now".to_owned(),
        seconds @ 1..=119 => format!(" (in {seconds} s)"),
        seconds @ 120..=7199 => format!(" (in {} min)", seconds.div_ceil(60)),
        seconds => format!(" (in {:.1} h)", Duration::from_secs(seconds).as_secs_f64() / 3600.0),
    }
}

/// Says what to look for before a run is started again.
pub(crate) fn look_up(request_id: Option<&str>) -> String {
    match request_id {
        Some(id) => format!("look at the run with `fetch-hive request get {}` before you run it again", one_line(id)),
        None => "look for its effects, and for the run in the dashboard, before you run it again; \
                 `fetch-hive history list` shows when it was sent"
            .to_owned(),
    }
}

/// Says how to find the approval that a run waits for.
pub(crate) fn list_approvals(request_id: Option<&str>) -> String {
    let of_run = request_id.map_or_else(String::new, |id| format!(" --request {}", one_line(id)));
    format!("`fetch-hive approval list{of_run}`, and then `fetch-hive approval decide`; do not run it again")
}

fn failed_run(request_id: Option<&str>) -> String {
    match request_id {
        Some(id) => format!("see `fetch-hive request get {}`; a new run is charged again", one_line(id)),
        None => "correct the inputs or the deployment; a new run is charged again".to_owned(),
    }
}

impl From<OutputError> for Failure {
    fn from(error: OutputError) -> Self {
        let text = one_line(&error.to_string());
        match error {
            OutputError::Failed(failed) => {
                let id = failed.request_id.as_ref().map(RequestId::as_str);
                Self::new(Exit::RunFailed, text).next(failed_run(id)).request(id)
            }
            OutputError::NotCompleted { request_id, run_status } => {
                let id = request_id.as_ref().map(|id| one_line(id.as_str()));
                let waits = run_status.is_some_and(|status| status.as_str() == "awaiting_approval");
                let (exit, step) = match (&id, waits) {
                    (id, true) => (Exit::Waiting, list_approvals(id.as_deref())),
                    (Some(id), false) => (Exit::MayHaveRun, format!("wait for it with `fetch-hive request wait {id}`")),
                    (None, false) => (Exit::MayHaveRun, look_up(None)),
                };
                Self::new(exit, text).next(step).request(id)
            }
            OutputError::NoOutput { request_id } => Self::other(text)
                .next("the run has ended, so do not run it again for its output; its callback contains the output")
                .request(request_id),
            _ => Self::other(text),
        }
    }
}

#[cfg(test)]
mod tests;
