/// Declares an identifier of the service: text that is passed back as it came, and cannot be mixed up with another kind.
macro_rules! id {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes an identifier as given; what cannot stand in a path is refused before anything is sent.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The identifier as an owned text.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl From<&str> for $name {
            fn from(id: &str) -> Self {
                Self(id.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(id: String) -> Self {
                Self(id)
            }
        }

        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                id.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }
    )+};
}

id! {
    /// The public id of a run, `req_…`: what a run is looked up by and what its callback names.
    RequestId;
    /// The `run_id` of a run, where the service sends one beside the request id.
    RunId;
    /// A workspace: what agents, knowledge bases, assets and approvals belong to.
    WorkspaceId;
    /// An agent. Invocation takes its slug or its id: the sources differ (contract, section 6).
    AgentId;
    /// A chat of an agent.
    ChatId;
    /// A thread: the key under which an agent keeps a conversation, chosen by the caller or by the service.
    ThreadId;
    /// A delegation: work that an agent handed off.
    DelegationId;
    /// A knowledge base.
    KnowledgeBaseId;
    /// An item of a knowledge base.
    KnowledgeBaseItemId;
    /// An uploaded or generated file.
    AssetId;
    /// An artifact that a run made, as later messages refer to it: a UUID.
    ArtifactRef;
    /// A tool action that waits, or waited, for a decision.
    ApprovalId;
    /// What a webhook trigger of a workflow or prompt calls: the deployment's endpoint.
    EndpointId;
    /// A variant of a deployment, where it is named by id.
    VariantId;
}
