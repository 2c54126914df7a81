use std::collections::HashSet;

use fetch_hive_types::{ApprovalFilter, ListToolActionApprovals, ToolActionApprovalList, WorkspaceId};
use serde_json::Value;

/// The service gave a cursor that it had given before: the pages would never end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the service gave the same page cursor twice; the list is incomplete")]
#[non_exhaustive]
pub struct RepeatedCursor {
    /// The cursor.
    pub cursor: String,
}

/// Goes through the pages of a list of approvals.
///
/// The contract declares no cursor for the next page (section 8). A `next_cursor` in the reply is taken if there is one; otherwise the id
/// of the last approval, until a page is empty.
#[derive(Clone, Debug)]
pub struct ApprovalPager {
    next: Option<ListToolActionApprovals>,
    seen: HashSet<String>,
}

impl ApprovalPager {
    /// Begins with the first page that a filter asks for.
    pub fn new(workspace_id: impl Into<WorkspaceId>, filter: ApprovalFilter) -> Self {
        let seen = filter.cursor.iter().cloned().collect();
        Self { next: Some(ListToolActionApprovals::new(workspace_id, filter)), seen }
    }

    /// The request for the next page; `None` when there is none.
    pub fn request(&self) -> Option<&ListToolActionApprovals> {
        self.next.as_ref()
    }

    /// Asks for no further page.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// Takes the page that was asked for, and finds the next one.
    ///
    /// # Errors
    ///
    /// [`RepeatedCursor`] when the pages go round in circles. There is no next page then.
    pub fn turn(&mut self, page: &ToolActionApprovalList) -> Result<(), RepeatedCursor> {
        let Some(mut request) = self.next.take() else { return Ok(()) };
        let last = || page.approvals.last()?.id.as_ref().map(ToString::to_string);
        let cursor = match page.extra.get("next_cursor") {
            Some(Value::String(cursor)) if !cursor.is_empty() => Some(cursor.clone()),
            Some(_) => None,
            None => last(),
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

    fn turn(pager: &mut ApprovalPager, page: Value) -> Result<Option<String>, RepeatedCursor> {
        pager.turn(&serde_json::from_value(page).unwrap())?;
        Ok(pager.request().and_then(|request| request.filter.cursor.clone()))
    }

    #[test]
    fn trap_11_a_repeated_cursor_is_an_error_and_an_empty_page_with_a_cursor_goes_on() {
        let mut pager = ApprovalPager::new("ws", ApprovalFilter::new());
        assert!(pager.request().unwrap().filter.cursor.is_none());
        let page = json!({"approvals": [{"id": "a"}, {"id": "b"}]});
        assert_eq!(turn(&mut pager, page.clone()), Ok(Some("b".to_owned())));
        assert_eq!(turn(&mut pager, json!({"approvals": [], "next_cursor": "c"})), Ok(Some("c".to_owned())));
        assert_eq!(turn(&mut pager, page), Err(RepeatedCursor { cursor: "b".to_owned() }));
        assert!(pager.request().is_none());

        for end in [json!({"approvals": []}), json!({"approvals": [{"id": "a"}], "next_cursor": null})] {
            let mut pager = ApprovalPager::new("ws", ApprovalFilter::new());
            assert_eq!(turn(&mut pager, end), Ok(None));
        }
        let mut ignoring = ApprovalPager::new("ws", ApprovalFilter::new().cursor("b"));
        assert!(turn(&mut ignoring, json!({"approvals": [{"id": "b"}]})).is_err());
    }
}
