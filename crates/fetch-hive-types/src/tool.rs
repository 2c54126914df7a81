use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::macros::record;
use crate::open_enum::open_enum;
use crate::{ApprovalId, Extra, MissingField, Timestamp};

record! {
    /// A tool call of an agent, with its result.
    ///
    /// See the [contract](crate::contract#agents).
    ToolInvocation {
        /// The name of the tool that the agent called.
        tool_name: Option<String>,
        /// The arguments of the tool call.
        ///
        /// A response sends them as a string with JSON, and a stream as an object.
        tool_input: Option<Value>,
        /// The result of the tool call, which is a string with JSON.
        observation: Option<Value>,
    }
}

impl ToolInvocation {
    /// Deserializes the arguments of the tool call.
    ///
    /// # Errors
    ///
    /// Returns an error if the arguments are not JSON, or cannot be deserialized as `T`.
    pub fn input_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        parsed(self.tool_input.as_ref())
    }

    /// Deserializes the result of the tool call.
    ///
    /// # Errors
    ///
    /// Returns an error if the result is not JSON, or cannot be deserialized as `T`.
    pub fn observation_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        parsed(self.observation.as_ref())
    }
}

/// Deserializes a JSON value, or the JSON in a string.
pub(crate) fn parsed<T: DeserializeOwned>(value: Option<&Value>) -> Result<T, serde_json::Error> {
    match value {
        Some(Value::String(text)) => serde_json::from_str(text),
        value => T::deserialize(value.unwrap_or(&Value::Null)),
    }
}

record! {
    /// A tool action that waits for a decision.
    ///
    /// See the [contract](crate::contract#approvals).
    PendingToolApproval {
        /// The id of the approval to decide.
        approval_id: Option<ApprovalId>,
        /// The name of the tool that waits to run.
        tool_name: Option<String>,
        /// A summary of the action for people.
        summary: Option<String>,
        /// The arguments that the tool will receive.
        arguments: Option<Extra>,
        /// The time after which the approval can no longer be decided.
        expires_at: Option<Timestamp>,
        /// The URL of the dashboard page on which a person can decide.
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
        /// The name of the tool that was not called.
        tool_name: Option<String>,
        /// The id of the approval that denied the call, if there is one.
        approval_id: Option<ApprovalId>,
        /// The reason why the call was denied.
        reason: Option<DenialReason>,
    }
}

open_enum! {
    /// The reason why a tool call was denied.
    DenialReason {
        /// A saved rule of the workspace denies the call.
        PolicyDeny = "policy_deny",
    }
}

record! {
    /// A tool call that needed approval and was approved automatically.
    AutoApprovedToolCall {
        /// A summary of the action for people.
        summary: Option<String>,
        /// The name of the tool that was called.
        tool_name: Option<String>,
    }
}
