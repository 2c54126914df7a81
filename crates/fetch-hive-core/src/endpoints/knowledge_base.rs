use fetch_hive_types::{KnowledgeBase, KnowledgeBaseChangeResponse, SearchKnowledgeBaseResponse, MessageResponse};

use super::endpoint;
use crate::checks::{Checked, not_blank, search};
use crate::{Body, InvalidInput};

endpoint! {
    ListKnowledgeBases(workspace_id): "listKnowledgeBases", GET "/public/workspaces/{workspace_id}/knowledge_bases", Idempotent,
        envelope "knowledge_bases" => Vec<KnowledgeBase>;
}

endpoint! {
    GetKnowledgeBase(workspace_id, id): "getKnowledgeBase",
        GET "/public/workspaces/{workspace_id}/knowledge_bases/{id}", Idempotent, envelope "knowledge_base" => KnowledgeBase;
}

endpoint! {
    CreateKnowledgeBase(workspace_id): "createKnowledgeBase",
        POST "/public/workspaces/{workspace_id}/knowledge_bases", OnlyIfNotSent => KnowledgeBaseChangeResponse;

    fn validate(&self) -> Checked {
        not_blank("knowledge_base.name", &self.knowledge_base.name)?;
        search(self.knowledge_base.search_chunk_limit, self.knowledge_base.search_score_threshold)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base", &self.knowledge_base, &self.knowledge_base.extra)
    }
}

endpoint! {
    UpdateKnowledgeBase(workspace_id, id): "updateKnowledgeBase",
        PATCH "/public/workspaces/{workspace_id}/knowledge_bases/{id}", Idempotent => KnowledgeBaseChangeResponse;

    fn validate(&self) -> Checked {
        search(self.knowledge_base.search_chunk_limit, self.knowledge_base.search_score_threshold)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base", &self.knowledge_base, &self.knowledge_base.extra)
    }
}

endpoint! {
    DeleteKnowledgeBase(workspace_id, id): "deleteKnowledgeBase",
        DELETE "/public/workspaces/{workspace_id}/knowledge_bases/{id}", Idempotent => MessageResponse;

    const ALLOWS_EMPTY_BODY: bool = true;
}

endpoint! {
    SearchKnowledgeBase(workspace_id, id): "searchKnowledgeBase",
        POST "/public/workspaces/{workspace_id}/knowledge_bases/{id}/search", Idempotent => SearchKnowledgeBaseResponse;

    fn validate(&self) -> Checked {
        not_blank("search_query", &self.search.search_query)?;
        search(Some(self.search.search_chunk_limit), Some(self.search.search_score_threshold))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(&self.search, &self.search.extra)
    }
}
