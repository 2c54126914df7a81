use std::fmt;

use bytes::Bytes;
use fetch_hive_types::{ErrorCode, ErrorEvent, EscapedLine, RequestId};
use serde_json::Value;

use crate::sse::EventTooLarge;

/// An error that occurs while a stream is read.
///
/// `Display` and `Debug` show no content of the stream except the error message of the service.
#[non_exhaustive]
pub enum StreamError {
    /// An event is not JSON, or is a text event without a readable text. More events may follow.
    ///
    /// Any other malformed field of an event is listed in
    /// [`Event::unreadable`](super::Event::unreadable) instead.
    Malformed {
        /// The data of the malformed event.
        raw: Bytes,
        /// The parser error, whose message may quote the data.
        error: serde_json::Error,
    },
    /// The service reported that the run failed.
    Failed {
        /// The error event that the service sent.
        event: Box<ErrorEvent>,
        /// The JSON of the error event.
        raw: Bytes,
    },
    /// The stream ended before `[DONE]` or the `usage` event. All complete events were returned
    /// before this error.
    Cut {
        /// The data of the last event if it is incomplete.
        unfinished: Option<Bytes>,
        /// The first lines that are not part of an event stream, such as an error that a proxy
        /// wrote into the stream.
        unframed: Option<Bytes>,
    },
    /// An event exceeds the size limit. No more events follow.
    TooLarge(EventTooLarge),
}

impl StreamError {
    /// Returns whether more events may follow this error.
    pub fn is_recoverable(&self) -> bool {
        matches!(self, Self::Malformed { .. } | Self::Failed { .. })
    }

    /// Returns the error code of a failed run.
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Failed { event, .. } => event.error_code.as_ref(),
            _ => None,
        }
    }

    /// Returns the id of a failed run, if the error event contains it.
    pub fn request_id(&self) -> Option<&RequestId> {
        match self {
            Self::Failed { event, .. } => event.request_id.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { raw, error } => write!(
                f,
                "malformed stream event of {} bytes at line {}, column {}",
                raw.len(),
                error.line(),
                error.column()
            ),
            Self::Failed { event, .. } => {
                f.write_str("the run failed during the stream")?;
                if let Some(code) = &event.error_code {
                    write!(f, " ({})", EscapedLine(code))?;
                }
                match event.message.as_deref().or(event.error.as_ref().and_then(Value::as_str)) {
                    Some(message) => write!(f, ": {}", EscapedLine(message)),
                    None => Ok(()),
                }
            }
            Self::Cut { unframed, .. } => {
                f.write_str("the stream was cut: it ended before its end marker")?;
                match unframed {
                    Some(bytes) => {
                        write!(f, ", and {} bytes in it are not events; read them from the error", bytes.len())
                    }
                    None => Ok(()),
                }
            }
            Self::TooLarge(error) => error.fmt(f),
        }
    }
}

impl fmt::Debug for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamError({self})")
    }
}

impl std::error::Error for StreamError {}
