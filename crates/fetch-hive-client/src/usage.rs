use std::sync::Arc;

use fetch_hive_core::types::TokenUsage;

/// What one reply says it spent.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UsageReport<'a> {
    /// The operation, such as `invokePrompt`.
    pub operation: &'static str,
    /// The deployment or the agent.
    pub target: &'a str,
    /// The tokens.
    pub usage: &'a TokenUsage,
}

/// A function that sees every usage report of a client.
pub(crate) type UsageHook = Arc<dyn Fn(UsageReport<'_>) + Send + Sync>;
