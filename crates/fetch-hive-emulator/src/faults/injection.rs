//! The injection of a fault into a request.

use std::future::Future;
use std::pin::pin;

use crate::faults::fault::{Action, Fault};
use crate::http::response::{ConnectionBroken, Response, raw_response, truncated_response};
use crate::http::takeover::Takeover;

/// Runs an operation with a fault before or after it.
pub(crate) async fn run_with_fault(
    fault: Option<Fault>,
    takeover: &Takeover,
    operation: impl Future<Output = Response>,
) -> Result<Response, ConnectionBroken> {
    let Some(Fault { action, after_run, .. }) = fault else { return Ok(operation.await) };
    let mut operation = pin!(operation);
    if after_run {
        let response = operation.as_mut().await;
        return inject(action, takeover).await.unwrap_or(Ok(response));
    }
    match inject(action, takeover).await {
        Some(result) => result,
        None => Ok(operation.await),
    }
}

/// Injects a fault. Returns `None` if the operation still determines the response.
async fn inject(action: Action, takeover: &Takeover) -> Option<Result<Response, ConnectionBroken>> {
    match action {
        Action::Response { status, headers, body, cut: None } => Some(Ok(raw_response(status, &headers, body))),
        Action::Response { status, headers, body, cut: Some(cut) } => {
            Some(Ok(truncated_response(status, &headers, &body, cut, takeover)))
        }
        Action::Delay(delay) => {
            tokio::time::sleep(delay).await;
            None
        }
        Action::Hang => std::future::pending().await,
        Action::Close => Some(Err(ConnectionBroken(None))),
        Action::ResetStream(error_code) => Some(Err(ConnectionBroken(Some(h2::Reason::from(error_code).into())))),
        Action::Raw(bytes, end) => {
            takeover.request(bytes, end);
            std::future::pending().await
        }
        Action::Connection(_) | Action::Callback(_) => None,
    }
}
