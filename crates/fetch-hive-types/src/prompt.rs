use std::fmt::Display;

use serde::Serialize;

use crate::macros::{record, request};
use crate::{Inputs, Metadata, MetadataValue, MissingField, RequestId, TokenUsage};

request! {
    /// A request to run a prompt deployment.
    ///
    /// The request is `POST /prompt/invoke`. The answer can be streamed. See the
    /// [contract](crate::contract#prompts).
    InvokePrompt(
        /// The name of the deployment to run. It must not be empty.
        deployment: String,
    ) {
        /// The variant of the deployment to run. An empty variant is not sent.
        variant = Option<String>,
        /// The values of the variables in the prompt.
        inputs = Inputs,
        /// The caller's own id of the user that the run belongs to.
        user: String,
        /// The metadata that comes back with the outcome of the run.
        metadata = Metadata,
    }
}

impl InvokePrompt {
    /// Sets the variant of the deployment. An empty variant is not sent.
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into()).filter(|variant| !variant.is_empty());
        self
    }

    /// Sets one start input from any serializable value.
    ///
    /// If the value cannot be serialized, the request fails with the name of the input before it is
    /// sent.
    pub fn input(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        self.inputs.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the start inputs.
    pub fn inputs(mut self, inputs: impl Serialize) -> Self {
        self.inputs.extend(inputs);
        self
    }

    /// Sets one metadata value, which comes back with the outcome of the run.
    ///
    /// A value is a string, a number, a boolean, or an `Option` of one of these for null.
    pub fn metadata(mut self, name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>) -> Self {
        self.metadata.insert(name, value);
        self
    }

    /// Adds every field of a struct or map to the metadata.
    ///
    /// If a field holds a list or an object, the request fails with the name of that field before
    /// it is sent.
    pub fn metadata_from(mut self, values: impl Serialize) -> Self {
        self.metadata.extend(values);
        self
    }
}

record! {
    /// The response to a prompt invocation.
    ///
    /// See the [contract](crate::contract#prompts).
    InvokePromptResponse {
        /// The public id of the run.
        request_id: Option<RequestId>,
        /// The id of the model that generated the answer.
        model: Option<String>,
        /// The text that the model generated as its answer.
        response: Option<String>,
        /// The number of tokens that the run used.
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
