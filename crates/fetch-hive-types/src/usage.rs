use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use crate::macros::record;

record! {
    /// The number of tokens that a run used.
    ///
    /// See the [contract](crate::contract#streams).
    TokenUsage {
        /// The number of tokens in the prompt, including cached tokens.
        prompt_tokens: Option<NumberOrTokenCount>,
        /// The number of tokens in the completion, including reasoning tokens.
        completion_tokens: Option<NumberOrTokenCount>,
        /// The number of tokens in the prompt and the completion together.
        total_tokens: Option<u64>,
        /// The duration of the run in seconds.
        duration: Option<Number>,
    }
}

impl TokenUsage {
    /// Returns the number of tokens in the prompt.
    pub fn prompt_total(&self) -> Option<u64> {
        self.prompt_tokens.as_ref()?.total()
    }

    /// Returns the number of tokens in the completion.
    pub fn completion_total(&self) -> Option<u64> {
        self.completion_tokens.as_ref()?.total()
    }

    /// Returns the number of tokens in the prompt and the completion together.
    ///
    /// If the service does not send the total, it is the sum of the two counts.
    pub fn total(&self) -> Option<u64> {
        self.total_tokens.or_else(|| Some(self.prompt_total()?.saturating_add(self.completion_total()?)))
    }
}

/// The token count of a prompt or a completion.
///
/// The models of the official SDKs declare a number, and the documentation shows an object. Both
/// forms are read.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NumberOrTokenCount {
    /// The total number of tokens, without its parts.
    Number(u64),
    /// The total number of tokens and its parts.
    Count(TokenCount),
}

impl NumberOrTokenCount {
    /// Returns the total number of tokens.
    pub fn total(&self) -> Option<u64> {
        match self {
            Self::Number(total) => Some(*total),
            Self::Count(count) => count.total_tokens,
        }
    }
}

/// A derived implementation would buffer the object, which hides the fields of a malformed one.
impl<'de> Deserialize<'de> for NumberOrTokenCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountVisitor)
    }
}

struct CountVisitor;

impl<'de> Visitor<'de> for CountVisitor {
    type Value = NumberOrTokenCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of tokens, or an object with token counts")
    }

    fn visit_u64<E>(self, total: u64) -> Result<Self::Value, E> {
        Ok(NumberOrTokenCount::Number(total))
    }

    fn visit_f64<E: Error>(self, total: f64) -> Result<Self::Value, E> {
        // A float beyond 2^53 is not exact, and no run has so many tokens.
        if total.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&total) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
            return Ok(NumberOrTokenCount::Number(total as u64));
        }
        Err(E::invalid_value(serde::de::Unexpected::Float(total), &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let total = text.trim().parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
        Ok(NumberOrTokenCount::Number(total))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        TokenCount::deserialize(MapAccessDeserializer::new(map)).map(NumberOrTokenCount::Count)
    }
}

record! {
    /// The token count of a prompt or a completion, broken down into its parts.
    TokenCount {
        /// The total number of tokens, including the parts below.
        total_tokens: Option<u64>,
        /// The number of prompt tokens that were read from a cache.
        cached_tokens: Option<u64>,
        /// The number of completion tokens that were used for reasoning.
        reasoning_tokens: Option<u64>,
    }
}
