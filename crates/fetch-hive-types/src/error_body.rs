use serde::Deserialize;
use serde_json::Value;

use crate::macros::{documented_or, null_as_default, record};
use crate::open_enum::open_enum;
use crate::{Extra, RequestId};

open_enum! {
    /// A machine-readable code that identifies the kind of error.
    ///
    /// Use the code to distinguish errors. The texts next to it are localized. See the
    /// [contract](crate::contract#errors-and-limits).
    ErrorCode {
        /// The model is no longer available; choose a current one.
        ModelDeprecated = "model_deprecated",
        /// The workspace has no API key for the model's provider.
        PersonalModelMissingCredentials = "personal_model_missing_credentials",
        /// The model's provider rejected the API key of the workspace.
        PersonalModelInvalidCredentials = "personal_model_invalid_credentials",
        /// The account has no credits left for hosted models.
        InsufficientHostedLlmCredits = "insufficient_hosted_llm_credits",
        /// The storage of the plan is full.
        AssetStorageLimitReached = "asset_storage_limit_reached",
        /// The workflow has as many steps as the plan allows.
        WorkflowStepLimitReached = "workflow_step_limit_reached",
        /// The account has as many workspaces as the plan allows.
        WorkspaceLimitReached = "workspace_limit_reached",
        /// The requested logs are older than the plan keeps them.
        LogRangeLimitExceeded = "log_range_limit_exceeded",
        /// The account has reached its credit cap.
        AccountCreditCapReached = "account_credit_cap_reached",
        /// The model does not accept images.
        VisionNotSupported = "vision_not_supported",
        /// A loop has exceeded its maximum number of iterations.
        IterationLimitExceeded = "iteration_limit_exceeded",
        /// The plan's daily cap of API calls is reached; it resets at midnight UTC.
        ApiRateLimitExceeded = "api_rate_limit_exceeded",
        /// The model's provider has throttled the request.
        TooManyRequests = "too_many_requests",
        /// The service has failed to process the request.
        InternalServerError = "internal_server_error",
        /// The request has an invalid field.
        ValidationError = "validation_error",
        /// The tool-approval mode in the request is unknown.
        InvalidToolApproval = "invalid_tool_approval",
        /// The API key is not permitted to approve tool actions automatically.
        ToolApprovalOverrideNotPermitted = "tool_approval_override_not_permitted",
        /// The tool-approval mode can only be changed in the dashboard.
        ToolApprovalModeRequiresDashboard = "tool_approval_mode_requires_dashboard",
        /// The request lacks a required field.
        MissingRequiredField = "missing_required_field",
    }
}

record! {
    /// The body of an error response.
    ///
    /// Many errors carry only the field `error`. See the
    /// [contract](crate::contract#errors-and-limits).
    #[serde(from = "Wire")]
    ErrorBody {
        /// The reason for people, in the language of the account.
        ///
        /// It is a string in every known case.
        error: Option<Value>,
        /// A longer message for people, in the language of the account.
        message: Option<Value>,
        /// The machine-readable reason for the error.
        ///
        /// It is also read from the deprecated field `code`, or from an `error` that is an object.
        error_code: Option<ErrorCode>,
        /// The limit of the plan, sent when the daily cap is reached.
        limit: Option<u64>,
        /// The number of calls made today, sent when the daily cap is reached.
        current: Option<u64>,
        /// The individual validation errors, if the service lists them.
        errors: Vec<Value>,
        /// The supported search services, sent when the requested one is not supported.
        supported_services: Vec<String>,
        /// The public id of the run that the error belongs to, if a run was started.
        request_id: Option<RequestId>,
        /// The URL of the page where the plan can be upgraded, sent with some plan limits.
        upgrade_url: Option<String>,
    }
}

/// The fields of an [`ErrorBody`], including the deprecated `code`.
#[derive(Deserialize)]
struct Wire {
    error: Option<Value>,
    message: Option<Value>,
    error_code: Option<ErrorCode>,
    code: Option<ErrorCode>,
    limit: Option<u64>,
    current: Option<u64>,
    #[serde(default, deserialize_with = "null_as_default")]
    errors: Vec<Value>,
    #[serde(default, deserialize_with = "null_as_default")]
    supported_services: Vec<String>,
    request_id: Option<RequestId>,
    upgrade_url: Option<String>,
    #[serde(flatten)]
    extra: Extra,
}

impl From<Wire> for ErrorBody {
    fn from(wire: Wire) -> Self {
        let mut extra = wire.extra;
        let code = |code: Option<ErrorCode>| code.filter(|code| !code.as_str().is_empty());
        let nested = wire.error.as_ref().and_then(|error| error.get("error_code").or_else(|| error.get("code")));
        let nested = code(nested.and_then(Value::as_str).map(ErrorCode::from));
        Self {
            error: wire.error,
            message: wire.message,
            error_code: documented_or(code(wire.error_code), "code", code(wire.code), &mut extra).or(nested),
            limit: wire.limit,
            current: wire.current,
            errors: wire.errors,
            supported_services: wire.supported_services,
            request_id: wire.request_id,
            upgrade_url: wire.upgrade_url,
            extra,
        }
    }
}
