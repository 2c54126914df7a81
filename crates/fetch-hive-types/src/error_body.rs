use serde::Deserialize;
use serde_json::Value;

use crate::macros::{documented_or, null_as_default, record};
use crate::open_enum::open_enum;
use crate::{Extra, RequestId};

open_enum! {
    /// The machine-readable reason of a refusal (contract, section 7). The texts beside it are localised: match on this.
    ErrorCode {
        /// The model is retired: choose a current one.
        ModelDeprecated = "model_deprecated",
        /// The workspace's own provider key is missing.
        PersonalModelMissingCredentials = "personal_model_missing_credentials",
        /// The provider refused the workspace's own key.
        PersonalModelInvalidCredentials = "personal_model_invalid_credentials",
        /// No credits are left for hosted models.
        InsufficientHostedLlmCredits = "insufficient_hosted_llm_credits",
        /// The plan's storage is full.
        AssetStorageLimitReached = "asset_storage_limit_reached",
        /// The plan allows no more steps in a workflow.
        WorkflowStepLimitReached = "workflow_step_limit_reached",
        /// The plan allows no more workspaces.
        WorkspaceLimitReached = "workspace_limit_reached",
        /// The plan keeps logs for a shorter time than asked for.
        LogRangeLimitExceeded = "log_range_limit_exceeded",
        /// The account's credit cap is reached.
        AccountCreditCapReached = "account_credit_cap_reached",
        /// The model takes no images.
        VisionNotSupported = "vision_not_supported",
        /// A loop ran more often than it may.
        IterationLimitExceeded = "iteration_limit_exceeded",
        /// The plan's daily number of calls is used up; it starts anew at midnight UTC.
        ApiRateLimitExceeded = "api_rate_limit_exceeded",
        /// The model's provider throttles.
        TooManyRequests = "too_many_requests",
        /// A fault of the service.
        InternalServerError = "internal_server_error",
        /// The request does not fit.
        ValidationError = "validation_error",
        /// The tool approval mode does not exist.
        InvalidToolApproval = "invalid_tool_approval",
        /// The key may not allow tool actions by itself.
        ToolApprovalOverrideNotPermitted = "tool_approval_override_not_permitted",
        /// The tool approval mode is set in the dashboard only.
        ToolApprovalModeRequiresDashboard = "tool_approval_mode_requires_dashboard",
        /// A required field is missing.
        MissingRequiredField = "missing_required_field",
    }
}

record! {
    /// The body of a refusal, in every form of the contract (section 7).
    #[serde(try_from = "Wire")]
    ErrorBody {
        /// What is wrong, for people, in the language of the account. A text, in every case that is known.
        error: Option<Value>,
        /// A longer text for people.
        message: Option<Value>,
        /// The reason, for programs. Read from the deprecated `code` too.
        error_code: Option<ErrorCode>,
        /// The plan's limit, with the daily cap.
        limit: Option<u64>,
        /// The count against that limit.
        current: Option<u64>,
        /// Single problems, where the service lists them.
        errors: Vec<Value>,
        /// The keys that would work, where an unknown search service was asked for.
        supported_services: Vec<String>,
        /// The run that the refusal belongs to, if one had begun.
        request_id: Option<RequestId>,
    }
}

/// The fields of an [`ErrorBody`] under all their names.
#[derive(Deserialize)]
struct Wire {
    error: Option<Value>,
    message: Option<Value>,
    error_code: Option<ErrorCode>,
    code: Option<Value>,
    limit: Option<u64>,
    current: Option<u64>,
    #[serde(default, deserialize_with = "null_as_default")]
    errors: Vec<Value>,
    #[serde(default, deserialize_with = "null_as_default")]
    supported_services: Vec<String>,
    request_id: Option<RequestId>,
    #[serde(flatten)]
    extra: Extra,
}

impl TryFrom<Wire> for ErrorBody {
    type Error = serde_json::Error;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let Wire { error, message, limit, current, errors, supported_services, request_id, mut extra, .. } = wire;
        let error_code = documented_or(wire.error_code, "code", wire.code, &mut extra)?;
        Ok(Self { error, message, error_code, limit, current, errors, supported_services, request_id, extra })
    }
}
