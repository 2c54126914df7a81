use fetch_hive_core::types::{ApprovalFilter, ToolActionApproval};

use super::client::Client;
use super::stream::next_item;
use crate::client::ApprovalStream;
use crate::error::Error;

/// An iterator of the approvals on all pages of a list.
///
/// After an error, which follows all approvals that were fetched, it ends.
#[derive(Debug)]
#[must_use = "a page is fetched when `next` is called"]
pub struct Approvals {
    stream: ApprovalStream,
    rejected: bool,
}

impl Iterator for Approvals {
    type Item = Result<ToolActionApproval, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        next_item(&mut self.rejected, self.stream.next())
    }
}

impl crate::resources::Approvals<Client> {
    /// Returns all approvals that match a filter. Each page is fetched when it is needed.
    pub fn all(&self, filter: impl Into<ApprovalFilter>) -> Approvals {
        let client = self.client.client.clone();
        let stream = client.workspace(&self.workspace_id).approvals().all(filter);
        Approvals { stream, rejected: false }
    }
}
