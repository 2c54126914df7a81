//! The operations of each resource, which are reached from a client by method calls.
//!
//! A resource borrows nothing: it holds a clone of the client and the ids of its parents. It works
//! with the async and the blocking client alike.

use fetch_hive_core::Endpoint;
#[allow(clippy::wildcard_imports, reason = "most requests are used here")]
use fetch_hive_core::types::*;

/// A client that creates calls: the async one, the blocking one, or one that you define.
pub trait SendRequest: Clone {
    /// The builder for a call of a request.
    type Call<E: Endpoint + 'static>;

    /// Creates a call of a request.
    fn call<E: Endpoint + 'static>(&self, request: E) -> Self::Call<E>;
}

/// The operations of one workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Workspace<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> Workspace<C> {
    /// Returns the operations for the agents of the workspace.
    pub fn agents(&self) -> Agents<C> {
        Agents { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }

    /// Returns the operations of one agent.
    pub fn agent(&self, id: impl Into<AgentId>) -> Agent<C> {
        Agent { client: self.client.clone(), workspace_id: self.workspace_id.clone(), id: id.into() }
    }

    /// Returns the operations for the knowledge bases of the workspace.
    pub fn knowledge_bases(&self) -> KnowledgeBases<C> {
        KnowledgeBases { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }

    /// Returns the operations of one knowledge base.
    pub fn knowledge_base(&self, id: impl Into<KnowledgeBaseId>) -> KnowledgeBase<C> {
        KnowledgeBase { client: self.client.clone(), workspace_id: self.workspace_id.clone(), id: id.into() }
    }

    /// Returns the operations for the assets of the workspace.
    pub fn assets(&self) -> Assets<C> {
        Assets { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }

    /// Returns the operations that list and decide pending tool approvals in the workspace.
    pub fn approvals(&self) -> Approvals<C> {
        Approvals { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }
}

/// The operations for the agents of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Agents<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> Agents<C> {
    /// Lists the agents of the workspace. See [`ListAgents`].
    pub fn list(&self) -> C::Call<ListAgents> {
        self.client.call(ListAgents::new(&self.workspace_id))
    }

    /// Returns an agent by its id. See [`GetAgent`].
    pub fn get(&self, id: impl Into<AgentId>) -> C::Call<GetAgent> {
        self.client.call(GetAgent::new(&self.workspace_id, id))
    }

    /// Creates an agent. See [`CreateAgent`].
    pub fn create(&self, settings: impl Into<AgentCreate>) -> C::Call<CreateAgent> {
        self.client.call(CreateAgent::new(&self.workspace_id, settings))
    }

    /// Updates an agent. Fields that are not set remain unchanged. See [`UpdateAgent`].
    pub fn update(&self, id: impl Into<AgentId>, changes: impl Into<AgentUpdate>) -> C::Call<UpdateAgent> {
        self.client.call(UpdateAgent::new(&self.workspace_id, id, changes))
    }

    /// Deletes an agent. See [`DeleteAgent`].
    pub fn delete(&self, id: impl Into<AgentId>) -> C::Call<DeleteAgent> {
        self.client.call(DeleteAgent::new(&self.workspace_id, id))
    }
}

/// The operations of one agent of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Agent<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: AgentId,
}

impl<C: SendRequest> Agent<C> {
    /// Returns the operations for the chats with the agent.
    pub fn chats(&self) -> Chats<C> {
        Chats { client: self.client.clone(), workspace_id: self.workspace_id.clone(), agent_id: self.id.clone() }
    }
}

/// The operations for the chats with an agent. The service cannot list the chats of an agent.
#[derive(Clone, Debug)]
#[must_use]
pub struct Chats<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) agent_id: AgentId,
}

