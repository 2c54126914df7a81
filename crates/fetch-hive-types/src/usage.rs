use serde::{Deserialize, Serialize};
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
