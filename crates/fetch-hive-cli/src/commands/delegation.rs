//! `fetch-hive delegation`.

use clap::Subcommand;
use fetch_hive_client::types::{CancelAgentDelegation, GetAgentDelegation, ListThreadDelegations};

use super::resource::call;
use crate::context::Context;
use crate::failure::Result;
use crate::table::Shape;

const LIST: Shape = Shape::List { key: "delegations", columns: &["id", "status", "kind", "expected_by", "created_at"] };
const RECORD: Shape = Shape::Record("delegation");

#[derive(Debug, Subcommand)]
pub(crate) enum Delegation {
    /// List the pending and running delegations of a thread
    #[command(before_help = "Examples:\n  fetch-hive delegation list customer-7")]
    List {
        /// The id of the thread
        thread: String,
    },
    /// Show a delegation
    #[command(before_help = "Examples:\n  fetch-hive delegation get delegation_1")]
    Get {
        /// The id of the delegation
        id: String,
    },
    /// Cancel a delegation
    #[command(before_help = "Examples:\n  fetch-hive delegation cancel delegation_1")]
    Cancel {
        /// The id of the delegation
        id: String,
    },
}

pub(crate) async fn execute(command: Delegation, context: &Context) -> Result<()> {
    match command {
        Delegation::List { thread } => call(context, ListThreadDelegations::new(thread), LIST).await,
        Delegation::Get { id } => call(context, GetAgentDelegation::new(id), RECORD).await,
        Delegation::Cancel { id } => call(context, CancelAgentDelegation::new(id), RECORD).await,
    }
}
