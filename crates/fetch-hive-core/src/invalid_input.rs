use std::borrow::Cow;

use fetch_hive_types::EscapedLine;

/// An error that occurs when a request or a setting is invalid, before anything is sent.
///
/// Nothing was charged, and retrying the same call fails again. The error names the field and the
/// reason, and never contains the rejected value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid `{}`: {}; nothing was sent", EscapedLine(field), EscapedLine(reason))]
#[non_exhaustive]
pub struct InvalidInput {
    /// The name of the field in the request body, the URL or the configuration.
    pub field: Cow<'static, str>,
    /// The reason why the value was rejected.
    pub reason: Cow<'static, str>,
}

impl InvalidInput {
    /// Creates an error that rejects a field for a reason.
    ///
    /// The reason must not contain any part of the value, which may be secret.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
