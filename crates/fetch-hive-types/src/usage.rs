use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::macros::record;

record! {
    /// Tokens that a run spent (contract, section 7).
    TokenUsage {
        /// Tokens read.
        prompt_tokens: Option<NumberOrTokenCount>,
        /// Tokens written.
        completion_tokens: Option<NumberOrTokenCount>,
        /// Both together.
        total_tokens: Option<u64>,
        /// Seconds taken.
        duration: Option<Number>,
    }
}

impl TokenUsage {
    /// Tokens read.
    pub fn prompt_total(&self) -> Option<u64> {
        self.prompt_tokens.as_ref()?.total()
    }

    /// Tokens written.
    pub fn completion_total(&self) -> Option<u64> {
        self.completion_tokens.as_ref()?.total()
    }

    /// Both together: as the service says, else the sum of the two sides.
    pub fn total(&self) -> Option<u64> {
        self.total_tokens.or_else(|| Some(self.prompt_total()?.saturating_add(self.completion_total()?)))
    }
}

/// One side of a [`TokenUsage`]: a plain number in the SDK models, an object in the documentation and on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum NumberOrTokenCount {
    /// The total alone.
    Number(u64),
    /// The total and its parts.
    Count(TokenCount),
}

impl NumberOrTokenCount {
    /// The total of this side.
    pub fn total(&self) -> Option<u64> {
        match self {
            Self::Number(total) => Some(*total),
            Self::Count(count) => count.total_tokens,
        }
    }
}

record! {
    /// A token count broken down.
    TokenCount {
        /// The total of this side.
        total_tokens: Option<u64>,
        /// The part that came from a cache; on the prompt side.
        cached_tokens: Option<u64>,
        /// The part spent on reasoning; on the completion side.
        reasoning_tokens: Option<u64>,
    }
}
