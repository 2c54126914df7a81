//! Where the operations of a resource are found by typing a dot. Everything here is thin over [`Sends::send`].

use fetch_hive_core::Endpoint;
#[allow(clippy::wildcard_imports, reason = "every request of every resource stands here")]
use fetch_hive_core::types::*;

/// What sends requests: the async client, and whatever else has the same call sites.
pub trait Sends: Clone {
    /// A call that is put together, and then sent.
    type Call<E: Endpoint + 'static>;

    /// Begins the call of a request.
    fn send<E: Endpoint + 'static>(&self, request: E) -> Self::Call<E>;
}

/// A workspace, to which agents, knowledge bases, assets and approvals belong.
#[derive(Clone, Debug)]
#[must_use]
pub struct Workspace<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: Sends> Workspace<C> {
    /// Its agents.
    pub fn agents(&self) -> Agents<C> {
        Agents { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }

    /// The chats with one of its agents.
    pub fn chats(&self, agent_id: impl Into<AgentId>) -> Chats<C> {
        Chats { client: self.client.clone(), workspace_id: self.workspace_id.clone(), agent_id: agent_id.into() }
    }

    /// Its knowledge bases.
    pub fn knowledge_bases(&self) -> KnowledgeBases<C> {
        KnowledgeBases { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }

    /// One of its knowledge bases, for its items and for searching it.
    pub fn knowledge_base(&self, id: impl Into<KnowledgeBaseId>) -> KnowledgeBaseHandle<C> {
        KnowledgeBaseHandle { client: self.client.clone(), workspace_id: self.workspace_id.clone(), id: id.into() }
    }

    /// Its assets.
    pub fn assets(&self) -> Assets<C> {
        Assets { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }

    /// The tool actions in it that wait, or waited, for a decision.
    pub fn approvals(&self) -> Approvals<C> {
        Approvals { client: self.client.clone(), workspace_id: self.workspace_id.clone() }
    }
}

/// The agents of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Agents<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: Sends> Agents<C> {
    /// Lists them: [`ListAgents`].
    pub fn list(&self) -> C::Call<ListAgents> {
        self.client.send(ListAgents::new(&self.workspace_id))
    }

    /// Reads one: [`GetAgent`].
    pub fn get(&self, id: impl Into<AgentId>) -> C::Call<GetAgent> {
        self.client.send(GetAgent::new(&self.workspace_id, id))
    }

    /// Makes one: [`CreateAgent`].
    pub fn create(&self, settings: impl Into<AgentCreate>) -> C::Call<CreateAgent> {
        self.client.send(CreateAgent::new(&self.workspace_id, settings))
    }

    /// Changes one: [`UpdateAgent`]. What is not set stays as it is.
    pub fn update(&self, id: impl Into<AgentId>, changes: impl Into<AgentUpdate>) -> C::Call<UpdateAgent> {
        self.client.send(UpdateAgent::new(&self.workspace_id, id, changes))
    }

    /// Deletes one: [`DeleteAgent`].
    pub fn delete(&self, id: impl Into<AgentId>) -> C::Call<DeleteAgent> {
        self.client.send(DeleteAgent::new(&self.workspace_id, id))
    }
}

/// The chats with an agent. The service has no list of them.
#[derive(Clone, Debug)]
#[must_use]
pub struct Chats<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) agent_id: AgentId,
}

