#![doc = include_str!("../README.md")]

mod alias;
mod artifact;
mod error_body;
mod id;
mod inputs;
mod metadata;
mod model;
mod open_enum;
mod output;
mod secret;
mod workflow;

pub use alias::ALIASES;
pub use artifact::{GeneratedArtifact, ImageOutput};
pub use error_body::{ErrorBody, ErrorCode};
pub use id::{AssetId, RequestId, RunId};
pub use inputs::{Inputs, InvalidField};
pub use metadata::{Metadata, MetadataValue, NotFinite};
pub use model::Extra;
pub use output::{OutputError, OutputMismatch, RunFailed};
pub use secret::{ApiKey, InvalidSecret, WebhookSecret};
pub use workflow::{InvokeWorkflow, RunStatus, ToolApproval, WorkflowAsync, WorkflowRun};
