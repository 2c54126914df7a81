use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::macros::record;
use crate::open_enum::open_enum;
use crate::{ApprovalId, Extra, MissingField, Timestamp};

record! {
    /// A tool that an agent called (contract, section 6).
    ToolInvocation {
        /// The tool's name.
        tool_name: Option<String>,
        /// Its arguments: JSON in a text. In streams they come parsed; both are kept as they came.
        tool_input: Option<Value>,
        /// Its result: JSON in a text.
        observation: Option<Value>,
    }
}

impl ToolInvocation {
    /// The arguments as `T`.
    ///
    /// # Errors
    ///
    /// When they are no `T`, or no JSON.
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        parsed(self.tool_input.as_ref())
    }

    /// The result as `T`.
    ///
    /// # Errors
    ///
    /// When it is no `T`, or no JSON.
    pub fn observation_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        parsed(self.observation.as_ref())
    }
}

/// A value that is JSON, or a text that holds it.
pub(crate) fn parsed<T: DeserializeOwned>(value: Option<&Value>) -> Result<T, serde_json::Error> {
    match value {
        Some(Value::String(text)) => serde_json::from_str(text),
        value => T::deserialize(value.unwrap_or(&Value::Null)),
    }
}

record! {
    /// A tool action that waits for a decision (contract, section 8).
    PendingToolApproval {
        /// The approval to decide.
        approval_id: Option<ApprovalId>,
        /// The tool's name.
        tool_name: Option<String>,
        /// What it would do, for people.
        summary: Option<String>,
        /// Its arguments.
        arguments: Option<Extra>,
        /// When it can no longer be decided.
        expires_at: Option<Timestamp>,
        /// Where a person can decide.
        review_url: Option<String>,
    }
}

impl PendingToolApproval {
    /// Returns the id of the approval to decide.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `approval_id`.
    pub fn approval_id(&self) -> Result<&ApprovalId, MissingField> {
        MissingField::check(self.approval_id.as_ref(), "approval_id")
    }
}

record! {
    /// A tool call that was denied.
    DeniedToolCall {
        /// The tool's name.
        tool_name: Option<String>,
        /// The approval behind it, if there was one.
        approval_id: Option<ApprovalId>,
        /// Why.
        reason: Option<DenialReason>,
    }
}

open_enum! {
    /// Why a tool call was denied.
    DenialReason {
        /// A saved rule denies it.
        PolicyDeny = "policy_deny",
    }
}

record! {
    /// A tool call that ran only because the approval mode allowed it.
    AutoApprovedToolCall {
        /// What it did, for people.
        summary: Option<String>,
        /// The tool's name.
        tool_name: Option<String>,
    }
}
