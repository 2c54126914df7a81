use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AssetId, KnowledgeBaseId, KnowledgeBaseItemId, MissingField, NumberOrString, RequestId, WorkspaceId};

request! {
    /// A request to list the items of a knowledge base.
    ///
    /// The request is `GET …/knowledge_bases/{knowledge_base_id}/items`. See the
    /// [contract](crate::contract#endpoints).
    ListKnowledgeBaseItems(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base whose items are listed.
        knowledge_base_id: KnowledgeBaseId,
    );
}

request! {
    /// A request to get one item of a knowledge base.
    ///
    /// The request is `GET …/knowledge_bases/{knowledge_base_id}/items/{id}`. See the
    /// [contract](crate::contract#endpoints).
    GetKnowledgeBaseItem(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base that the item belongs to.
        knowledge_base_id: KnowledgeBaseId,
        /// The id of the item to get.
        id: KnowledgeBaseItemId,
    );
}

request! {
    /// A request to add an item to a knowledge base.
    ///
    /// The request is `POST …/knowledge_bases/{knowledge_base_id}/items`. The service indexes the
    /// item in the background. See the [contract](crate::contract#endpoints).
    CreateKnowledgeBaseItem(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base that the item is added to.
        knowledge_base_id: KnowledgeBaseId,
        /// The content and the settings of the new item.
        item: KnowledgeBaseItemCreate,
    );
}

request! {
    /// A request to change an item of a knowledge base.
    ///
    /// The request is `PATCH …/knowledge_bases/{knowledge_base_id}/items/{id}`. Settings that are
    /// not set in the request keep their values. See the [contract](crate::contract#endpoints).
    UpdateKnowledgeBaseItem(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base that the item belongs to.
        knowledge_base_id: KnowledgeBaseId,
        /// The id of the item to change.
        id: KnowledgeBaseItemId,
        /// The settings to change; all others keep their values.
        item: KnowledgeBaseItemUpdate,
    );
}

request! {
    /// A request to delete an item of a knowledge base.
    ///
    /// The request is `DELETE …/knowledge_bases/{knowledge_base_id}/items/{id}`. See the
    /// [contract](crate::contract#endpoints).
    DeleteKnowledgeBaseItem(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base that the item belongs to.
        knowledge_base_id: KnowledgeBaseId,
        /// The id of the item to delete.
        id: KnowledgeBaseItemId,
    );
}

request! {
    /// A request to index an item of a knowledge base again.
    ///
    /// The request is `POST …/knowledge_bases/{knowledge_base_id}/items/{id}/regenerate`. The
    /// response has the id of the run that indexes the item. See the
    /// [contract](crate::contract#endpoints).
    RegenerateKnowledgeBaseItem(
        /// The id of the workspace that the knowledge base belongs to.
        workspace_id: WorkspaceId,
        /// The id of the knowledge base that the item belongs to.
        knowledge_base_id: KnowledgeBaseId,
        /// The id of the item to index again.
        id: KnowledgeBaseItemId,
    );
}

open_enum! {
    /// The origin of an item's content.
    ItemType {
        /// The content is part of the request.
        Custom = "custom",
        /// The content is scraped from a web page.
        WebsiteScrape = "website_scrape",
        /// The content is taken from an uploaded file.
        Document = "document",
    }
}

open_enum! {
    /// A setting of an item that is either enabled or disabled.
    Toggle {
        /// The setting is enabled for the item.
        Enabled = "enabled",
        /// The setting is disabled for the item.
        Disabled = "disabled",
    }
}

request! {
    /// The content and the settings of a new knowledge-base item.
    KnowledgeBaseItemCreate(
        /// The display name of the item.
        name: String,
    ) {
        /// A description of the item's content.
        description: String,
        /// The origin of the item's content.
        item_type: ItemType,
        /// The form of the item's content, such as `text`.
        response_type: String,
        /// The text of an item with custom content.
        data_content: String,
        /// The web page to scrape for the item's content.
        data_query: String,
        /// Whether e-mail addresses are removed from the content.
        delete_email_data: Toggle,
        /// Whether telephone numbers are removed from the content.
        delete_telephone_data: Toggle,
        /// The strategy for splitting the content into chunks, such as `default`.
        chunking_strategy: String,
        /// The length by which neighboring chunks overlap.
        chunk_overlap: u64,
        /// The maximum length of a chunk.
        maximum_chunk_length: u64,
        /// The id of the uploaded file that holds the content.
        asset_id: AssetId,
    }
}

