use std::borrow::Cow;

use fetch_hive_types::EscapedLine;

/// Input that was refused before anything was sent. Nothing was charged, and repeating the call unchanged cannot help.
///
/// Names the field and the reason, and never holds the refused value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid `{}`: {}; nothing was sent", EscapedLine(field), EscapedLine(reason))]
#[non_exhaustive]
pub struct InvalidInput {
    /// The field, as it stands on the wire or in the configuration.
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    pub reason: Cow<'static, str>,
}

impl InvalidInput {
    /// Refuses a field for a reason. Put no part of the value into the reason.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}
