use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::retry::RetryPolicy;
use fetch_hive_core::{InvalidInput, Operation, ProgressHook, Timeouts};
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::execute::RunLimiter;

/// The options of a call: timeouts, retry policy and headers.
///
/// A client holds the defaults, and each call starts with a copy of them.
#[derive(Clone)]
pub(crate) struct CallOptions {
    pub(super) timeouts: Timeouts,
    /// Whether the timeout of the whole call was set for this call. Only then it also limits a
    /// stream.
    pub(super) timeout_is_explicit: bool,
    /// Whether a caller or the client set a timeout of the whole call, and no idle timeout.
    pub(super) only_timeout_is_set: bool,
    idle_is_set: bool,
    pub(super) retry: RetryPolicy,
    pub(super) headers: HeaderMap,
    /// Boxed, because few calls set them.
    pub(super) hooks: Option<Box<CallHooks>>,
    /// The first invalid header, which is reported when the call is sent or the client is built.
    pub(super) invalid: Option<InvalidInput>,
}

/// What only a call can set.
#[derive(Clone, Default)]
pub(super) struct CallHooks {
    pub(super) on_upload_progress: Option<Arc<ProgressHook>>,
    /// The limiter of this call instead of that of the client.
    pub(super) run_limiter: Option<Arc<dyn RunLimiter>>,
}

impl Default for CallOptions {
    fn default() -> Self {
        let mut timeouts = Timeouts::default();
        timeouts.connect = Some(Duration::from_secs(10));
        timeouts.idle = Some(Duration::from_secs(120));
        timeouts.deadline = Some(Duration::from_secs(120));
        let retry = RetryPolicy::default();
        Self {
            timeouts,
            timeout_is_explicit: false,
            only_timeout_is_set: false,
            idle_is_set: false,
            retry,
            headers: HeaderMap::new(),
            hooks: None,
            invalid: None,
        }
    }
}

impl CallOptions {
    /// Returns a copy for a call of a client with these defaults.
    pub(super) fn for_call(&self) -> Self {
        Self { timeout_is_explicit: false, ..self.clone() }
    }

    /// Returns the timeouts of a call whose whole body is read.
    ///
    /// A direct run may send its response head at once and its body when it has ended. A timeout
    /// that the caller set for the run must not be cut short by the default idle timeout.
    pub(super) fn timeouts_of(&self, operation: &Operation) -> Timeouts {
        let mut timeouts = self.timeouts;
        if operation.occupies_run_slot && self.only_timeout_is_set {
            timeouts.idle = None;
        }
        timeouts
    }

    pub(super) fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.deadline = timeout.into();
        self.timeout_is_explicit = true;
        self.only_timeout_is_set = !self.idle_is_set;
        self
    }

    pub(super) fn connect_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.connect = timeout.into();
        self
    }

    pub(super) fn headers_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.headers = self.not_zero("headers_timeout", timeout.into());
        self
    }

    pub(super) fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeouts.idle = self.not_zero("idle_timeout", timeout.into());
        self.idle_is_set = true;
        self.only_timeout_is_set = false;
        self
    }

    /// Rejects a timeout that would lose the response of every run.
    fn not_zero(&mut self, setting: &'static str, timeout: Option<Duration>) -> Option<Duration> {
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            self.invalid.get_or_insert(InvalidInput::new(setting, "must not be zero; `None` disables it"));
        }
        timeout
    }

    pub(super) fn hooks(&mut self) -> &mut CallHooks {
        self.hooks.get_or_insert_default()
    }

    pub(super) fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    pub(super) fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        match checked_header(name.as_ref(), value.as_ref()) {
            Ok((name, value)) => drop(self.headers.insert(name, value)),
            Err(invalid) => drop(self.invalid.get_or_insert(invalid)),
        }
        self
    }
}

fn checked_header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), InvalidInput> {
    let reject = |reason: String| Err(InvalidInput::new("header", reason));
    let Ok(name) = HeaderName::try_from(name) else {
        return reject("has a name with a character that a header name cannot contain".to_owned());
    };
    if let Some(reason) = reserved(&name) {
        return reject(format!("`{name}` cannot be set: {reason}"));
    }
    if name == ACCEPT_ENCODING && !["gzip", "identity"].contains(&value.trim()) {
        return reject(format!("`{name}` must be `gzip` or `identity`, because no other encoding is decoded"));
    }
    let Ok(value) = HeaderValue::try_from(value) else {
        return reject(format!("`{name}` has a value with a character that a header cannot contain"));
    };
    Ok((name, value))
}

/// Returns the reason why a caller cannot set a header, for the headers that frame or route a
/// message.
pub(super) fn reserved(name: &HeaderName) -> Option<&'static str> {
    Some(match name.as_str() {
        "content-length" | "transfer-encoding" | "te" | "trailer" => "the transport sets it to match the body",
        "connection" | "keep-alive" | "proxy-connection" | "upgrade" | "http2-settings" => {
            "the transport manages its connections"
        }
        "host" => "it follows from the base URL",
        "expect" => "the client does not wait for `100 Continue`",
        "proxy-authorization" => "set the user name and the password in the proxy URL",
        "content-encoding" => "the body is not compressed",
        "range" | "if-range" => "a part of a response cannot be read",
        "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since" => {
            "the service does not document conditional requests"
        }
        _ => return None,
    })
}
