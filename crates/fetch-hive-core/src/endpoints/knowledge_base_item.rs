use fetch_hive_types::{KnowledgeBaseItem, KnowledgeBaseItemChangeResponse, MessageResponse, RegenerateKnowledgeBaseItemResponse};

use super::endpoint;
use crate::checks::{Checked, not_blank};
use crate::{Body, InvalidInput};

endpoint! {
    ListKnowledgeBaseItems(workspace_id, knowledge_base_id): "listKnowledgeBaseItems",
        GET "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items", Idempotent,
        envelope "knowledge_base_items" => Vec<KnowledgeBaseItem>;
}

endpoint! {
    GetKnowledgeBaseItem(workspace_id, knowledge_base_id, id): "getKnowledgeBaseItem",
        GET "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}", Idempotent,
        envelope "knowledge_base_item" => KnowledgeBaseItem;
}

endpoint! {
    CreateKnowledgeBaseItem(workspace_id, knowledge_base_id): "createKnowledgeBaseItem",
        POST "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items", OnlyIfNotSent
        => KnowledgeBaseItemChangeResponse;

    fn validate(&self) -> Checked {
        not_blank("knowledge_base_item.name", &self.item.name)
    }

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base_item", &self.item, &self.item.extra)
    }
}

endpoint! {
    UpdateKnowledgeBaseItem(workspace_id, knowledge_base_id, id): "updateKnowledgeBaseItem",
        PATCH "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}", Idempotent
        => KnowledgeBaseItemChangeResponse;

    fn body(&self) -> Result<Body, InvalidInput> {
        Body::json_in("knowledge_base_item", &self.item, &self.item.extra)
    }
}

endpoint! {
    DeleteKnowledgeBaseItem(workspace_id, knowledge_base_id, id): "deleteKnowledgeBaseItem",
        DELETE "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}", Idempotent => MessageResponse;

    const ALLOWS_EMPTY_BODY: bool = true;
}

endpoint! {
    RegenerateKnowledgeBaseItem(workspace_id, knowledge_base_id, id): "regenerateKnowledgeBaseItem",
        POST "/public/workspaces/{workspace_id}/knowledge_bases/{knowledge_base_id}/items/{id}/regenerate", OnlyIfNotSent
        => RegenerateKnowledgeBaseItemResponse;

    fn body(&self) -> Result<Body, InvalidInput> {
        Ok(Body::empty_object())
    }
}
