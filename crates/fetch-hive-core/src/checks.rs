//! What the contract states of requests, checked before anything is sent.

use fetch_hive_types::{AgentAttachment, Inputs, InvalidField, Metadata};
use http::Uri;

use crate::InvalidInput;

pub(crate) type Checked = Result<(), InvalidInput>;

pub(crate) fn not_blank(field: &'static str, value: impl AsRef<str>) -> Checked {
    refuse_if(value.as_ref().trim().is_empty(), field, "must not be empty")
}

pub(crate) fn refuse_if(refuse: bool, field: &'static str, reason: &'static str) -> Checked {
    if refuse { Err(InvalidInput::new(field, reason)) } else { Ok(()) }
}

/// A number that JSON can carry: it would write null for the others.
pub(crate) fn finite(field: &'static str, value: Option<f64>) -> Checked {
    refuse_if(value.is_some_and(|value| !value.is_finite()), field, "must be a finite number")
}

pub(crate) fn inputs(inputs: &Inputs) -> Checked {
    named("inputs", inputs.invalid())
}

pub(crate) fn metadata(metadata: &Metadata) -> Checked {
    named("metadata", metadata.invalid())
}

fn named(field: &'static str, invalid: Option<&InvalidField>) -> Checked {
    match invalid {
        Some(invalid) => Err(InvalidInput::new(format!("{field}.{}", invalid.name), invalid.reason.clone())),
        None => Ok(()),
    }
}

/// Attachments are fetched by the service, over https (contract, section 6).
pub(crate) fn attachments(field: &'static str, attachments: &[AgentAttachment]) -> Checked {
    let https = |attachment: &AgentAttachment| {
        attachment.url().parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some())
    };
    refuse_if(!attachments.iter().all(https), field, "must be https URLs")
}

/// Search settings (contract, section 10).
pub(crate) fn search(chunk_limit: Option<u64>, score_threshold: Option<f64>) -> Checked {
    let limit_fits = chunk_limit.is_none_or(|limit| (1..=20).contains(&limit));
    refuse_if(!limit_fits, "search_chunk_limit", "must be from 1 to 20")?;
    let threshold_fits = score_threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold));
    refuse_if(!threshold_fits, "search_score_threshold", "must be from 0 to 1")
}
