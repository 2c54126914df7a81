//! Where the operations of a resource are found by typing a dot. Everything here is thin over [`SendRequest::send`].

use fetch_hive_core::Endpoint;
#[allow(clippy::wildcard_imports, reason = "every request of every resource stands here")]
use fetch_hive_core::types::*;

/// What sends requests: the async client, and whatever else has the same call sites.
pub trait SendRequest: Clone {
    /// A call that is put together, and then sent.
    type Call<E: Endpoint + 'static>;

    /// Begins the call of a request.
    fn call<E: Endpoint + 'static>(&self, request: E) -> Self::Call<E>;
}

/// A workspace, to which agents, knowledge bases, assets and approvals belong.
#[derive(Clone, Debug)]
#[must_use]
pub struct Workspace<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> Workspace<C> {
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

impl<C: SendRequest> Agents<C> {
    /// Lists them: [`ListAgents`].
    pub fn list(&self) -> C::Call<ListAgents> {
        self.client.call(ListAgents::new(&self.workspace_id))
    }

    /// Reads one: [`GetAgent`].
    pub fn get(&self, id: impl Into<AgentId>) -> C::Call<GetAgent> {
        self.client.call(GetAgent::new(&self.workspace_id, id))
    }

    /// Makes one: [`CreateAgent`].
    pub fn create(&self, settings: impl Into<AgentCreate>) -> C::Call<CreateAgent> {
        self.client.call(CreateAgent::new(&self.workspace_id, settings))
    }

    /// Changes one: [`UpdateAgent`]. What is not set stays as it is.
    pub fn update(&self, id: impl Into<AgentId>, changes: impl Into<AgentUpdate>) -> C::Call<UpdateAgent> {
        self.client.call(UpdateAgent::new(&self.workspace_id, id, changes))
    }