request! {
    /// The content and the settings to change in an existing knowledge-base item.
    KnowledgeBaseItemUpdate() {
        /// The new display name of the item.
        name: String,
        /// A description of the item's content.
        description: String,
        /// The text of an item with custom content.
        data_content: String,
        /// The web page to scrape for the item's content.
        data_query: String,
        /// Whether e-mail addresses are removed from the content.
        delete_email_data: Toggle,
        /// Whether telephone numbers are removed from the content.
        delete_telephone_data: Toggle,
        /// The strategy for splitting the content into chunks, such as `default`.
        chunking_strategy: String,
        /// The length by which neighboring chunks overlap.
        chunk_overlap: u64,
        /// The maximum length of a chunk.
        maximum_chunk_length: u64,
    }
}

record! {
    /// An item of a knowledge base.
    ///
    /// The sources declare only the fields of a listed item. A single item is read with the fields
    /// of the requests as well; all others are in [`extra`](Self::extra). See the
    /// [contract](crate::contract#resources).
    KnowledgeBaseItem {
        /// The id of the item, by which other requests refer to it.
        id: Option<KnowledgeBaseItemId>,
        /// The display name of the item.
        name: Option<String>,
        /// The id of the knowledge base that the item belongs to.
        knowledge_base_id: Option<KnowledgeBaseId>,
        /// A description of the item's content.
        description: Option<String>,
        /// The origin of the item's content.
        item_type: Option<ItemType>,
        /// The status of the item's indexing, such as `pending`.
        run_status: Option<String>,
        /// The status of the item, such as `active`.
        status: Option<String>,
        /// The form of the item's content, such as `text`.
        response_type: Option<String>,
        /// The text of an item with custom content.
        data_content: Option<String>,
        /// The web page that was scraped for the item's content.
        data_query: Option<String>,
        /// Whether e-mail addresses are removed from the content.
        delete_email_data: Option<Toggle>,
        /// Whether telephone numbers are removed from the content.
        delete_telephone_data: Option<Toggle>,
        /// The strategy for splitting the content into chunks, such as `default`.
        chunking_strategy: Option<String>,
        /// The length by which neighboring chunks overlap.
        chunk_overlap: Option<NumberOrString>,
        /// The maximum length of a chunk.
        maximum_chunk_length: Option<NumberOrString>,
        /// The id of the uploaded file that holds the content.
        asset_id: Option<AssetId>,
    }
}

impl KnowledgeBaseItem {
    /// Returns the id of the item.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `id`.
    pub fn id(&self) -> Result<&KnowledgeBaseItemId, MissingField> {
        MissingField::check(self.id.as_ref(), "id")
    }
}

record! {
    /// The response to a request that created or changed a knowledge-base item.
    KnowledgeBaseItemChangeResponse {
        /// A confirmation for people, in the language of the account.
        message: Option<String>,
        /// The item with the settings that it has after the change.
        knowledge_base_item: Option<KnowledgeBaseItem>,
    }
}

impl KnowledgeBaseItemChangeResponse {
    /// Returns the id of the created or changed item.
    ///
    /// # Errors
    ///
    /// Returns [`MissingField`] if the response has no `knowledge_base_item` with an id.
    pub fn id(&self) -> Result<&KnowledgeBaseItemId, MissingField> {
        MissingField::check(
            self.knowledge_base_item.as_ref().and_then(|knowledge_base_item| knowledge_base_item.id.as_ref()),
            "knowledge_base_item.id",
        )
    }
}

record! {
    /// The response to a request to index a knowledge-base item again.
    RegenerateKnowledgeBaseItemResponse {
        /// A confirmation for people, in the language of the account.
        message: Option<String>,
        /// The public id of the run that indexes the item.
        request_id: Option<RequestId>,
    }
}
