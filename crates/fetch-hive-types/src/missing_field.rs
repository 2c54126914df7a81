use std::fmt;

/// An error that occurs when a response does not have a field that the caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingField {
    /// The name of the missing field, such as `request_id`.
    pub name: &'static str,
}

impl MissingField {
    pub(crate) fn check<'a, T>(field: Option<&'a T>, name: &'static str) -> Result<&'a T, Self> {
        field.ok_or(Self { name })
    }
}

impl fmt::Display for MissingField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the response has no `{}`", self.name)
    }
}

impl std::error::Error for MissingField {}
