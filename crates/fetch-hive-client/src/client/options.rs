use std::time::Duration;

use fetch_hive_core::retry::RetryPolicy;
use fetch_hive_core::{InvalidInput, Timeouts};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The options of a call: timeouts, retry policy and headers.
///
/// A client holds the defaults, and each call starts with a copy of them.
#[derive(Clone, Debug)]
pub(crate) struct CallOptions {
    pub(super) timeouts: Timeouts,
    /// Whether the timeout of the whole call was set for this call. Only then it also limits a
    /// stream.
    pub(super) timeout_is_explicit: bool,
    pub(super) retry: RetryPolicy,
    pub(super) headers: HeaderMap,
    /// The first invalid header, which is reported when the call is sent or the client is built.
    pub(super) invalid: Option<InvalidInput>,
}

impl Default for CallOptions {
    fn default() -> Self {
        let mut timeouts = Timeouts::default();
        timeouts.connect = Some(Duration::from_secs(10));
        timeouts.idle = Some(Duration::from_secs(120));
        timeouts.deadline = Some(Duration::from_secs(120));
        let retry = RetryPolicy::default();
        Self { timeouts, timeout_is_explicit: false, retry, headers: HeaderMap::new(), invalid: None }
    }
}

impl CallOptions {
    /// Returns a copy for a call of a client with these defaults.
    pub(super) fn for_call(&self) -> Self {
        Self { timeout_is_explicit: false, ..self.clone() }
    }

    pub(super) fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.deadline = timeout.into();
        self.timeout_is_explicit = true;
        self
    }

    pub(super) fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.connect = timeout.into();
        self
    }

    pub(super) fn headers_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.headers = timeout.into();
        self
    }

    pub(super) fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.idle = timeout.into();
        self
    }

    pub(super) fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    pub(super) fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_ref()), HeaderValue::try_from(value.as_ref())) {
            self.headers.insert(name, value);
        } else {
            let invalid = || InvalidInput::new("header", "has a name or a value that a header cannot have");
            self.invalid.get_or_insert_with(invalid);
        }
        self
    }
}
