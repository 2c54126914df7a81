use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{Extra, KnowledgeBaseId, MissingField, NumberOrString, Timestamp, WorkspaceId};

request! {
    /// Lists the knowledge bases of a workspace: `GET …/knowledge_bases`.
    ListKnowledgeBases(
        /// The workspace.
        workspace_id: WorkspaceId,
    );
}

request! {
    /// Reads a knowledge base: `GET …/knowledge_bases/{id}`.
    GetKnowledgeBase(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        id: KnowledgeBaseId,
    );
}

request! {
    /// Makes a knowledge base: `POST …/knowledge_bases`.
    CreateKnowledgeBase(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// Its settings.
        knowledge_base: KnowledgeBaseCreate,
    );
}

request! {
    /// Changes a knowledge base: `PATCH …/knowledge_bases/{id}`. What is not set stays as it is.
    UpdateKnowledgeBase(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        id: KnowledgeBaseId,
        /// What changes.
        knowledge_base: KnowledgeBaseUpdate,
    );
}

request! {
    /// Deletes a knowledge base: `DELETE …/knowledge_bases/{id}`. The service answers before it has done so.
    DeleteKnowledgeBase(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        id: KnowledgeBaseId,
    );
}

request! {
    /// Searches a knowledge base: `POST …/knowledge_bases/{id}/search`. It changes nothing, so it is repeated like a read.
    SearchKnowledgeBase(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        id: KnowledgeBaseId,
        /// What is looked for.
        search: KnowledgeBaseSearch,
    );
}

open_enum! {
    /// How a knowledge base is searched.
    SearchType {
        /// By meaning and by words.
        Hybrid = "hybrid",
        /// By meaning.
        Vector = "vector",
        /// By words.
        FullText = "full_text",
    }
}

request! {
    /// The settings of a new knowledge base.
    KnowledgeBaseCreate(
        /// Its name.
        name: String,
    ) {
        /// What it is for.
        description: String,
        /// How it is searched.
        search_type: SearchType,
        /// The least score of a result, from 0 to 1.
        search_score_threshold: f64,
        /// How many chunks a search gives, from 1 to 20. One source declares a UUID here, surely by mistake.
        search_chunk_limit: u64,
    }
}

request! {
    /// What changes in a knowledge base.
    KnowledgeBaseUpdate() {
        /// Its name.
        name: String,
        /// What it is for.
        description: String,
        /// How it is searched.
        search_type: SearchType,
        /// The least score of a result, from 0 to 1.
        search_score_threshold: f64,
        /// How many chunks a search gives, from 1 to 20.
        search_chunk_limit: u64,
    }
}

request! {
    /// A search: all four are required by the service (contract, section 10).
    KnowledgeBaseSearch(
        /// What is looked for. Must not be empty.
        search_query: String,
        /// How.
        search_type: SearchType,
        /// How many chunks at the most, from 1 to 20.
        search_chunk_limit: u64,
        /// The least score of a result, from 0 to 1.
        search_score_threshold: f64,
    ) {}
}

record! {
    /// A knowledge base, in a list or by itself. By itself the sources declare no fields of it (contract, section 10).
    KnowledgeBase {
        /// The knowledge base.
        id: Option<KnowledgeBaseId>,
        /// Its name.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// How many items it has.
        data_item_count: Option<u64>,
        /// The least score of a result; in lists it comes as a text.
        search_score_threshold: Option<NumberOrString>,
        /// How many chunks a search gives.
        search_chunk_limit: Option<NumberOrString>,
        /// When it was made.
        generated_at: Option<Timestamp>,
        /// Whether it is in use, such as `active`.
        status: Option<String>,
        /// How it is searched.
        search_type: Option<SearchType>,
        /// Whether it is in use.
        is_active: Option<bool>,
        /// Whether it was put away.
        is_archived: Option<bool>,
        /// Whether it is searched by meaning and words.
        is_hybrid_search: Option<bool>,
        /// Whether it is searched by meaning.
        is_vector_search: Option<bool>,
        /// Whether it is searched by words.
        is_full_text_search: Option<bool>,
    }
}

record! {
    /// A knowledge base after a change, with what the service says about it.
    KnowledgeBaseChangeResponse {
        /// What the service says.
        message: Option<String>,
        /// The knowledge base.
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
    /// The reply to a search. The sources do not declare what a result holds.
    SearchKnowledgeBaseResponse {
        /// What the service says.
        message: Option<String>,
        /// What was found.
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

    /// The least score of a result, as a number.
    pub fn score_threshold(&self) -> Option<f64> {
        self.search_score_threshold.as_ref()?.as_f64()
    }
}
