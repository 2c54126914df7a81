use std::fmt;

use fetch_hive_core::callback::{CallbackError, EventKey};
use fetch_hive_core::signature::SignatureError;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use crate::BoxError;

/// What became of a delivery. It says with which status it is answered, and so whether the service delivers the event again.
///
/// Its texts hold neither a secret nor a body, unless the error of a handler does.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The handler took the event: 200.
    Handled(EventKey),
    /// The handler took the event, and the guard could not note it: 200, for the work is done. Should the event come again, the handler
    /// may run again.
    CommitFailed {
        /// The event.
        key: EventKey,
        /// What the guard said.
        error: BoxError,
    },
    /// The event was taken before, so the handler did not run: 200.
    AlreadyHandled(EventKey),
    /// A run that is waited for has ended: 200.
    RunEnded(EventKey),
    /// The callback of a run whose secret is not known yet, or that nobody waits for at the moment, was put aside: 503, so that it comes
    /// again. The run does not wait for that, and nothing is lost if this process ends first.
    Held,
    /// The signature does not hold: 401. There is no secret to verify with: 500. It is signed, and no event: 400; its body is in the error.
    Refused(CallbackError),
    /// It is no POST: 405.
    MethodNotAllowed,
    /// The body is larger than the limit: 413.
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body broke off: 400.
    BodyError(BoxError),
    /// Another handler has the event, and may fail yet: 503.
    InProgress(EventKey),
    /// The handler failed: 500. The claim was released.
    HandlerFailed {
        /// The event.
        key: EventKey,
        /// What the handler said.
        error: BoxError,
    },
    /// The guard could not be asked, so the handler did not run: 503.
    StoreFailed {
        /// The event.
        key: EventKey,
        /// What the guard said.
        error: BoxError,
    },
    /// The path names a run that nobody waits for here. Somebody may yet: 503.
    UnknownRun,
    /// There is no room to put the event aside for those who will wait for it: 503.
    BufferFull,
}

impl Outcome {
    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Handled(_) | Self::CommitFailed { .. } | Self::AlreadyHandled(_) | Self::RunEnded(_) => StatusCode::OK,
            Self::Refused(CallbackError::Signature(SignatureError::NoSecret)) | Self::HandlerFailed { .. } => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
            Self::Refused(CallbackError::Signature(_)) => StatusCode::UNAUTHORIZED,
            Self::Refused(_) | Self::BodyError(_) => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Held | Self::InProgress(_) | Self::StoreFailed { .. } | Self::UnknownRun | Self::BufferFull => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The answer. It says no more than a sender may know.
    pub fn into_response(self) -> Response<String> {
        let status = self.status();
        let text = match &self {
            Self::Refused(CallbackError::Signature(_)) if status == StatusCode::UNAUTHORIZED => {
                "the signature does not hold"
            }
            Self::Refused(CallbackError::Signature(_)) | Self::HandlerFailed { .. } => "failed; deliver it again",
            Self::Refused(_) => "the body is no event",
            Self::BodyError(_) => "the body broke off",
            Self::MethodNotAllowed => "callbacks are posted",
            Self::TooLarge { .. } => "the body is too large",
            _ if status == StatusCode::SERVICE_UNAVAILABLE => "not now; deliver it again",
            _ => "",
        };
        let body = if text.is_empty() { r#"{"ok":true}"#.to_owned() } else { format!(r#"{{"error":"{text}"}}"#) };
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
            Self::Handled(key) => write!(f, "handled {key}"),
            Self::CommitFailed { key, error } => write!(f, "handled {key}, which the guard could not note: {error}"),
            Self::AlreadyHandled(key) => write!(f, "{key} came again"),
            Self::RunEnded(key) => write!(f, "{key} ended a run that is waited for"),
            Self::Held => f.write_str("put aside for who waits for its run; it is to come again"),
            Self::Refused(error) => write!(f, "refused: {error}"),
            Self::MethodNotAllowed => f.write_str("refused: it is no POST"),
            Self::TooLarge { limit } => write!(f, "refused: the body is larger than {limit} bytes"),
            Self::BodyError(error) => write!(f, "the body broke off: {error}"),
            Self::InProgress(key) => write!(f, "{key} is being handled; it is to come again"),
            Self::HandlerFailed { key, error } => write!(f, "the handler of {key} failed: {error}"),
            Self::StoreFailed { key, error } => write!(f, "the guard could not be asked for {key}: {error}"),
            Self::UnknownRun => f.write_str("nobody waits for its run here; it is to come again"),
            Self::BufferFull => f.write_str("no room to put it aside; it is to come again"),
        }
    }
}
