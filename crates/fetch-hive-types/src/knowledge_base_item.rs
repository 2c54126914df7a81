use crate::macros::{record, request};
use crate::open_enum::open_enum;
use crate::{AssetId, KnowledgeBaseId, KnowledgeBaseItemId, MissingField, NumberOrString, RequestId, WorkspaceId};

request! {
    /// Lists the items of a knowledge base: `GET …/knowledge_bases/{knowledge_base_id}/items`.
    ListKnowledgeBaseItems(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        knowledge_base_id: KnowledgeBaseId,
    );
}

request! {
    /// Reads an item: `GET …/items/{id}`.
    GetKnowledgeBaseItem(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        knowledge_base_id: KnowledgeBaseId,
        /// The item.
        id: KnowledgeBaseItemId,
    );
}

request! {
    /// Adds an item: `POST …/items`. The service indexes it afterwards.
    CreateKnowledgeBaseItem(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        knowledge_base_id: KnowledgeBaseId,
        /// The item.
        item: KnowledgeBaseItemCreate,
    );
}

request! {
    /// Changes an item: `PATCH …/items/{id}`. What is not set stays as it is.
    UpdateKnowledgeBaseItem(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        knowledge_base_id: KnowledgeBaseId,
        /// The item.
        id: KnowledgeBaseItemId,
        /// What changes.
        item: KnowledgeBaseItemUpdate,
    );
}

request! {
    /// Deletes an item: `DELETE …/items/{id}`.
    DeleteKnowledgeBaseItem(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        knowledge_base_id: KnowledgeBaseId,
        /// The item.
        id: KnowledgeBaseItemId,
    );
}

request! {
    /// Indexes an item anew: `POST …/items/{id}/regenerate`. The reply names the run that does it.
    RegenerateKnowledgeBaseItem(
        /// The workspace.
        workspace_id: WorkspaceId,
        /// The knowledge base.
        knowledge_base_id: KnowledgeBaseId,
        /// The item.
        id: KnowledgeBaseItemId,
    );
}

open_enum! {
    /// Where an item's content comes from.
    ItemType {
        /// From the request.
        Custom = "custom",
        /// From a web page.
        WebsiteScrape = "website_scrape",
        /// From an asset.
        Document = "document",
    }
}

open_enum! {
    /// Whether something is done.
    Toggle {
        /// It is.
        Enabled = "enabled",
        /// It is not.
        Disabled = "disabled",
    }
}

request! {
    /// A new item.
    KnowledgeBaseItemCreate(
        /// Its name.
        name: String,
    ) {
        /// What it is.
        description: String,
        /// Where its content comes from.
        item_type: ItemType,
        /// What kind of content it is, such as `text`.
        response_type: String,
        /// Its content.
        data_content: String,
        /// What to look for in its source.
        data_query: String,
        /// Whether e-mail addresses are taken out.
        delete_email_data: Toggle,
        /// Whether telephone numbers are taken out.
        delete_telephone_data: Toggle,
        /// How it is cut into chunks, such as `default`.
        chunking_strategy: String,
        /// How far chunks overlap.
        chunk_overlap: u64,
        /// How long a chunk may be.
        maximum_chunk_length: u64,
        /// The asset that it is made from.
        asset_id: AssetId,
    }
}

request! {
    /// What changes in an item.
    KnowledgeBaseItemUpdate() {
        /// Its name.
        name: String,
        /// What it is.
        description: String,
        /// Its content.
        data_content: String,
        /// What to look for in its source.
        data_query: String,
        /// Whether e-mail addresses are taken out.
        delete_email_data: Toggle,
        /// Whether telephone numbers are taken out.
        delete_telephone_data: Toggle,
        /// How it is cut into chunks.
        chunking_strategy: String,
        /// How far chunks overlap.
        chunk_overlap: u64,
        /// How long a chunk may be.
        maximum_chunk_length: u64,
    }
}

record! {
    /// An item of a knowledge base, in a list or by itself. By itself the sources declare no fields of it (contract, section 10).
    KnowledgeBaseItem {
        /// The item.
        id: Option<KnowledgeBaseItemId>,
        /// Its name.
        name: Option<String>,
        /// Its knowledge base.
        knowledge_base_id: Option<KnowledgeBaseId>,
        /// What it is.
        description: Option<String>,
        /// Where its content comes from.
        item_type: Option<ItemType>,
        /// Where its indexing stands.
        run_status: Option<String>,
        /// Whether it is in use.
        status: Option<String>,
        /// What kind of content it is.
        response_type: Option<String>,
        /// Its content.
        data_content: Option<String>,
        /// What was looked for in its source.
        data_query: Option<String>,
        /// Whether e-mail addresses are taken out.
        delete_email_data: Option<Toggle>,
        /// Whether telephone numbers are taken out.
        delete_telephone_data: Option<Toggle>,
        /// How it is cut into chunks.
        chunking_strategy: Option<String>,
        /// How far chunks overlap.
        chunk_overlap: Option<NumberOrString>,
        /// How long a chunk may be.
        maximum_chunk_length: Option<NumberOrString>,
        /// The asset that it is made from.
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
    /// An item after a change, with what the service says about it.
    KnowledgeBaseItemChangeResponse {
        /// What the service says.
        message: Option<String>,
        /// The item.
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
    /// The reply to indexing an item anew.
    RegenerateKnowledgeBaseItemResponse {
        /// What the service says.
        message: Option<String>,
        /// The run that does it.
        request_id: Option<RequestId>,
    }
}
