//! `fetch-hive kb-item`.

use clap::Subcommand;
use fetch_hive_client::types::{
    CreateKnowledgeBaseItem, DeleteKnowledgeBaseItem, GetKnowledgeBaseItem, KnowledgeBaseItemCreate,
    KnowledgeBaseItemUpdate, ListKnowledgeBaseItems, RegenerateKnowledgeBaseItem, UpdateKnowledgeBaseItem,
};

use super::resource::{Fields, call, change, delete};
use crate::context::Context;
use crate::failure::Result;
use crate::table::Shape;

const LIST: Shape = Shape::List {
    key: "knowledge_base_items",
    columns: &["id", "name", "item_type", "status", "run_status", "description"],
};
const RECORD: Shape = Shape::Record("knowledge_base_item");

#[derive(Debug, Subcommand)]
pub(crate) enum KbItem {
    /// List the items of a knowledge base
    #[command(before_help = "Examples:\n  fetch-hive kb-item list kb_1")]
    List {
        /// The id of the knowledge base
        kb: String,
    },
    /// Show an item
    #[command(before_help = "Examples:\n  fetch-hive kb-item get kb_1 item_1")]
    Get {
        /// The id of the knowledge base
        kb: String,
        /// The id of the item
        id: String,
    },
    /// Create an item
    #[command(before_help = "Examples:\n  fetch-hive kb-item create kb_1 -f name=Refunds -f item_type=custom \
                             -f data_content=@refunds.md")]
    Create {
        /// The id of the knowledge base
        kb: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change an item; fields that are not set keep their value
    #[command(before_help = "Examples:\n  fetch-hive kb-item update kb_1 item_1 -f data_content=@refunds.md")]
    Update {
        /// The id of the knowledge base
        kb: String,
        /// The id of the item
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Index an item again
    #[command(before_help = "Examples:\n  fetch-hive kb-item regenerate kb_1 item_1")]
    Regenerate {
        /// The id of the knowledge base
        kb: String,
        /// The id of the item
        id: String,
    },
    /// Delete an item
    #[command(before_help = "Examples:\n  fetch-hive kb-item delete kb_1 item_1 --yes")]
    Delete {
        /// The id of the knowledge base
        kb: String,
        /// The id of the item
        id: String,
    },
}

pub(crate) async fn execute(command: KbItem, context: &Context) -> Result<()> {
    let workspace = context.workspace()?;
    match command {
        KbItem::List { kb } => call(context, ListKnowledgeBaseItems::new(workspace, kb), LIST).await,
        KbItem::Get { kb, id } => call(context, GetKnowledgeBaseItem::new(workspace, kb, id), RECORD).await,
        KbItem::Create { kb, fields } => {
            let request = CreateKnowledgeBaseItem::new(workspace, kb, fields.read::<KnowledgeBaseItemCreate>()?);
            change(context, request, RECORD, &fields.preview).await
        }
        KbItem::Update { kb, id, fields } => {
            let request = UpdateKnowledgeBaseItem::new(workspace, kb, id, fields.read::<KnowledgeBaseItemUpdate>()?);
            change(context, request, RECORD, &fields.preview).await
        }
        KbItem::Regenerate { kb, id } => {
            call(context, RegenerateKnowledgeBaseItem::new(workspace, kb, id), RECORD).await
        }
        KbItem::Delete { kb, id } => {
            let request = DeleteKnowledgeBaseItem::new(workspace, kb, id.as_str());
            delete(context, &format!("the item {id}"), request).await
        }
    }
}
