//! `fetch-hive kb`.

use clap::Subcommand;
use fetch_hive_client::types::{
    CreateKnowledgeBase, DeleteKnowledgeBase, GetKnowledgeBase, KnowledgeBaseCreate, KnowledgeBaseSearch,
    KnowledgeBaseUpdate, ListKnowledgeBases, SearchKnowledgeBase, UpdateKnowledgeBase,
};

use super::resource::{Fields, call, change, delete};
use crate::context::Context;
use crate::failure::Result;
use crate::table::Shape;

const LIST: Shape = Shape::List { key: "knowledge_bases", columns: &["id", "name", "data_item_count", "description"] };
const RECORD: Shape = Shape::Record("knowledge_base");
const RESULTS: Shape = Shape::Record("response");

#[derive(Debug, Subcommand)]
pub(crate) enum Kb {
    /// List the knowledge bases of the workspace
    #[command(before_help = "Examples:\n  fetch-hive kb list")]
    List,
    /// Show a knowledge base
    #[command(before_help = "Examples:\n  fetch-hive kb get kb_1")]
    Get {
        /// The id of the knowledge base
        id: String,
    },
    /// Search the items of a knowledge base
    #[command(before_help = "Examples:\n  fetch-hive kb search kb_1 \"refund policy\"\n  fetch-hive kb search kb_1 \
                             refunds --type full_text --limit 5")]
    Search {
        /// The id of the knowledge base
        id: String,
        /// The query
        query: String,
        /// How the items are compared with the query: `hybrid`, `vector` or `full_text`
        #[arg(long = "type", value_name = "TYPE", default_value = "hybrid")]
        search_type: String,
        /// The largest number of results
        #[arg(long, value_name = "COUNT", default_value_t = 10)]
        limit: u64,
        /// The lowest score of a result
        #[arg(long, value_name = "SCORE", default_value_t = 0.0)]
        threshold: f64,
    },
    /// Create a knowledge base
    #[command(before_help = "Examples:\n  fetch-hive kb create -f name=Handbook")]
    Create(Fields),
    /// Change a knowledge base; fields that are not set keep their value
    #[command(before_help = "Examples:\n  fetch-hive kb update kb_1 -f name=Handbook")]
    Update {
        /// The id of the knowledge base
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// Delete a knowledge base with its items
    #[command(before_help = "Examples:\n  fetch-hive kb delete kb_1 --yes")]
    Delete {
        /// The id of the knowledge base
        id: String,
    },
}

pub(crate) async fn execute(command: Kb, context: &Context) -> Result<()> {
    let workspace = context.workspace()?;
    match command {
        Kb::List => call(context, ListKnowledgeBases::new(workspace), LIST).await,
        Kb::Get { id } => call(context, GetKnowledgeBase::new(workspace, id), RECORD).await,
        Kb::Search { id, query, search_type, limit, threshold } => {
            let search = KnowledgeBaseSearch::new(query, search_type.as_str(), limit, threshold);
            call(context, SearchKnowledgeBase::new(workspace, id, search), RESULTS).await
        }
        Kb::Create(fields) => {
            let request = CreateKnowledgeBase::new(workspace, fields.read::<KnowledgeBaseCreate>()?);
            change(context, request, RECORD, &fields.preview).await
        }
        Kb::Update { id, fields } => {
            let request = UpdateKnowledgeBase::new(workspace, id, fields.read::<KnowledgeBaseUpdate>()?);
            change(context, request, RECORD, &fields.preview).await
        }
        Kb::Delete { id } => {
            let request = DeleteKnowledgeBase::new(workspace, id.as_str());
            delete(context, &format!("the knowledge base {id} with its items"), request).await
        }
    }
}
