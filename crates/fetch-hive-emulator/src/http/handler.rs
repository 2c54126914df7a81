use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;

use crate::http::takeover::Takeover;
use crate::router;
use crate::state::State;

/// A handler for requests to an [`Emulator`](crate::Emulator) without a socket.
///
/// Use it for a transport that calls a function instead of opening connections. Clones are cheap.
#[derive(Clone)]
pub struct Handler(pub(crate) Arc<State>);

impl Handler {
    /// Handles a request and returns the response.
    ///
    /// The request is recorded with the connection number 0. Returns `None` if a fault closes the
    /// connection. A fault that writes raw bytes needs a connection, so with such a fault the
    /// future never completes.
    ///
    /// The future needs a Tokio runtime. Dropping the future or the response body has the same
    /// effect as closing a connection.
    pub async fn handle(
        &self,
        request: Request<Bytes>,
    ) -> Option<Response<impl Body<Data = Bytes, Error = impl std::error::Error + Send + Sync + use<>> + Send + use<>>>
    {
        router::handle(Arc::clone(&self.0), 0, Takeover::default(), request.map(Full::new)).await.ok()
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}
