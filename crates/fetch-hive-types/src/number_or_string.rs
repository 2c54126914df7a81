use serde::{Deserialize, Serialize};
use serde_json::Number;

/// A number that the service sends as a JSON number or as a string.
///
/// Both `0.1` and `"0.1"` occur. The original form is kept. See the
/// [contract](crate::contract#resources).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NumberOrString {
    /// A JSON number, in its original form.
    Number(Number),
    /// A string, which does not necessarily hold a number.
    Text(String),
}

impl NumberOrString {
    /// Returns the value as a floating-point number, if it is a number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    /// Returns the value as an unsigned integer, if it is one.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}
