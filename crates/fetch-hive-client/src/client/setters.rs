//! The setters of requests and of call options, on the builders that hold them.

use std::fmt::Display;
use std::time::Duration;

use fetch_hive_core::SecretInQuery;
use fetch_hive_core::retry::RetryPolicy;
use fetch_hive_core::types::{
    AgentAsyncOptions, AgentAttachment, AgentMessage, ArtifactRef, BudgetPolicy, HiveAgentSources, InvokeAgent,
    InvokeHiveAgent, InvokePrompt, InvokeWorkflow, MetadataValue, ThreadId, ToolApproval, TriggerAgent, TriggerPrompt,
    TriggerWorkflow,
};
use serde::Serialize;
use serde_json::Value;

use super::Call;
use super::builder::ClientBuilder;

/// Implements setters on a builder by calling the setters of one of its fields.
///
/// The input names the builders, the field, and the setters with their arguments:
///
/// ```text
/// forward_setters! {
///     [impl<C> Call<InvokePrompt, C>] request => {
///         /// Sets the variant of the deployment.
///         variant(variant: impl Into<String>);
///     }
/// }
/// ```
///
/// It expands to one `impl` for each builder:
///
/// ```text
/// impl<C> Call<InvokePrompt, C> {
///     /// Sets the variant of the deployment.
///     pub fn variant(mut self, variant: impl Into<String>) -> Self {
///         self.request = self.request.variant(variant);
///         self
///     }
/// }
/// ```
///
/// The compiler reports a setter that the field does not have, and the test
/// `call_has_every_setter_of_its_request` one that is missing here.
macro_rules! forward_setters {
    ($([$($builder:tt)+])+ $field:ident => $setters:tt) => {
        $(forward_setters! { @impl [$($builder)+] $field $setters })+
    };
    (@impl [$($builder:tt)+] $field:ident {
        $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*);)+
    }) => {
        $($builder)+ {
            $(
                $(#[$doc])*
                pub fn $name(mut self, $($argument: $type),*) -> Self {
                    self.$field = self.$field.$name($($argument),*);
                    self
                }
            )+
        }
    };
}

forward_setters! {
    [impl<E, C> Call<E, C>]
    [impl<C> ClientBuilder<C>]
    options => {
        /// Sets the timeout of a whole call, including all attempts and the waits between them.
        ///
        /// The default is 120 s, as in the Python SDK, and `None` disables the timeout. Direct
        /// workflow runs may take longer: the service's documentation suggests 600 s for them. A
        /// stream has no timeout unless one is set on its call, which then limits the whole stream.
        timeout(timeout: impl Into<Option<Duration>>);

        /// Sets the timeout for connecting, including name lookup, the proxy and TLS. The default
        /// is 10 s.
        ///
        /// If it elapses, nothing was sent.
        connect_timeout(timeout: impl Into<Option<Duration>>);

        /// Sets the timeout from the start of an attempt until the head of the response is
        /// received.
        ///
        /// There is none by default, because the service sends nothing until a direct run ends.
        headers_timeout(timeout: impl Into<Option<Duration>>);

        /// Sets the timeout between two chunks of a response body. The default is 120 s.
        idle_timeout(timeout: impl Into<Option<Duration>>);

        /// Sets how often, and after which waits, a failed call is retried.
        retry(policy: RetryPolicy);

        /// Adds a header to the request. It replaces a header of the same name, including those
        /// that the client sets.
        ///
        /// An invalid name or value is reported when the call is sent, or when the client is built.
        /// So are headers that frame or route a message, such as `content-length` and `host`.
        header(name: impl AsRef<str>, value: impl AsRef<str>);
    }
}

forward_setters! {
    [impl<C> Call<InvokeWorkflow, C>] request => {
        /// Sets the variant of the deployment to run. See [`InvokeWorkflow::variant`].
        variant(variant: impl Into<String>);
        /// Sets one input of the workflow. See [`InvokeWorkflow::input`].
        input(name: impl Into<String>, value: impl Serialize);
        /// Sets inputs of the workflow from a struct or a map. See [`InvokeWorkflow::inputs`].
        inputs(inputs: impl Serialize);
        /// Delivers the outcome of the run to a callback URL. See [`InvokeWorkflow::callback_url`].
        callback_url(url: impl Into<String>);
        /// Sets the id of the user on whose behalf the run is started. See
        /// [`InvokeWorkflow::user`].
        user(user: impl Into<String>);
        /// Adds one metadata value, which the service returns with the run. See
        /// [`InvokeWorkflow::metadata`].
        metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>);
        /// Adds several metadata values from a struct or a map. See
        /// [`InvokeWorkflow::metadata_from`].
        metadata_from(values: impl Serialize);
        /// Sets which tool actions require approval. See [`InvokeWorkflow::tool_approval`].
        tool_approval(mode: impl Into<ToolApproval>);
        /// Adds a field that this version of the crate does not know. See
        /// [`InvokeWorkflow::extra`].
        extra(name: impl Into<String>, value: impl Into<Value>);
    }
}

