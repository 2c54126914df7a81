use fetch_hive_types::{KnowledgeBase, KnowledgeBaseChangeResponse, MessageResponse, SearchKnowledgeBaseResponse};

use super::endpoint;
use crate::checks::{not_blank, search};
use crate::{Body, InvalidInput};

endpoint! {
    request: ListKnowledgeBases { workspace_id },
    name: "listKnowledgeBases",
    method: GET, path: "/public/workspaces/{workspace_id}/knowledge_bases",
    retry: Idempotent,
    envelope: "knowledge_bases",
    response: Vec<KnowledgeBase>,
}

endpoint! {
    request: GetKnowledgeBase { workspace_id, id },
    name: "getKnowledgeBase",
    method: GET, path: "/public/workspaces/{workspace_id}/knowledge_bases/{id}",
    retry: Idempotent,
    envelope: "knowledge_base",
    response: KnowledgeBase,
}

endpoint! {
    request: CreateKnowledgeBase { workspace_id },
    name: "createKnowledgeBase",
    method: POST, path: "/public/workspaces/{workspace_id}/knowledge_bases",
    retry: OnlyIfNotSent,
    starts_run: false,
    response: KnowledgeBaseChangeResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("knowledge_base.name", &self.knowledge_base.name)?;
        search(self.knowledge_base.search_chunk_limit, self.knowledge_base.search_score_threshold)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base", &self.knowledge_base, &self.knowledge_base.extra)
    }
}

endpoint! {
    request: UpdateKnowledgeBase { workspace_id, id },
    name: "updateKnowledgeBase",
    method: PATCH, path: "/public/workspaces/{workspace_id}/knowledge_bases/{id}",
    retry: Idempotent,
    response: KnowledgeBaseChangeResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        search(self.knowledge_base.search_chunk_limit, self.knowledge_base.search_score_threshold)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base", &self.knowledge_base, &self.knowledge_base.extra)
    }
}

endpoint! {
    request: DeleteKnowledgeBase { workspace_id, id },
    name: "deleteKnowledgeBase",
    method: DELETE, path: "/public/workspaces/{workspace_id}/knowledge_bases/{id}",
    retry: Idempotent,
    allows_empty_body: true,
    response: MessageResponse,
}

endpoint! {
    request: SearchKnowledgeBase { workspace_id, id },
    name: "searchKnowledgeBase",
    method: POST, path: "/public/workspaces/{workspace_id}/knowledge_bases/{id}/search",
    retry: Idempotent,
    response: SearchKnowledgeBaseResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("search_query", &self.search.search_query)?;
        search(Some(self.search.search_chunk_limit), Some(self.search.search_score_threshold))
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_with_extra(&self.search, &self.search.extra)
    }
}