impl<C: SendRequest> Chats<C> {
    /// Returns a chat by its id. See [`GetAgentChat`].
    pub fn get(&self, id: impl Into<ChatId>) -> C::Call<GetAgentChat> {
        self.client.call(GetAgentChat::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Creates a chat with the agent. See [`CreateAgentChat`].
    pub fn create(&self, settings: impl Into<AgentChatCreate>) -> C::Call<CreateAgentChat> {
        self.client.call(CreateAgentChat::new(&self.workspace_id, &self.agent_id, settings))
    }

    /// Updates a chat. Fields that are not set remain unchanged. See [`UpdateAgentChat`].
    pub fn update(&self, id: impl Into<ChatId>, changes: impl Into<AgentChatUpdate>) -> C::Call<UpdateAgentChat> {
        self.client.call(UpdateAgentChat::new(&self.workspace_id, &self.agent_id, id, changes))
    }

    /// Deletes a chat. See [`DeleteAgentChat`].
    pub fn delete(&self, id: impl Into<ChatId>) -> C::Call<DeleteAgentChat> {
        self.client.call(DeleteAgentChat::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Deletes all messages of a chat. See [`ClearAgentChatMessages`].
    pub fn clear_messages(&self, id: impl Into<ChatId>) -> C::Call<ClearAgentChatMessages> {
        self.client.call(ClearAgentChatMessages::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Lists the messages of a chat, oldest first. See [`ListAgentChatMessages`].
    pub fn messages(&self, id: impl Into<ChatId>) -> C::Call<ListAgentChatMessages> {
        self.client.call(ListAgentChatMessages::new(&self.workspace_id, &self.agent_id, id))
    }
}

/// The operations for the knowledge bases of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct KnowledgeBases<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> KnowledgeBases<C> {
    /// Lists the knowledge bases of the workspace. See [`ListKnowledgeBases`].
    pub fn list(&self) -> C::Call<ListKnowledgeBases> {
        self.client.call(ListKnowledgeBases::new(&self.workspace_id))
    }

    /// Returns a knowledge base by its id. See [`GetKnowledgeBase`].
    pub fn get(&self, id: impl Into<KnowledgeBaseId>) -> C::Call<GetKnowledgeBase> {
        self.client.call(GetKnowledgeBase::new(&self.workspace_id, id))
    }

    /// Creates a knowledge base. See [`CreateKnowledgeBase`].
    pub fn create(&self, settings: impl Into<KnowledgeBaseCreate>) -> C::Call<CreateKnowledgeBase> {
        self.client.call(CreateKnowledgeBase::new(&self.workspace_id, settings))
    }

    /// Updates a knowledge base. Fields that are not set remain unchanged. See
    /// [`UpdateKnowledgeBase`].
    pub fn update(
        &self,
        id: impl Into<KnowledgeBaseId>,
        changes: impl Into<KnowledgeBaseUpdate>,
    ) -> C::Call<UpdateKnowledgeBase> {
        self.client.call(UpdateKnowledgeBase::new(&self.workspace_id, id, changes))
    }

    /// Deletes a knowledge base, which the service does asynchronously. See
    /// [`DeleteKnowledgeBase`].
    pub fn delete(&self, id: impl Into<KnowledgeBaseId>) -> C::Call<DeleteKnowledgeBase> {
        self.client.call(DeleteKnowledgeBase::new(&self.workspace_id, id))
    }
}

/// The operations of one knowledge base: search and items.
#[derive(Clone, Debug)]
#[must_use]
pub struct KnowledgeBase<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: KnowledgeBaseId,
}

impl<C: SendRequest> KnowledgeBase<C> {
    /// Searches the items of the knowledge base. See [`SearchKnowledgeBase`].
    pub fn search(&self, search: impl Into<KnowledgeBaseSearch>) -> C::Call<SearchKnowledgeBase> {
        self.client.call(SearchKnowledgeBase::new(&self.workspace_id, &self.id, search))
    }

    /// Returns the operations for the items of the knowledge base.
    pub fn items(&self) -> Items<C> {
        Items {
            client: self.client.clone(),
            workspace_id: self.workspace_id.clone(),
            knowledge_base_id: self.id.clone(),
        }
    }
}

/// The operations for the items of a knowledge base.
#[derive(Clone, Debug)]
#[must_use]
pub struct Items<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) knowledge_base_id: KnowledgeBaseId,
}

impl<C: SendRequest> Items<C> {
    /// Lists the items of the knowledge base. See [`ListKnowledgeBaseItems`].
    pub fn list(&self) -> C::Call<ListKnowledgeBaseItems> {
        self.client.call(ListKnowledgeBaseItems::new(&self.workspace_id, &self.knowledge_base_id))
    }

    /// Returns an item by its id. See [`GetKnowledgeBaseItem`].
    pub fn get(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<GetKnowledgeBaseItem> {
        self.client.call(GetKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }

    /// Creates an item in the knowledge base. See [`CreateKnowledgeBaseItem`].
    pub fn create(&self, settings: impl Into<KnowledgeBaseItemCreate>) -> C::Call<CreateKnowledgeBaseItem> {
        self.client.call(CreateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, settings))
    }

    /// Updates an item. Fields that are not set remain unchanged. See [`UpdateKnowledgeBaseItem`].
    pub fn update(
        &self,
        id: impl Into<KnowledgeBaseItemId>,
        changes: impl Into<KnowledgeBaseItemUpdate>,
    ) -> C::Call<UpdateKnowledgeBaseItem> {
        self.client.call(UpdateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id, changes))
    }

    /// Deletes an item. See [`DeleteKnowledgeBaseItem`].
    pub fn delete(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<DeleteKnowledgeBaseItem> {
        self.client.call(DeleteKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }

    /// Indexes an item again. See [`RegenerateKnowledgeBaseItem`].
    pub fn regenerate(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<RegenerateKnowledgeBaseItem> {
        self.client.call(RegenerateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }
}

/// The operations for the assets of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Assets<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> Assets<C> {
    /// Lists the assets of the workspace. See [`ListAssets`].
    pub fn list(&self) -> C::Call<ListAssets> {
        self.client.call(ListAssets::new(&self.workspace_id))
    }

    /// Uploads a file as an asset. See [`UploadAsset`].
    pub fn upload(&self, file: impl Into<AssetFile>) -> C::Call<UploadAsset> {
        self.client.call(UploadAsset::new(&self.workspace_id, file))
    }
}

/// The operations that list and decide tool approvals in a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Approvals<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> Approvals<C> {
    /// Lists one page of the approvals that match a filter. See [`ListToolActionApprovals`].
    pub fn list(&self, filter: impl Into<ApprovalFilter>) -> C::Call<ListToolActionApprovals> {
        self.client.call(ListToolActionApprovals::new(&self.workspace_id, filter))
    }

    /// Returns an approval by its id. See [`GetToolActionApproval`].
    pub fn get(&self, id: impl Into<ApprovalId>) -> C::Call<GetToolActionApproval> {
        self.client.call(GetToolActionApproval::new(&self.workspace_id, id))
    }

    /// Allows or denies a tool action. See [`DecideToolActionApproval`].
    ///
    /// The run continues on the server after the decision, so do not invoke it again.
    pub fn decide(
        &self,
        id: impl Into<ApprovalId>,
        decision: impl Into<ApprovalDecision>,
    ) -> C::Call<DecideToolActionApproval> {
        self.client.call(DecideToolActionApproval::new(&self.workspace_id, id, decision))
    }
}

/// The operations that look up and poll runs by their request id.
#[derive(Clone, Debug)]
#[must_use]
pub struct Requests<C> {
    pub(crate) client: C,
}

impl<C: SendRequest> Requests<C> {
    /// Looks up a run once. See [`GetRequest`].
    pub fn get(&self, id: impl Into<RequestId>) -> C::Call<GetRequest> {
        self.client.call(GetRequest::new(id))
    }
}

/// The operations for work that agents have delegated.
#[derive(Clone, Debug)]
#[must_use]
pub struct Delegations<C> {
    pub(crate) client: C,
}

impl<C: SendRequest> Delegations<C> {
    /// Returns a delegation by its id. See [`GetAgentDelegation`].
    pub fn get(&self, id: impl Into<DelegationId>) -> C::Call<GetAgentDelegation> {
        self.client.call(GetAgentDelegation::new(id))
    }

    /// Cancels a delegation. Cancelling a finished one has no effect. See
    /// [`CancelAgentDelegation`].
    pub fn cancel(&self, id: impl Into<DelegationId>) -> C::Call<CancelAgentDelegation> {
        self.client.call(CancelAgentDelegation::new(id))
    }

    /// Lists the pending and running delegations of a thread. See [`ListThreadDelegations`].
    pub fn list_for_thread(&self, thread_id: impl Into<ThreadId>) -> C::Call<ListThreadDelegations> {
        self.client.call(ListThreadDelegations::new(thread_id))
    }
}

/// The operations for the search services that workflows use. They are called without an API key.
#[derive(Clone, Debug)]
#[must_use]
pub struct SearchServices<C> {
    pub(crate) client: C,
}

impl<C: SendRequest> SearchServices<C> {
    /// Lists the countries that each search service supports. See [`ListSearchServiceCountries`].
    pub fn countries(&self) -> C::Call<ListSearchServiceCountries> {
        self.client.call(ListSearchServiceCountries::new())
    }

    /// Lists the countries that one search service supports. See [`GetSearchServiceCountries`].
    pub fn countries_for(&self, service: impl Into<String>) -> C::Call<GetSearchServiceCountries> {
        self.client.call(GetSearchServiceCountries::new(service))
    }
}
