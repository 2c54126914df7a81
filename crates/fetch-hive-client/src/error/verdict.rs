use fetch_hive_core::Retry;
use fetch_hive_core::retry::{RetryEvent, Verdict};

use super::{ErrorKind, Inner};

impl Inner {
    /// Returns the event that the retry engine receives for this error, if it is one of an attempt.
    pub(super) fn retry_event(&self) -> Option<RetryEvent<'_>> {
        match &self.kind {
            ErrorKind::Api(api) => Some(RetryEvent::Rejected(api)),
            ErrorKind::Transport(error) => Some(match error.proxy_response() {
                Some(response) => RetryEvent::ProxyRejected(response.status()),
                None if error.is_not_sent() => RetryEvent::NotSent,
                None => RetryEvent::MayHaveRun,
            }),
            _ => None,
        }
    }

    /// Returns the verdict, from which all methods and the text of the error follow.
    pub(super) fn verdict(&self) -> Verdict {
        let event = match &self.kind {
            // Nothing was sent.
            ErrorKind::Invalid(_) | ErrorKind::RepeatedCursor(_) => RetryEvent::Started,
            ErrorKind::Credentials(_) | ErrorKind::Store(_) => RetryEvent::NotSent,
            // The operation was performed, but its result could not be read.
            ErrorKind::Decode(_) | ErrorKind::Stream(_) | ErrorKind::NotAStream | ErrorKind::TooLarge { .. } => {
                RetryEvent::Succeeded
            }
            // The run was started by an earlier request.
            ErrorKind::Wait(_) => return RetryEvent::Succeeded.verdict(Retry::OnlyIfNotSent, true),
            ErrorKind::Api(_) | ErrorKind::Transport(_) => self.retry_event().unwrap_or(RetryEvent::MayHaveRun),
        };
        event.verdict(self.retry, self.starts_run)
    }
}
