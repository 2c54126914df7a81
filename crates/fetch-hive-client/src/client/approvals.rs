use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use fetch_hive_core::types::{ApprovalFilter, ToolActionApproval, ToolActionApprovalList, WorkspaceId};
use fetch_hive_core::{ApiResponse, ApprovalPager};
use futures_core::Stream;

use super::Client;
use super::resources::Approvals;
use crate::error::{Error, ErrorKind};

impl Approvals<Client> {
    /// Returns all approvals that match a filter. Each page is fetched when it is needed.
    ///
    /// ```no_run
    /// # async fn run(client: fetch_hive_client::Client) -> Result<(), fetch_hive_client::Error> {
    /// use fetch_hive_client::types::ApprovalFilter;
    ///
    /// let mut waiting = client.workspace("ws").approvals().all(ApprovalFilter::new());
    /// while let Some(approval) = waiting.next().await {
    ///     println!("{:?}", approval?.summary);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn all(&self, filter: impl Into<ApprovalFilter>) -> ApprovalStream {
        ApprovalStream {
            client: self.client.clone(),
            pager: ApprovalPager::new(WorkspaceId::from(&self.workspace_id), filter.into()),
            ready: VecDeque::new(),
            fetching: None,
            failed: None,
        }
    }
}

type Fetching = Pin<Box<dyn Future<Output = Result<ApiResponse<ToolActionApprovalList>, Error>> + Send>>;

/// A [`Stream`] of the approvals on all pages of a list.
///
/// After an error, which follows all approvals that were fetched, it ends.
#[must_use = "a page is fetched when the stream is polled"]
pub struct ApprovalStream {
    client: Client,
    pager: ApprovalPager,
    ready: VecDeque<ToolActionApproval>,
    fetching: Option<Fetching>,
    failed: Option<Error>,
}

impl ApprovalStream {
    /// Returns the next approval, or `None` after the last one.
    pub async fn next(&mut self) -> Option<Result<ToolActionApproval, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for ApprovalStream {
    type Item = Result<ToolActionApproval, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(approval) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(approval)));
            }
            if let Some(fetching) = &mut this.fetching {
                let fetched = std::task::ready!(fetching.as_mut().poll(cx));
                this.fetching = None;
                match fetched {
                    Ok(page) => {
                        let page = page.into_value();
                        if let Err(repeated) = this.pager.advance(&page) {
                            this.failed =
                                Some(Error::new("listToolActionApprovals", ErrorKind::RepeatedCursor(repeated)));
                        }
                        this.ready.extend(page.approvals);
                    }
                    Err(error) => {
                        this.pager.stop();
                        this.failed = Some(error);
                    }
                }
                continue;
            }
            if let Some(error) = this.failed.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(request) = this.pager.request() else { return Poll::Ready(None) };
            this.fetching = Some(this.client.call(request.clone()).into_future());
        }
    }
}

impl fmt::Debug for ApprovalStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApprovalStream").field("pager", &self.pager).finish_non_exhaustive()
    }
}
