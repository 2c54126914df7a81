//! Checks of request fields, which run before a request is sent.

use fetch_hive_types::{AgentAttachment, Inputs, InvalidField, Metadata};
use http::Uri;

use crate::InvalidInput;

/// The name of the callback URL in errors.
pub(crate) const CALLBACK_URL: &str = "async.callback_url";

pub(crate) fn reject_if(rejected: bool, field: &'static str, reason: &'static str) -> Result<(), InvalidInput> {
    if rejected { Err(InvalidInput::new(field, reason)) } else { Ok(()) }
}

pub(crate) fn not_blank(field: &'static str, value: impl AsRef<str>) -> Result<(), InvalidInput> {
    reject_if(value.as_ref().trim().is_empty(), field, "must not be empty")
}

/// Rejects infinities and NaN, which JSON would write as null.
pub(crate) fn finite(field: &'static str, value: Option<f64>) -> Result<(), InvalidInput> {
    reject_if(value.is_some_and(|value| !value.is_finite()), field, "must be a finite number")
}

pub(crate) fn inputs(inputs: &Inputs) -> Result<(), InvalidInput> {
    reject_invalid_field("inputs", inputs.invalid())
}

pub(crate) fn metadata(metadata: &Metadata) -> Result<(), InvalidInput> {
    reject_invalid_field("metadata", metadata.invalid())
}

fn reject_invalid_field(parent: &'static str, invalid: Option<&InvalidField>) -> Result<(), InvalidInput> {
    match invalid {
        Some(invalid) => Err(InvalidInput::new(format!("{parent}.{}", invalid.name), invalid.reason.clone())),
        None => Ok(()),
    }
}

/// Rejects attachments that are not HTTPS URLs, because the service
/// [downloads them](fetch_hive_types::contract#agents).
pub(crate) fn attachments(field: &'static str, attachments: &[AgentAttachment]) -> Result<(), InvalidInput> {
    let is_https = |attachment: &AgentAttachment| {
        attachment.url().parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some())
    };
    reject_if(!attachments.iter().all(is_https), field, "must be https URLs")
}

/// Rejects a missing callback URL. [`Api`](crate::Api) checks the URL itself.
pub(crate) fn require_callback_url(url: Option<&str>) -> Result<(), InvalidInput> {
    reject_if(url.unwrap_or_default().is_empty(), CALLBACK_URL, "is required for callback delivery")
}

/// Rejects search settings outside the [documented ranges](fetch_hive_types::contract#resources).
pub(crate) fn search(chunk_limit: Option<u64>, score_threshold: Option<f64>) -> Result<(), InvalidInput> {
    let limit_fits = chunk_limit.is_none_or(|limit| (1..=20).contains(&limit));
    reject_if(!limit_fits, "search_chunk_limit", "must be from 1 to 20")?;
    let threshold_fits = score_threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold));
    reject_if(!threshold_fits, "search_score_threshold", "must be from 0 to 1")
}
