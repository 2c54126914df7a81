/// An error that occurs when a fault is invalid or can never apply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid term {term:?} in the fault: {reason}")]
pub struct FaultError {
    term: String,
    reason: String,
}

pub(crate) fn invalid<T>(term: &str, reason: impl Into<String>) -> Result<T, FaultError> {
    Err(FaultError { term: term.to_owned(), reason: reason.into() })
}