    /// Deletes one: [`DeleteAgent`].
    pub fn delete(&self, id: impl Into<AgentId>) -> C::Call<DeleteAgent> {
        self.client.call(DeleteAgent::new(&self.workspace_id, id))
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

impl<C: SendRequest> Chats<C> {
    /// Reads one: [`GetAgentChat`].
    pub fn get(&self, id: impl Into<ChatId>) -> C::Call<GetAgentChat> {
        self.client.call(GetAgentChat::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Makes one: [`CreateAgentChat`].
    pub fn create(&self, settings: impl Into<AgentChatCreate>) -> C::Call<CreateAgentChat> {
        self.client.call(CreateAgentChat::new(&self.workspace_id, &self.agent_id, settings))
    }

    /// Changes one: [`UpdateAgentChat`]. What is not set stays as it is.
    pub fn update(&self, id: impl Into<ChatId>, changes: impl Into<AgentChatUpdate>) -> C::Call<UpdateAgentChat> {
        self.client.call(UpdateAgentChat::new(&self.workspace_id, &self.agent_id, id, changes))
    }

    /// Deletes one: [`DeleteAgentChat`].
    pub fn delete(&self, id: impl Into<ChatId>) -> C::Call<DeleteAgentChat> {
        self.client.call(DeleteAgentChat::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Deletes the messages of one: [`ClearAgentChatMessages`].
    pub fn clear_messages(&self, id: impl Into<ChatId>) -> C::Call<ClearAgentChatMessages> {
        self.client.call(ClearAgentChatMessages::new(&self.workspace_id, &self.agent_id, id))
    }

    /// Lists the messages of one, oldest first: [`ListAgentChatMessages`].
    pub fn messages(&self, id: impl Into<ChatId>) -> C::Call<ListAgentChatMessages> {
        self.client.call(ListAgentChatMessages::new(&self.workspace_id, &self.agent_id, id))
    }
}

/// The knowledge bases of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct KnowledgeBases<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> KnowledgeBases<C> {
    /// Lists them: [`ListKnowledgeBases`].
    pub fn list(&self) -> C::Call<ListKnowledgeBases> {
        self.client.call(ListKnowledgeBases::new(&self.workspace_id))
    }

    /// Reads one: [`GetKnowledgeBase`].
    pub fn get(&self, id: impl Into<KnowledgeBaseId>) -> C::Call<GetKnowledgeBase> {
        self.client.call(GetKnowledgeBase::new(&self.workspace_id, id))
    }

    /// Makes one: [`CreateKnowledgeBase`].
    pub fn create(&self, settings: impl Into<KnowledgeBaseCreate>) -> C::Call<CreateKnowledgeBase> {
        self.client.call(CreateKnowledgeBase::new(&self.workspace_id, settings))
    }

    /// Changes one: [`UpdateKnowledgeBase`]. What is not set stays as it is.
    pub fn update(
        &self,
        id: impl Into<KnowledgeBaseId>,
        changes: impl Into<KnowledgeBaseUpdate>,
    ) -> C::Call<UpdateKnowledgeBase> {
        self.client.call(UpdateKnowledgeBase::new(&self.workspace_id, id, changes))
    }

    /// Deletes one: [`DeleteKnowledgeBase`].
    pub fn delete(&self, id: impl Into<KnowledgeBaseId>) -> C::Call<DeleteKnowledgeBase> {
        self.client.call(DeleteKnowledgeBase::new(&self.workspace_id, id))
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

impl<C: SendRequest> KnowledgeBaseHandle<C> {
    /// Searches it: [`SearchKnowledgeBase`].
    pub fn search(&self, search: impl Into<KnowledgeBaseSearch>) -> C::Call<SearchKnowledgeBase> {
        self.client.call(SearchKnowledgeBase::new(&self.workspace_id, &self.id, search))
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

impl<C: SendRequest> Items<C> {
    /// Lists them: [`ListKnowledgeBaseItems`].
    pub fn list(&self) -> C::Call<ListKnowledgeBaseItems> {
        self.client.call(ListKnowledgeBaseItems::new(&self.workspace_id, &self.knowledge_base_id))
    }

    /// Reads one: [`GetKnowledgeBaseItem`].
    pub fn get(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<GetKnowledgeBaseItem> {
        self.client.call(GetKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }

    /// Makes one: [`CreateKnowledgeBaseItem`].
    pub fn create(&self, settings: impl Into<KnowledgeBaseItemCreate>) -> C::Call<CreateKnowledgeBaseItem> {
        self.client.call(CreateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, settings))
    }

    /// Changes one: [`UpdateKnowledgeBaseItem`]. What is not set stays as it is.
    pub fn update(
        &self,
        id: impl Into<KnowledgeBaseItemId>,
        changes: impl Into<KnowledgeBaseItemUpdate>,
    ) -> C::Call<UpdateKnowledgeBaseItem> {
        self.client.call(UpdateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id, changes))
    }

    /// Deletes one: [`DeleteKnowledgeBaseItem`].
    pub fn delete(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<DeleteKnowledgeBaseItem> {
        self.client.call(DeleteKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }

    /// Indexes one anew: [`RegenerateKnowledgeBaseItem`].
    pub fn regenerate(&self, id: impl Into<KnowledgeBaseItemId>) -> C::Call<RegenerateKnowledgeBaseItem> {
        self.client.call(RegenerateKnowledgeBaseItem::new(&self.workspace_id, &self.knowledge_base_id, id))
    }
}

/// The assets of a workspace.
#[derive(Clone, Debug)]
#[must_use]
pub struct Assets<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> Assets<C> {
    /// Lists them: [`ListAssets`].
    pub fn list(&self) -> C::Call<ListAssets> {
        self.client.call(ListAssets::new(&self.workspace_id))
    }

    /// Uploads one: [`UploadAsset`].
    pub fn upload(&self, file: impl Into<AssetFile>) -> C::Call<UploadAsset> {
        self.client.call(UploadAsset::new(&self.workspace_id, file))
    }
}

/// The tool actions of a workspace that wait, or waited, for a decision.
#[derive(Clone, Debug)]
#[must_use]
pub struct Approvals<C> {
    pub(crate) client: C,
    pub(crate) workspace_id: WorkspaceId,
}

impl<C: SendRequest> Approvals<C> {
    /// Lists one page of them: [`ListToolActionApprovals`].
    pub fn list(&self, filter: impl Into<ApprovalFilter>) -> C::Call<ListToolActionApprovals> {
        self.client.call(ListToolActionApprovals::new(&self.workspace_id, filter))
    }

    /// Reads one: [`GetToolActionApproval`].
    pub fn get(&self, id: impl Into<ApprovalId>) -> C::Call<GetToolActionApproval> {
        self.client.call(GetToolActionApproval::new(&self.workspace_id, id))
    }

    /// Decides one: [`DecideToolActionApproval`]. The run goes on by itself: do not invoke it again.
    pub fn decide(
        &self,
        id: impl Into<ApprovalId>,
        decision: impl Into<ApprovalDecision>,
    ) -> C::Call<DecideToolActionApproval> {
        self.client.call(DecideToolActionApproval::new(&self.workspace_id, id, decision))
    }
}

/// What the service remembers of runs.
#[derive(Clone, Debug)]
#[must_use]
pub struct Requests<C> {
    pub(crate) client: C,
}

impl<C: SendRequest> Requests<C> {
    /// Looks one up: [`GetRequest`], the one way to poll a run.
    pub fn get(&self, id: impl Into<RequestId>) -> C::Call<GetRequest> {
        self.client.call(GetRequest::new(id))
    }
}

/// Work that agents handed off.
#[derive(Clone, Debug)]
#[must_use]
pub struct Delegations<C> {
    pub(crate) client: C,
}

impl<C: SendRequest> Delegations<C> {
    /// Reads one: [`GetAgentDelegation`].
    pub fn get(&self, id: impl Into<DelegationId>) -> C::Call<GetAgentDelegation> {
        self.client.call(GetAgentDelegation::new(id))
    }

    /// Cancels one: [`CancelAgentDelegation`].
    pub fn cancel(&self, id: impl Into<DelegationId>) -> C::Call<CancelAgentDelegation> {
        self.client.call(CancelAgentDelegation::new(id))
    }

    /// Lists the open ones of a thread: [`ListThreadDelegations`].
    pub fn of_thread(&self, thread_id: impl Into<ThreadId>) -> C::Call<ListThreadDelegations> {
        self.client.call(ListThreadDelegations::new(thread_id))
    }
}

/// The search services that workflows use. Asked without a key.
#[derive(Clone, Debug)]
#[must_use]
pub struct SearchServices<C> {
    pub(crate) client: C,
}

impl<C: SendRequest> SearchServices<C> {
    /// Lists the countries of all of them: [`ListSearchServiceCountries`].
    pub fn countries(&self) -> C::Call<ListSearchServiceCountries> {
        self.client.call(ListSearchServiceCountries::new())
    }

    /// Lists the countries of one: [`GetSearchServiceCountries`].
    pub fn countries_of(&self, service: impl Into<String>) -> C::Call<GetSearchServiceCountries> {
        self.client.call(GetSearchServiceCountries::new(service))
    }
}
