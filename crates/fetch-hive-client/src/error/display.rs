use std::fmt;
use std::time::Duration;

use fetch_hive_core::Retry;
use fetch_hive_core::retry::Verdict;

use super::transport::TimeoutElapsed;
use super::{Error, ErrorKind, Inner, TransportErrorKind};

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, operation, attempts, waited, partial, .. } = &*self.inner;
        f.debug_struct("Error")
            .field("operation", operation)
            .field("kind", kind)
            .field("attempts", attempts)
            .field("waited", waited)
            .field("partial", partial)
            .field("request_id", &self.request_id())
            .finish()
    }
}

impl Inner {
    /// Writes the error of a call that waited for the end of the daily cap.
    fn fmt_paused(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the daily cap of API calls is reached")?;
        if let Some(timeout) = self.timeout {
            write!(f, ", and was not reset within {} s (timeout)", timeout.as_secs_f64())?;
        }
        f.write_str("; nothing was started, so retry after midnight UTC (retry_at)")
    }
}

impl fmt::Display for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ErrorKind::Api(_) | ErrorKind::Decode(_) => {}
            _ if self.operation.is_empty() => {}
            _ => write!(f, "{}: ", self.operation)?,
        }
        match &self.kind {
            ErrorKind::Invalid(error) => error.fmt(f)?,
            ErrorKind::Credentials(_) => f.write_str("the credential provider returned no key; nothing was sent")?,
            ErrorKind::Store(error) => write!(f, "the store of shared state failed: {error}; nothing was sent")?,
            ErrorKind::Transport(error) => {
                match error.kind() {
                    TransportErrorKind::Timeout(_) if self.paused_until.is_some() => {
                        return self.fmt_paused(f);
                    }
                    TransportErrorKind::Timeout(timeout) => TimeoutElapsed { timeout, after: self.timeout }.fmt(f)?,
                    _ => error.fmt(f)?,
                }
                let verdict = self.verdict();
                f.write_str(match verdict {
                    Verdict { may_have_run: true, .. } => "; it may have run, so check before you retry",
                    Verdict { may_have_taken_effect: true, .. } => {
                        "; it may have taken effect, so check before you retry"
                    }
                    Verdict { is_retryable: false, .. } => "; nothing was started",
                    _ if self.retry == Retry::Idempotent => "; it is safe to retry",
                    _ => "; nothing was started, so it is safe to retry",
                })?;
            }
            ErrorKind::Api(error) => {
                error.fmt(f)?;
                if let Some(base_url) = &self.base_url {
                    write!(f, " {base_url}")?;
                }
            }
            ErrorKind::RepeatedCursor(error) => error.fmt(f)?,
            ErrorKind::Stream(error) => error.fmt(f)?,
            ErrorKind::Wait(error) => error.fmt(f)?,
            ErrorKind::NotAStream => {
                f.write_str("the success response is not an event stream; see `Error::body` for what was received")?;
            }
            ErrorKind::Decode(error) => error.fmt(f)?,
            ErrorKind::TooLarge { limit } => {
                write!(f, "the response is larger than {limit} bytes; raise `max_response_bytes`")?;
            }
        }
        let is_proxy_response = matches!(&self.kind, ErrorKind::Transport(error) if error.proxy_response().is_some());
        if let Some(partial) = self.partial.as_ref().filter(|_| !is_proxy_response) {
            write!(f, " (incomplete response: status {}, {} bytes of the body)", partial.status, partial.received)?;
        }
        match (self.attempts, self.waited) {
            (0 | 1, _) => Ok(()),
            (attempts, Duration::ZERO) => write!(f, " ({attempts} attempts)"),
            (attempts, waited) => write!(f, " ({attempts} attempts, {:.1} s between them)", waited.as_secs_f64()),
        }
    }
}