impl<C: Sends> Chats<C> {
    /// Reads one: [`GetAgentChat`].
    pub fn get(&self, id: impl Into<ChatId>) -> C::Call<GetAgentChat> {
        self.client.send(GetAgentChat::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Makes one: [`CreateAgentChat`].
    pub fn create(&self, settings: impl Into<AgentChatCreate>) -> C::Call<CreateAgentChat> {
        self.client.send(CreateAgentChat::new(&self.workspace_id, &self.agent_id, settings))
    }

    /// Changes one: [`UpdateAgentChat`]. What is not set stays as it is.
    pub fn update(&self, id: impl Into<ChatId>, changes: impl Into<AgentChatUpdate>) -> C::Call<UpdateAgentChat> {
        self.client.send(UpdateAgentChat::new(&self.workspace_id, &self.agent_id, id, changes))
    }

    /// Deletes one: [`DeleteAgentChat`].
    pub fn delete(&self, id: impl Into<ChatId>) -> C::Call<DeleteAgentChat> {
        self.client.send(DeleteAgentChat::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Deletes the messages of one: [`ClearAgentChatMessages`].
    pub fn clear_messages(&self, id: impl Into<ChatId>) -> C::Call<ClearAgentChatMessages> {
        self.client.send(ClearAgentChatMessages::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Lists the messages of one, oldest first: [`ListAgentChatMessages`].
    pub fn messages(&self, id: impl Into<ChatId>) -> C::Call<ListAgentChatMessages> {
        self.client.send(ListAgentChatMessages::new(&self.workspace_id, &self.agent_id, id))
    }
}

/// The knowledge bases of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct KnowledgeBases<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: Sends> KnowledgeBases<C> {
    /// Lists them: [`ListKnowledgeBases`].
    pub fn list(&self) -> C::Call<ListKnowledgeBases> {
        self.client.send(ListKnowledgeBases::new(&self.workspace_id))
    }

    /// Reads one: [`GetKnowledgeBase`].
    pub fn get(&self, id: impl Into<KnowledgeBaseId>) -> C::Call<GetKnowledgeBase> {
        self.client.send(GetKnowledgeBase::new(&self.workspace_id, id))
    }

    /// Makes one: [`CreateKnowledgeBase`].
    pub fn create(&self, settings: impl Into<KnowledgeBaseCreate>) -> C::Call<CreateKnowledgeBase> {
        self.client.send(CreateKnowledgeBase::new(&self.workspace_id, settings))
    }

    /// Changes one: [`UpdateKnowledgeBase`]. What is not set stays as it is.
    pub fn update(
        &self,
        id: impl Into<KnowledgeBaseId>,
        changes: impl Into<KnowledgeBaseUpdate>,
    ) -> C::Call<UpdateKnowledgeBase> {
        self.client.send(UpdateKnowledgeBase::new(&self.workspace_id, id, changes))
    }

    /// Deletes one: [`DeleteKnowledgeBase`].
    pub fn delete(&self, id: impl Into<KnowledgeBaseId>) -> C::Call<DeleteKnowledgeBase> {
        self.client.send(DeleteKnowledgeBase::new(&self.workspace_id, id))
    }
}

/// One knowledge base.
#[derive(Clone, Debug)]
#[must_use]
pub struct KnowledgeBaseHandle<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) id: KnowledgeBaseId,
}

impl<C: Sends> KnowledgeBaseHandle<C> {
    /// Searches it: [`SearchKnowledgeBase`].
    pub fn search(&self, search: impl Into<KnowledgeBaseSearch>) -> C::Call<SearchKnowledgeBase> {
        self.client.send(SearchKnowledgeBase::new(&self.workspace_id, &self.id, search))
    }

    /// Its items.
    pub fn items(&self) -> Items<C> {
        Items {
            client: self.client.clone(),
            workspace_id: self.workspace_id.clone(),
            knowledge_base_id: self.id.clone(),
        }
    }
}

/// The items of a knowledge base.
#[derive(Clone, Debug)]
#[must_use]
pub struct Items<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
    pub(crate) knowledge_base_id: KnowledgeBaseId,
}

impl<C: Sends> Items<C> {
    /// Lists them: [`ListKnowledgeBaseItems`].
    pub fn list(&self) -> C::Call<ListKnowledgeBaseItems> {
        self.client.send(ListKnowledgeBaseItems::new(&self.workspace_id, &self.knowledge_base_id))
    }

    /// Reads one: [`GetKnowledgeBaseItem`].
    pub fn get(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<GetKnowledgeBaseItem> {
        self.client.send(GetKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }

    /// Makes one: [`CreateKnowledgeBaseItem`].
    pub fn create(&self, settings: impl Into<KnowledgeBaseItemCreate>) -> C::Call<CreateKnowledgeBaseItem> {
        self.client.send(CreateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, settings))
    }

    /// Changes one: [`UpdateKnowledgeBaseItem`]. What is not set stays as it is.
    pub fn update(
        &self,
        id: impl Into<KnowledgeBaseItemId>,
        changes: impl Into<KnowledgeBaseItemUpdate>,
    ) -> C::Call<UpdateKnowledgeBaseItem> {
        self.client.send(UpdateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id, changes))
    }

    /// Deletes one: [`DeleteKnowledgeBaseItem`].
    pub fn delete(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<DeleteKnowledgeBaseItem> {
        self.client.send(DeleteKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }

    /// Indexes one anew: [`RegenerateKnowledgeBaseItem`].
    pub fn regenerate(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<RegenerateKnowledgeBaseItem> {
        self.client.send(RegenerateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }
}

/// The assets of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Assets<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: Sends> Assets<C> {
    /// Lists them: [`ListAssets`].
    pub fn list(&self) -> C::Call<ListAssets> {
        self.client.send(ListAssets::new(&self.workspace_id))
    }

    /// Uploads one: [`UploadAsset`].
    pub fn upload(&self, file: impl Into<AssetFile>) -> C::Call<UploadAsset> {
        self.client.send(UploadAsset::new(&self.workspace_id, file))
    }
}

/// The tool actions of a workspace that wait, or waited, for a decision.
#[derive(Clone, Debug)]
#[must_use]
pub struct Approvals<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: Sends> Approvals<C> {
    /// Lists one page of them: [`ListToolActionApprovals`].
    pub fn list(&self, filter: impl Into<ApprovalFilter>) -> C::Call<ListToolActionApprovals> {
        self.client.send(ListToolActionApprovals::new(&self.workspace_id, filter))
    }

    /// Reads one: [`GetToolActionApproval`].
    pub fn get(&self, id: impl Into<ApprovalId>) -> C::Call<GetToolActionApproval> {
        self.client.send(GetToolActionApproval::new(&self.workspace_id, id))
    }

    /// Decides one: [`DecideToolActionApproval`]. The run goes on by itself: do not invoke it again.
    pub fn decide(
        &self,
        id: impl Into<ApprovalId>,
        decision: impl Into<ApprovalDecision>,
    ) -> C::Call<DecideToolActionApproval> {
        self.client.send(DecideToolActionApproval::new(&self.workspace_id, id, decision))
    }
}

/// What the service remembers of runs.
#[derive(Clone, Debug)]
#[must_use]
pub struct Requests<C> {
    pub(crate) client: C,
}

impl<C: Sends> Requests<C> {
    /// Looks one up: [`GetRequest`], the one way to poll a run.
    pub fn get(&self, id: impl Into<RequestId>) -> C::Call<GetRequest> {
        self.client.send(GetRequest::new(id))
    }
}

/// Work that agents handed off.
#[derive(Clone, Debug)]
#[must_use]
pub struct Delegations<C> {
    pub(crate) client: C,
}

impl<C: Sends> Delegations<C> {
    /// Reads one: [`GetAgentDelegation`].
    pub fn get(&self, id: impl Into<DelegationId>) -> C::Call<GetAgentDelegation> {
        self.client.send(GetAgentDelegation::new(id))
    }

    /// Cancels one: [`CancelAgentDelegation`].
    pub fn cancel(&self, id: impl Into<DelegationId>) -> C::Call<CancelAgentDelegation> {
        self.client.send(CancelAgentDelegation::new(id))
    }

    /// Lists the open ones of a thread: [`ListThreadDelegations`].
    pub fn of_thread(&self, thread_id: impl Into<ThreadId>) -> C::Call<ListThreadDelegations> {
        self.client.send(ListThreadDelegations::new(thread_id))
    }
}

/// The search services that workflows use. Asked without a key.
#[derive(Clone, Debug)]
#[must_use]
pub struct SearchServices<C> {
    pub(crate) client: C,
}

impl<C: Sends> SearchServices<C> {
    /// Lists the countries of all of them: [`ListSearchServiceCountries`].
    pub fn countries(&self) -> C::Call<ListSearchServiceCountries> {
        self.client.send(ListSearchServiceCountries::new())
    }

    /// Lists the countries of one: [`GetSearchServiceCountries`].
    pub fn countries_of(&self, service: impl Into<String>) -> C::Call<GetSearchServiceCountries> {
        self.client.send(GetSearchServiceCountries::new(service))
    }
}