forward_setters! {
    [impl<C> Call<InvokePrompt, C>] request => {
        /// Sets the variant of the deployment to run. See [`InvokePrompt::variant`].
        variant(variant: impl Into<String>);
        /// Sets one input of the prompt. See [`InvokePrompt::input`].
        input(name: impl Into<String>, value: impl Serialize);
        /// Sets inputs of the prompt from a struct or a map. See [`InvokePrompt::inputs`].
        inputs(inputs: impl Serialize);
        /// Sets the id of the user on whose behalf the prompt is run. See [`InvokePrompt::user`].
        user(user: impl Into<String>);
        /// Adds one metadata value, which the service returns with the run. See
        /// [`InvokePrompt::metadata`].
        metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>);
        /// Adds several metadata values from a struct or a map. See
        /// [`InvokePrompt::metadata_from`].
        metadata_from(values: impl Serialize);
        /// Adds a field that this version of the crate does not know. See [`InvokePrompt::extra`].
        extra(name: impl Into<String>, value: impl Into<Value>);
    }
}

forward_setters! {
    [impl<C> Call<InvokeAgent, C>] request => {
        /// Sets the thread that the message belongs to. See [`InvokeAgent::thread_id`].
        thread_id(thread: impl Into<ThreadId>);
        /// Sets the earlier messages of the conversation. See [`InvokeAgent::messages`].
        messages(messages: impl IntoIterator<Item: Into<AgentMessage>>);
        /// Attaches files to the message. See [`InvokeAgent::attachments`].
        attachments(attachments: impl IntoIterator<Item: Into<AgentAttachment>>);
        /// Adds the URLs of images that are sent with the message. See [`InvokeAgent::image_urls`].
        image_urls(urls: impl IntoIterator<Item: Into<String>>);
        /// Sets the artifacts that the agent may refer to. See
        /// [`InvokeAgent::known_artifact_refs`].
        known_artifact_refs(artifacts: impl IntoIterator<Item: Into<ArtifactRef>>);
        /// Attaches known artifacts to the message. See [`InvokeAgent::artifact_refs`].
        artifact_refs(artifacts: impl IntoIterator<Item: Into<ArtifactRef>>);
        /// Sets how the agent runs long tools in the background. See [`InvokeAgent::async_mode`].
        async_mode(mode: impl Into<AgentAsyncOptions>);
        /// Sets whether workflow tools may continue after the agent has answered. See
        /// [`InvokeAgent::allow_background`].
        allow_background(allow_background: bool);
        /// Sets which tool actions require approval. See [`InvokeAgent::tool_approval`].
        tool_approval(mode: impl Into<ToolApproval>);
        /// Sets the id of the user on whose behalf the agent is invoked. See [`InvokeAgent::user`].
        user(user: impl Into<String>);
        /// Adds one metadata value, which the service returns with the run. See
        /// [`InvokeAgent::metadata`].
        metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>);
        /// Adds several metadata values from a struct or a map. See [`InvokeAgent::metadata_from`].
        metadata_from(values: impl Serialize);
        /// Adds a field that this version of the crate does not know. See [`InvokeAgent::extra`].
        extra(name: impl Into<String>, value: impl Into<Value>);
    }
}

forward_setters! {
    [impl<C> Call<InvokeHiveAgent, C>] request => {
        /// Sets the sources that the hive agent uses. See [`InvokeHiveAgent::sources`].
        sources(sources: impl Into<HiveAgentSources>);
        /// Adds one metadata value, which the service returns with the run. See
        /// [`InvokeHiveAgent::metadata`].
        metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>);
        /// Adds several metadata values from a struct or a map. See
        /// [`InvokeHiveAgent::metadata_from`].
        metadata_from(values: impl Serialize);
        /// Sets whether the run continues without a person. See [`InvokeHiveAgent::unattended`].
        unattended(unattended: bool);
        /// Sets what happens when the budget is used up. See [`InvokeHiveAgent::budget_policy`].
        budget_policy(policy: impl Into<BudgetPolicy>);
        /// Adds a field that this version of the crate does not know. See
        /// [`InvokeHiveAgent::extra`].
        extra(name: impl Into<String>, value: impl Into<Value>);
    }
}

