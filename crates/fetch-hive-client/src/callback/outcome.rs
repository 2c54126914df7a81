use std::fmt;

use fetch_hive_core::callback::{CallbackError, EventKey};
use fetch_hive_core::signature::SignatureError;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::BoxError;

/// The outcome of one delivery. It determines the response status, and therefore whether the
/// service should redeliver the event.
///
/// `Display` and `Debug` never show a secret or a body, unless the handler's error contains one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler succeeded. The response status is 200.
    Handled(EventKey),
    /// The handler succeeded, but the dedup store could not record this. The response status is
    /// 200.
    ///
    /// If the service redelivers the event, the handler may run again.
    CommitFailed {
        /// The key of the event.
        key: EventKey,
        /// The error from the dedup store.
        error: BoxError,
    },
    /// The event had already been handled, so the handler did not run. The response status is 200.
    AlreadyHandled(EventKey),
    /// The event ended a pending run, and was acknowledged by a waiter or stored durably. The
    /// response status is 200.
    RunEnded(EventKey),
    /// The delivery was held, because the run's secret is not known yet, nothing is currently
    /// waiting for the run, or the waiter did not acknowledge the event within 5 s. The response
    /// status is 503, so that the service redelivers the event.
    ///
    /// A [`PendingRun`](super::PendingRun) can receive the held event before it is redelivered.
    Held,
    /// The delivery has an invalid signature (status 401), or cannot be verified because the
    /// receiver has no secret (status 500).
    Rejected(CallbackError),
    /// The request is not a POST request. The response status is 405.
    MethodNotAllowed,
    /// The body is larger than the limit. The response status is 413.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body could not be read completely. The response status is 400.
    BodyError(BoxError),
    /// Another handler is processing the event. The response status is 503, so that the service
    /// redelivers the event in case that handler fails.
    InProgress(EventKey),
    /// The handler failed, and its claim was released. The response status is 500.
    HandlerFailed {
        /// The key of the event.
        key: EventKey,
        /// The error from the handler.
        error: BoxError,
    },
    /// The dedup store, the store for pending runs or the source of secrets failed, so nothing was
    /// handled. The response status is 503.
    StoreFailed {
        /// The key of the event, if the delivery was verified.
        key: Option<EventKey>,
        /// The error from the store or the source.
        error: BoxError,
    },
    /// The URL belongs to a run that this receiver does not know. The response status is 503,
    /// because the run may be resumed later.
    UnknownRun,
    /// The delivery could not be held, because the limit on held bytes has been reached. The
    /// response status is 503.
    BufferFull,
}

impl Outcome {
    /// Returns a short name of the outcome for metrics, such as `already_handled`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Handled(_) => "handled",
            Self::CommitFailed { .. } => "commit_failed",
            Self::AlreadyHandled(_) => "already_handled",
            Self::RunEnded(_) => "run_ended",
            Self::Held => "held",
            Self::Rejected(_) => "rejected",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::TooLarge { .. } => "too_large",
            Self::BodyError(_) => "body_error",
            Self::InProgress(_) => "in_progress",
            Self::HandlerFailed { .. } => "handler_failed",
            Self::StoreFailed { .. } => "store_failed",
            Self::UnknownRun => "unknown_run",
            Self::BufferFull => "buffer_full",
        }
    }

    /// Returns the key of the event, if the delivery was verified.
    pub fn key(&self) -> Option<&EventKey> {
        match self {
            Self::Handled(key)
            | Self::AlreadyHandled(key)
            | Self::RunEnded(key)
            | Self::InProgress(key)
            | Self::CommitFailed { key, .. }
            | Self::HandlerFailed { key, .. } => Some(key),
            Self::StoreFailed { key, .. } => key.as_ref(),
            _ => None,
        }
    }

    /// Returns the response status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Handled(_) | Self::CommitFailed { .. } | Self::AlreadyHandled(_) | Self::RunEnded(_) => {
                StatusCode::OK
            }
            Self::Rejected(CallbackError::Signature(SignatureError::NoSecret)) | Self::HandlerFailed { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Rejected(CallbackError::Signature(_)) => StatusCode::UNAUTHORIZED,
            Self::Rejected(_) | Self::BodyError(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Held | Self::InProgress(_) | Self::StoreFailed { .. } | Self::UnknownRun | Self::BufferFull => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Converts the outcome into the response to send, with a short JSON body.
    ///
    /// The body never contains error details.
    pub fn into_response(self) -> Response<String> {
        let status = self.status();
        let error = match status {
            StatusCode::UNAUTHORIZED => Some("invalid signature"),
            StatusCode::INTERNAL_SERVER_ERROR => Some("not handled; redeliver the event"),
            StatusCode::BAD_REQUEST => Some("incomplete body"),
            StatusCode::METHOD_NOT_ALLOWED => Some("method not allowed; use POST"),
            StatusCode::PAYLOAD_TOO_LARGE => Some("the body is too large"),
            StatusCode::SERVICE_UNAVAILABLE => Some("temporarily unavailable; redeliver the event"),
            _ => None,
        };
        let body = error.map_or_else(|| r#"{"ok":true}"#.to_owned(), |error| format!(r#"{{"error":"{error}"}}"#));
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handled(_) => f.write_str("handled"),
            Self::CommitFailed { error, .. } => {
                write!(f, "handled, but the dedup store failed to record it: {error}")
            }
            Self::AlreadyHandled(_) => f.write_str("already handled"),
            Self::RunEnded(_) => f.write_str("received the end of a pending run"),
            Self::Held => f.write_str("held for its pending run; answered with 503 for a redelivery"),
            Self::Rejected(error) => write!(f, "rejected: {error}"),
            Self::MethodNotAllowed => f.write_str("rejected: the request is not a POST"),
            Self::TooLarge { limit } => {
                write!(f, "rejected: the body is larger than {limit} bytes; raise `max_body_bytes`")
            }
            Self::BodyError(error) => write!(f, "failed to read the body: {error}"),
            Self::InProgress(_) => f.write_str("another handler is working on the event; answered with 503"),
            Self::HandlerFailed { error, .. } => write!(f, "the handler failed: {error}"),
            Self::StoreFailed { error, .. } => write!(f, "the store failed, so nothing was handled: {error}"),
            Self::UnknownRun => f.write_str("no pending run has this callback URL; answered with 503 for a redelivery"),
            Self::BufferFull => f.write_str("the limit of held deliveries is reached; raise `max_held_bytes`"),
        }
    }
}
