use std::path::{Path, PathBuf};

use fetch_hive_client::Timeout;

use super::compare;
use super::format::{Line, RecordedError};
use crate::Exchange;

/// An error that occurs when a recording cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("cannot read the recording {}", path.display())]
    Read {
        /// The path of the recording.
        path: PathBuf,
        /// The cause of the failure.
        source: std::io::Error,
    },
    /// A line of the file is not a recorded exchange.
    #[error("invalid exchange at line {line}, column {column} of the recording {}", path.display())]
    Parse {
        /// The path of the recording.
        path: PathBuf,
        /// The line number, starting at 1.
        line: usize,
        /// The column at which parsing failed, starting at 1.
        ///
        /// The error does not contain the text of the line, which may be part of a body.
        column: usize,
    },
}

/// Reads the exchanges of a recording, in the order of their requests.
pub(crate) fn read(path: &Path) -> Result<Vec<Exchange>, RecordingError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| RecordingError::Read { path: path.to_owned(), source })?;
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let line: Line = serde_json::from_str(line).map_err(|error| RecordingError::Parse {
            path: path.to_owned(),
            line: index + 1,
            column: error.column(),
        })?;
        lines.push(line);
    }
    lines.sort_by_key(|line| line.number);
    Ok(lines.into_iter().map(exchange).collect())
}

fn exchange(line: Line) -> Exchange {
    let exchange = match (line.response, line.error) {
        (Some(response), _) => {
            let exchange = response
                .headers
                .into_iter()
                .fold(Exchange::status(response.status), |exchange, (name, value)| exchange.header(name, value))
                .body(response.body.into_bytes());
            if response.incomplete { exchange.then_disconnect() } else { exchange }
        }
        (None, Some(RecordedError::NotSent)) => Exchange::not_sent(),
        (None, Some(RecordedError::QueueTimeout)) => Exchange::timeout(Timeout::Queue),
        (None, Some(RecordedError::ConnectTimeout)) => Exchange::timeout(Timeout::Connect),
        (None, Some(RecordedError::HeadersTimeout)) => Exchange::timeout(Timeout::Headers),
        (None, Some(RecordedError::IdleTimeout)) => Exchange::timeout(Timeout::Idle),
        (None, Some(RecordedError::DeadlineTimeout)) => Exchange::timeout(Timeout::Deadline),
        (None, Some(RecordedError::MayHaveRun) | None) => Exchange::may_have_run(),
    };
    let recorded = line.request;
    exchange.expect(move |request| compare::compare(&recorded, request))
}
