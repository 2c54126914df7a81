use std::collections::HashSet;

use fetch_hive_types::{ApprovalFilter, ListToolActionApprovals, ToolActionApprovalList, WorkspaceId};
use serde_json::Value;

/// An error that occurs when the service returns the same page cursor twice.
///
/// Following the cursor again would never end, so the list is incomplete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service returned the same page cursor twice; the list is incomplete")]
#[non_exhaustive]
pub struct RepeatedCursor {
    /// The cursor that the service returned twice.
    pub cursor: String,
}

/// A pager that creates the request for each page of a list of approvals.
///
/// The contract documents a cursor parameter, but no field with the cursor of the next page. The
/// pager uses the field `next_cursor` if a page has it, and the id of the last approval otherwise.
/// Both are [unconfirmed](fetch_hive_types::contract#approvals).
#[derive(Clone, Debug)]
pub struct ApprovalPager {
    next: Option<ListToolActionApprovals>,
    /// The cursors of all requests so far.
    seen: HashSet<String>,
}

impl ApprovalPager {
    /// Creates a pager that starts at the cursor of the filter, or at the first page.
    pub fn new(workspace_id: impl Into<WorkspaceId>, filter: ApprovalFilter) -> Self {
        let seen = filter.cursor.iter().cloned().collect();
        Self { next: Some(ListToolActionApprovals::new(workspace_id, filter)), seen }
    }

    /// Returns the request for the next page, or `None` after the last page.
    pub fn request(&self) -> Option<&ListToolActionApprovals> {
        self.next.as_ref()
    }

    /// Stops the pager, so that it returns no further request.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// Advances to the page after the given one, which is the response to the current request.
    ///
    /// # Errors
    ///
    /// Returns [`RepeatedCursor`] when the service returns a cursor that was already used. In that
    /// case, the pager stops.
    pub fn advance(&mut self, page: &ToolActionApprovalList) -> Result<(), RepeatedCursor> {
        let Some(mut request) = self.next.take() else { return Ok(()) };
        let cursor = match page.extra.get("next_cursor") {
            Some(Value::String(cursor)) if !cursor.is_empty() => Some(cursor.clone()),
            Some(_) => None,
            None => page.approvals.last().and_then(|last| last.id.as_ref()).map(ToString::to_string),
        };
        let Some(cursor) = cursor else { return Ok(()) };
        if !self.seen.insert(cursor.clone()) {
            return Err(RepeatedCursor { cursor });
        }
        request.filter.cursor = Some(cursor);
        self.next = Some(request);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn advance(pager: &mut ApprovalPager, page: Value) -> Result<Option<String>, RepeatedCursor> {
        pager.advance(&serde_json::from_value(page).unwrap())?;
        Ok(pager.request().and_then(|request| request.filter.cursor.clone()))
    }

    #[test]
    fn repeated_cursor_is_an_error() {
        let page = json!({"approvals": [{"id": "b"}]});
        let mut pager = ApprovalPager::new("ws", ApprovalFilter::new());
        assert_eq!(advance(&mut pager, page.clone()), Ok(Some("b".to_owned())));
        assert_eq!(advance(&mut pager, page.clone()), Err(RepeatedCursor { cursor: "b".to_owned() }));
        assert!(pager.request().is_none());

        let mut pager = ApprovalPager::new("ws", ApprovalFilter::new().cursor("b"));
        assert!(advance(&mut pager, page).is_err());
    }

    #[test]
    fn pages_end_without_a_cursor() {
        let mut pager = ApprovalPager::new("ws", ApprovalFilter::new());
        assert!(pager.request().unwrap().filter.cursor.is_none());
        let page = json!({"approvals": [{"id": "a"}, {"id": "b"}]});
        assert_eq!(advance(&mut pager, page), Ok(Some("b".to_owned())));
        assert_eq!(advance(&mut pager, json!({"approvals": [], "next_cursor": "c"})), Ok(Some("c".to_owned())));
        for end in [json!({"approvals": []}), json!({"approvals": [{"id": "a"}], "next_cursor": null})] {
            let mut pager = ApprovalPager::new("ws", ApprovalFilter::new());
            assert_eq!(advance(&mut pager, end), Ok(None));
        }
    }
}
