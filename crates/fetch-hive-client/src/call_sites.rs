//! The methods of a client, which the async and the blocking one have alike.

/// Gives them to a client that has `send`.
macro_rules! call_sites {
    ($client:ident) => {
        impl $client {
            /// Runs a workflow deployment: see [`InvokeWorkflow`]. The reply is a [`InvokeWorkflowResponse`](crate::types::InvokeWorkflowResponse).
            ///
            /// A direct run is answered when it has ended, which takes seconds to minutes. If its reply is lost on the way, it cannot be looked
            /// up: see [`may_have_run`](crate::Error::may_have_run).
            pub fn invoke_workflow(&self, deployment: impl Into<String>) -> $crate::Call<InvokeWorkflow, $client> {
                self.call(InvokeWorkflow::new(deployment))
            }

            /// Runs a prompt deployment: see [`InvokePrompt`]. The reply is a [`InvokePromptResponse`](crate::types::InvokePromptResponse).
            pub fn invoke_prompt(&self, deployment: impl Into<String>) -> $crate::Call<InvokePrompt, $client> {
                self.call(InvokePrompt::new(deployment))
            }

            /// Sends a message to an agent: see [`InvokeAgent`]. The reply is an [`InvokeAgentResponse`](crate::types::InvokeAgentResponse).
            pub fn invoke_agent(
                &self,
                agent: impl Into<AgentId>,
                message: impl Into<String>,
            ) -> $crate::Call<InvokeAgent, $client> {
                self.call(InvokeAgent::new(agent, message))
            }

            /// Gives a hive agent an objective; the outcome goes to the callback URL: see [`InvokeHiveAgent`].
            pub fn invoke_hive_agent(
                &self,
                hive_agent: impl Into<AgentId>,
                objective: impl Into<String>,
                callback_url: impl Into<String>,
            ) -> $crate::Call<InvokeHiveAgent, $client> {
                self.call(InvokeHiveAgent::new(hive_agent, objective, callback_url.into()))
            }

            /// Starts a workflow with its webhook secret, and without the API key: see [`TriggerWorkflow`].
            pub fn trigger_workflow(
                &self,
                endpoint: impl Into<EndpointId>,
                variant: impl Into<VariantId>,
                secret: impl Into<WebhookSecret>,
                callback_url: impl Into<String>,
            ) -> $crate::Call<TriggerWorkflow, $client> {
                self.call(TriggerWorkflow::new(endpoint, variant, secret, callback_url))
            }

            /// Starts a prompt with its webhook secret, and without the API key: see [`TriggerPrompt`].
            pub fn trigger_prompt(
                &self,
                endpoint: impl Into<EndpointId>,
                variant: impl Into<VariantId>,
                secret: impl Into<WebhookSecret>,
                callback_url: impl Into<String>,
            ) -> $crate::Call<TriggerPrompt, $client> {
                self.call(TriggerPrompt::new(endpoint, variant, secret, callback_url))
            }

            /// Sends a message to an agent with its webhook secret, and without the API key: see [`TriggerAgent`].
            pub fn trigger_agent(
                &self,
                agent: impl Into<AgentId>,
                secret: impl Into<WebhookSecret>,
                message: impl Into<String>,
                callback_url: impl Into<String>,
            ) -> $crate::Call<TriggerAgent, $client> {
                self.call(TriggerAgent::new(agent, secret, message, callback_url))
            }

            /// A workspace, and what belongs to it.
            pub fn workspace(&self, id: impl Into<WorkspaceId>) -> Workspace<Self> {
                Workspace { client: self.clone(), workspace_id: id.into() }
            }

            /// What the service remembers of runs.
            pub fn requests(&self) -> Requests<Self> {
                Requests { client: self.clone() }
            }

            /// Work that agents handed off.
            pub fn delegations(&self) -> Delegations<Self> {
                Delegations { client: self.clone() }
            }

            /// The search services that workflows use.
            pub fn search_services(&self) -> SearchServices<Self> {
                SearchServices { client: self.clone() }
            }

            /// Lists the models: see [`ListModels`].
            pub fn models(&self) -> $crate::Call<ListModels, $client> {
                self.call(ListModels::new())
            }

            /// Reads the catalogue of error codes, in a language such as `es`, or in the service's default one: see [`ListErrorCodes`].
            pub fn error_codes(&self, locale: Option<&str>) -> $crate::Call<ListErrorCodes, $client> {
                self.call(ListErrorCodes::new(locale.map(str::to_owned)))
            }
        }
    };
}

pub(crate) use call_sites;
