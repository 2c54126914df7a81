use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

/// Something that goes wrong with a request, before the operation is carried out.
///
/// ```
/// # use fetch_hive_emulator::Fault;
/// // The second invoke of a workflow is answered by a proxy's page.
/// let fault = Fault::status(502).body("<html>Bad gateway</html>").header("content-type", "text/html")
///     .operation("invokeWorkflow").nth(2);
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) action: Action,
    operation: Option<String>,
    nth: Option<u64>,
    seen: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// This reply, whole or cut after so many bytes of its body.
    Reply { status: StatusCode, headers: Vec<(String, String)>, body: Bytes, cut: Option<usize> },
    /// The request is answered later.
    Delay(Duration),
    /// No answer, ever.
    Hang,
    /// The connection is closed without an answer.
    Close,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self { action, operation: None, nth: None, seen: 0 }
    }

    /// Answers with a status, and no body unless one is set. A status that HTTP does not have becomes a 500.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(Action::Reply { status, headers: Vec::new(), body: Bytes::new(), cut: None })
    }

    /// Answers later.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Delay(delay))
    }

    /// Never answers.
    pub fn hang() -> Self {
        Self::new(Action::Hang)
    }

    /// Closes the connection without an answer, after the request was read.
    pub fn close() -> Self {
        Self::new(Action::Close)
    }

    /// The body of a status fault.
    #[must_use]
    pub fn body(mut self, text: impl Into<Bytes>) -> Self {
        if let Action::Reply { body, .. } = &mut self.action {
            *body = text.into();
        }
        self
    }

    /// A header of a status fault.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Action::Reply { headers, .. } = &mut self.action {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Breaks the connection after so many bytes of the body of a status fault, whose length is announced whole.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        if let Action::Reply { cut, .. } = &mut self.action {
            *cut = Some(bytes);
        }
        self
    }

    /// Only for one operation, by its name in the contract.
    #[must_use]
    pub fn operation(mut self, id: impl Into<String>) -> Self {
        self.operation = Some(id.into());
        self
    }

    /// Only for the nth request that it could meet, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = Some(nth);
        self
    }
}

/// The faults in force, asked in their order.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(crate) fn add(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What goes wrong with a request to an operation.
    pub(crate) fn next(&self, operation: &str) -> Option<Action> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for fault in faults.iter_mut().filter(|fault| fault.operation.as_ref().is_none_or(|id| id == operation)) {
            fault.seen += 1;
            if fault.nth.is_none_or(|nth| nth == fault.seen) {
                return Some(fault.action.clone());
            }
        }
        None
    }
}