forward_setters! {
    [impl<C> Call<TriggerWorkflow, C>] request => {
        /// Sets one input of the workflow. See [`TriggerWorkflow::input`].
        input(name: impl Into<String>, value: impl Serialize);
        /// Sets several inputs from a struct or a map. See [`TriggerWorkflow::inputs`].
        inputs(inputs: impl Serialize);
        /// Adds one metadata value, which the service returns with the run. See
        /// [`TriggerWorkflow::metadata`].
        metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>);
        /// Adds several metadata values from a struct or a map. See
        /// [`TriggerWorkflow::metadata_from`].
        metadata_from(values: impl Serialize);
        /// Sets the id of the user on whose behalf the run is started. See
        /// [`TriggerWorkflow::user`].
        user(user: impl Into<String>);
        /// Adds a field that this version of the crate does not know. See
        /// [`TriggerWorkflow::extra`].
        extra(name: impl Into<String>, value: impl Into<Value>);
    }
}

forward_setters! {
    [impl<C> Call<TriggerPrompt, C>] request => {
        /// Sets one input of the prompt. See [`TriggerPrompt::input`].
        input(name: impl Into<String>, value: impl Serialize);
        /// Sets several inputs from a struct or a map. See [`TriggerPrompt::inputs`].
        inputs(inputs: impl Serialize);
        /// Adds one metadata value, which the service returns with the run. See
        /// [`TriggerPrompt::metadata`].
        metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>);
        /// Adds several metadata values from a struct or a map. See
        /// [`TriggerPrompt::metadata_from`].
        metadata_from(values: impl Serialize);
        /// Sets the id of the user on whose behalf the run is started. See [`TriggerPrompt::user`].
        user(user: impl Into<String>);
        /// Adds a field that this version of the crate does not know. See [`TriggerPrompt::extra`].
        extra(name: impl Into<String>, value: impl Into<Value>);
    }
}

forward_setters! {
    [impl<C> Call<TriggerAgent, C>] request => {
        /// Sets the thread that the message belongs to. See [`TriggerAgent::thread_id`].
        thread_id(thread: impl Into<ThreadId>);
        /// Adds one metadata value, which the service returns with the run. See
        /// [`TriggerAgent::metadata`].
        metadata(name: impl Into<String>, value: impl TryInto<MetadataValue, Error: Display>);
        /// Adds several metadata values from a struct or a map. See
        /// [`TriggerAgent::metadata_from`].
        metadata_from(values: impl Serialize);
        /// Sets the id of the user on whose behalf the run is started. See [`TriggerAgent::user`].
        user(user: impl Into<String>);
        /// Adds a field that this version of the crate does not know. See [`TriggerAgent::extra`].
        extra(name: impl Into<String>, value: impl Into<Value>);
    }
}

impl<C> Call<TriggerWorkflow, C> {
    /// Sends the webhook secret in the URL, as `?secret=`, for a proxy that removes its header.
    ///
    /// **A secret in a URL leaks**: servers and proxies log URLs, and anyone who can read those
    /// logs can start runs and sign callbacks. This crate never prints the secret.
    pub fn secret_in_query(self) -> Call<SecretInQuery<TriggerWorkflow>, C> {
        self.map_into(SecretInQuery)
    }
}

impl<C> Call<TriggerPrompt, C> {
    /// Sends the webhook secret in the URL, as `?secret=`, for a proxy that removes its header.
    ///
    /// **A secret in a URL leaks**: servers and proxies log URLs, and anyone who can read those
    /// logs can start runs and sign callbacks. This crate never prints the secret.
    pub fn secret_in_query(self) -> Call<SecretInQuery<TriggerPrompt>, C> {
        self.map_into(SecretInQuery)
    }
}

impl<C> Call<TriggerAgent, C> {
    /// Sends the webhook secret in the URL, as `?secret=`, for a proxy that removes its header.
    ///
    /// **A secret in a URL leaks**: servers and proxies log URLs, and anyone who can read those
    /// logs can start runs and sign callbacks. This crate never prints the secret.
    pub fn secret_in_query(self) -> Call<SecretInQuery<TriggerAgent>, C> {
        self.map_into(SecretInQuery)
    }
}
