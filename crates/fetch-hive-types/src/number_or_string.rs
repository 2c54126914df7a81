use serde::{Deserialize, Serialize};
use serde_json::Number;

/// A number that the service sends as a number or as a text, as it came: `0.1` and `"0.1"` are both seen (contract, section 10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NumberOrString {
    /// A JSON number.
    Number(Number),
    /// A text, which need not hold a number.
    Text(String),
}

impl NumberOrString {
    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }

    /// The number, if it is one without sign and fraction.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            Self::Text(text) => text.trim().parse().ok(),
        }
    }
}
