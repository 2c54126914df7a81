use crate::model::{record, request, with_inputs, with_metadata, with_variant};
use crate::{Inputs, Metadata, RequestId, TokenUsage};

request! {
    /// Runs a prompt deployment: `POST /prompt/invoke` (contract, section 5).
    InvokePrompt(
        /// The deployment to run. Must not be empty.
        deployment: String,
    ) {
        /// The variant of the deployment; an empty one is left out.
        variant => Option<String>,
        /// The values of the prompt's variables.
        inputs => Inputs,
        /// An opaque id of the caller's own user.
        user: String,
        /// Flat facts that come back with the run.
        metadata => Metadata,
    }
}

with_variant!(InvokePrompt);
with_inputs!(InvokePrompt);
with_metadata!(InvokePrompt);

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
