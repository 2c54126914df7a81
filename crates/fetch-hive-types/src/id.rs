/// Declares the types of identifiers. Each is an opaque string that cannot be confused with an
/// identifier of another type.
///
/// ```text
/// id! {
///     /// The id of a chat with an agent.
///     ChatId;
/// }
/// ```
macro_rules! id {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Creates an identifier from a string, without checking it.
            ///
            /// A request with an identifier that cannot be part of a path fails before it is sent.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// Returns the identifier as a string slice.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Converts the identifier to a `String`.
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
    /// The public id of a run, such as `req_019b1ad1193763f2367afc4cda5ab9df`.
    ///
    /// Runs are looked up by this id, and callbacks refer to it.
    RequestId;
    /// The second id of a run, which some responses carry next to the public one.
    RunId;
    /// The id of a workspace, which contains agents, knowledge bases, assets and approvals.
    WorkspaceId;
    /// The id or the slug of an agent.
    ///
    /// The sources disagree on which of the two an invocation expects. See the
    /// [contract](crate::contract#agents).
    AgentId;
    /// The id of a chat with an agent.
    ChatId;
    /// The id of a thread, in which an agent remembers a conversation.
    ///
    /// The caller or the service chooses it.
    ThreadId;
    /// The id of a delegation, which is work that an agent has handed off.
    DelegationId;
    /// The id of a knowledge base.
    KnowledgeBaseId;
    /// The id of an item in a knowledge base.
    KnowledgeBaseItemId;
    /// The id of an uploaded or generated file.
    AssetId;
    /// The UUID by which later messages refer to an artifact of a run.
    ArtifactRef;
    /// The id of an approval, which decides whether a tool action may run.
    ApprovalId;
    /// The id of a deployment's endpoint, which webhook triggers call.
    EndpointId;
    /// The id of a variant of a deployment.
    VariantId;
}
