use fetch_hive_types::{
    KnowledgeBaseItem, KnowledgeBaseItemChangeResponse, MessageResponse, RegenerateKnowledgeBaseItemResponse,
};

use super::endpoint;
use crate::checks::not_blank;
use crate::{Body, InvalidInput};

endpoint! {
    request: ListKnowledgeBaseItems { workspace_id, knowledge_base_id },
    name: "listKnowledgeBaseItems",
    method: GET, path: "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items",
    retry: Idempotent,
    envelope: "knowledge_base_items",
    response: Vec<KnowledgeBaseItem>,
}

endpoint! {
    request: GetKnowledgeBaseItem { workspace_id, knowledge_base_id, id },
    name: "getKnowledgeBaseItem",
    method: GET, path: "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}",
    retry: Idempotent,
    envelope: "knowledge_base_item",
    response: KnowledgeBaseItem,
}

endpoint! {
    request: CreateKnowledgeBaseItem { workspace_id, knowledge_base_id },
    name: "createKnowledgeBaseItem",
    method: POST, path: "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items",
    retry: OnlyIfNotSent,
    starts_run: false,
    response: KnowledgeBaseItemChangeResponse,

    fn validate(&self) -> Result<(), InvalidInput> {
        not_blank("knowledge_base_item.name", &self.item.name)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base_item", &self.item, &self.item.extra)
    }
}

endpoint! {
    request: UpdateKnowledgeBaseItem { workspace_id, knowledge_base_id, id },
    name: "updateKnowledgeBaseItem",
    method: PATCH, path: "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}",
    retry: Idempotent,
    response: KnowledgeBaseItemChangeResponse,

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base_item", &self.item, &self.item.extra)
    }
}

endpoint! {
    request: DeleteKnowledgeBaseItem { workspace_id, knowledge_base_id, id },
    name: "deleteKnowledgeBaseItem",
    method: DELETE, path: "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}",
    retry: Idempotent,
    allows_empty_body: true,
    response: MessageResponse,
}

endpoint! {
    request: RegenerateKnowledgeBaseItem { workspace_id, knowledge_base_id, id },
    name: "regenerateKnowledgeBaseItem",
    method: POST, path: "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}/regenerate",
    retry: OnlyIfNotSent,
    starts_run: false,
    response: RegenerateKnowledgeBaseItemResponse,

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}
