use std::fmt::Display;

use serde::Serialize;

use crate::macros::{record, request};
use crate::{Inputs, Metadata, MetadataValue, MissingField, RequestId, TokenUsage};

request! {
    /// Runs a prompt deployment: `POST /prompt/invoke` (contract, section 5).
    InvokePrompt(
        /// The deployment to run. Must not be empty.
        deployment: String,
    ) {
        /// The variant of the deployment; an empty one is left out.
        variant = Option<String>,
        /// The values of the prompt's variables.
        inputs = Inputs,
        /// An opaque id of the caller's own user.
        user: String,
        /// Flat facts that come back with the run.
        metadata = Metadata,
    }
}

impl InvokePrompt {
    /// Sets the variant; an empty one is left out.
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into()).filter(|variant| !variant.is_empty());
        self
    }

    /// Sets one start input from anything that serialises. A value that fails to serialise is reported when the
    /// request is sent, by its name.
    pub fn input(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.inputs.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the start inputs.
    pub fn inputs(mut self, inputs: impl Serialize) -> Self {
        self.inputs.extend(inputs);
        self
    }

    /// Attaches one metadata value: a string, a number, a boolean, or an `Option` of them for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Attaches every field of a struct or map as metadata.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.metadata.extend(values);
        self
    }
}

record! {
    /// The reply to a prompt (contract, section 5).
    InvokePromptResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The model that answered.
        model: Option<String>,
        /// What it answered.
        response: Option<String>,
        /// Tokens spent.
        usage: Option<TokenUsage>,
    }
}

impl InvokePromptResponse {
    /// Returns the public id of the run.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `request_id`.
    pub fn request_id(&self) -> Result<&RequestId, MissingField> {
        MissingField::check(self.request_id.as_ref(), "request_id")
    }

    /// Returns the text of the answer, which is empty if the response has none.
    pub fn text(&self) -> &str {
        self.response.as_deref().unwrap_or_default()
    }
}
