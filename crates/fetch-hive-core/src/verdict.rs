use http::StatusCode;

use crate::Retry;

/// The consequences of a failed attempt.
///
/// The retry engine and the errors of a client use the same verdict, so that a retry, the text of
/// an error and its methods never disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether the request may have started a run. It is always `false` for an operation that
    /// starts no run.
    pub may_have_run: bool,
    /// Whether sending the request again may take effect twice. It is always `false` for an
    /// idempotent operation.
    pub may_have_taken_effect: bool,
    /// Whether a retry is safe and may succeed.
    pub is_retryable: bool,
}

impl Verdict {
    /// Returns the verdict for a failed request. `reached` tells whether it may have reached the
    /// service.
    pub(crate) fn new(retry: Retry, starts_run: bool, reached: bool, may_succeed_later: bool) -> Self {
        let may_have_taken_effect = reached && retry == Retry::OnlyIfNotSent;
        Self {
            may_have_run: may_have_taken_effect && starts_run,
            may_have_taken_effect,
            is_retryable: may_succeed_later && !may_have_taken_effect,
        }
    }
}

/// Returns whether the service may have processed a request that was answered with an error status.
///
/// This is the case for 5xx, and for 408 and 499, which a proxy may send when the service responds
/// slowly. Unknown statuses are treated like 5xx (RFC 9110, section 15).
pub(crate) fn is_processed(status: StatusCode) -> bool {
    !matches!(status.as_u16(), 300..=407 | 409..=498)
}
