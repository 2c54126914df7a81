use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{Extra, KnowledgeBaseId, MissingField, NumberOrString, Timestamp, WorkspaceId};

request! {
    /// A request to list the knowledge bases of a workspace.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/knowledge_bases`.
    ListKnowledgeBases(
        /// The id of the workspace whose knowledge bases are listed.
        workspace_id: WorkspaceId,
    );
}

request! {
    /// A request to get one knowledge base.
    ///
    /// The request is `GET /public/workspaces/{workspace_id}/knowledge_bases/{id}`.
    GetKnowledgeBase(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base to get.
        id: KnowledgeBaseId,
    );
}

request! {
    /// A request to create a knowledge base in a workspace.
    ///
    /// The request is `POST /public/workspaces/{workspace_id}/knowledge_bases`.
    CreateKnowledgeBase(
        /// The id of the workspace that the knowledge base is created in.
        workspace_id: WorkspaceId,
        /// The settings of the new knowledge base.
        knowledge_base: KnowledgeBaseCreate,
    );
}

request! {
    /// A request to change the settings of a knowledge base.
    ///
    /// The request is `PATCH /public/workspaces/{workspace_id}/knowledge_bases/{id}`. Settings that
    /// are not set in the request keep their values.
    UpdateKnowledgeBase(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base to change.
        id: KnowledgeBaseId,
        /// The settings to change; all others keep their values.
        knowledge_base: KnowledgeBaseUpdate,
    );
}

request! {
    /// A request to delete a knowledge base.
    ///
    /// The request is `DELETE /public/workspaces/{workspace_id}/knowledge_bases/{id}`. The service
    /// responds before the deletion is finished.
    DeleteKnowledgeBase(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base to delete.
        id: KnowledgeBaseId,
    );
}

request! {
    /// A request to search a knowledge base.
    ///
    /// The request is `POST /public/workspaces/{workspace_id}/knowledge_bases/{id}/search`. A
    /// search changes nothing, so it is retried like a `GET` request.
    SearchKnowledgeBase(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base to search.
        id: KnowledgeBaseId,
        /// The query and the limits of the search.
        search: KnowledgeBaseSearch,
    );
}

open_enum! {
    /// The method by which a knowledge base is searched.
    SearchType {
        /// The search combines vectors and full text.
        Hybrid = "hybrid",
        /// The search compares the meaning of texts by their vectors.
        Vector = "vector",
        /// The search looks for the words of the query.
        FullText = "full_text",
    }
}

request! {
    /// The settings of a new knowledge base.
    KnowledgeBaseCreate(
        /// The display name of the knowledge base.
        name: String,
    ) {
        /// A description of the content of the knowledge base.
        description: String,
        /// The method by which the knowledge base is searched.
        search_type: SearchType,
        /// The minimum score of a search result, from 0 to 1.
        search_score_threshold: f64,
        /// The maximum number of chunks that a search returns, from 1 to 20.
        ///
        /// One source declares a UUID for this field, which is presumably a mistake.
        search_chunk_limit: u64,
    }
}

request! {
    /// The settings to change in an existing knowledge base.
    KnowledgeBaseUpdate() {
        /// The new display name of the knowledge base.
        name: String,
        /// A description of the content of the knowledge base.
        description: String,
        /// The method by which the knowledge base is searched.
        search_type: SearchType,
        /// The minimum score of a search result, from 0 to 1.
        search_score_threshold: f64,
        /// The maximum number of chunks that a search returns, from 1 to 20.
        search_chunk_limit: u64,
    }
}

request! {
    /// The query and the limits of a search in a knowledge base.
    ///
    /// The service requires all four fields. See the [contract](crate::contract#resources).
    KnowledgeBaseSearch(
        /// The text to search for. It must not be empty.
        search_query: String,
        /// The method by which the knowledge base is searched.
        search_type: SearchType,
        /// The maximum number of chunks to return, from 1 to 20.
        search_chunk_limit: u64,
        /// The minimum score of a search result, from 0 to 1.
        search_score_threshold: f64,
    ) {}
}

record! {
    /// A knowledge base of a workspace.
    ///
    /// The sources declare its fields only for lists. A single knowledge base is read with the same
    /// fields; all others are in [`extra`](Self::extra). See the
    /// [contract](crate::contract#resources).
    KnowledgeBase {
        /// The id of the knowledge base, by which other requests refer to it.
        id: Option<KnowledgeBaseId>,
        /// The display name of the knowledge base.
        name: Option<String>,
        /// A description of the content of the knowledge base.
        description: Option<String>,
        /// The number of items in the knowledge base.
        data_item_count: Option<u64>,
        /// The minimum score of a search result, which lists send as a string.
        search_score_threshold: Option<NumberOrString>,
        /// The maximum number of chunks that a search returns.
        search_chunk_limit: Option<NumberOrString>,
        /// The time at which the knowledge base was created.
        generated_at: Option<Timestamp>,
        /// The status of the knowledge base, such as `active`.
        status: Option<String>,
        /// The method by which the knowledge base is searched.
        search_type: Option<SearchType>,
        /// Whether the knowledge base is in use.
        is_active: Option<bool>,
        /// Whether the knowledge base is archived.
        is_archived: Option<bool>,
        /// Whether a search combines vectors and full text.
        is_hybrid_search: Option<bool>,
        /// Whether a search uses only vectors.
        is_vector_search: Option<bool>,
        /// Whether a search uses only full text.
        is_full_text_search: Option<bool>,
    }
}

record! {
    /// The response to a request that created or changed a knowledge base.
    KnowledgeBaseChangeResponse {
        /// A confirmation for people, in the language of the account.
        message: Option<String>,
        /// The knowledge base after the change.
        knowledge_base: Option<KnowledgeBase>,
    }
}

impl KnowledgeBaseChangeResponse {
    /// Returns the id of the created or changed knowledge base.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `knowledge_base` with an id.
    pub fn id(&self) -> Result<&KnowledgeBaseId, MissingField> {
        MissingField::check(
            self.knowledge_base.as_ref().and_then(|knowledge_base| knowledge_base.id.as_ref()),
            "knowledge_base.id",
        )
    }
}

record! {
    /// The response to a search in a knowledge base.
    SearchKnowledgeBaseResponse {
        /// A message for people, in the language of the account.
        message: Option<String>,
        /// The search results. The sources do not declare their fields.
        response: Option<Extra>,
    }
}

impl KnowledgeBase {
    /// Returns the id of the knowledge base.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `id`.
    pub fn id(&self) -> Result<&KnowledgeBaseId, MissingField> {
        MissingField::check(self.id.as_ref(), "id")
    }

    /// Returns the minimum score of a search result as a number.
    pub fn score_threshold(&self) -> Option<f64> {
        self.search_score_threshold.as_ref()?.as_f64()
    }
}
