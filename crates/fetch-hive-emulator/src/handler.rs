use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;

use crate::reply::Broken;
use crate::service::Service;
use crate::wire::Takeover;

/// What answers the requests of an [`Emulator`](crate::Emulator), without a socket: for a transport that calls a function. A clone is cheap.
#[derive(Clone)]
pub struct Handler(pub(crate) Arc<Service>);

impl Handler {
    /// Answers a request, which is recorded like any other, as of connection 0. `None` where a fault closes the connection; a fault that says
    /// other bytes than HTTP needs one, and is not answered here.
    ///
    /// It needs a tokio runtime. Dropping the future, or the body, is what hanging up is over a socket.
    pub async fn handle(
        &self,
        request: Request<Bytes>,
    ) -> Option<Response<impl Body<Data = Bytes, Error = impl std::error::Error + Send + Sync + use<>> + Send + use<>>>
    {
        let request = request.map(Full::new);
        let reply: Result<_, Broken> = Arc::clone(&self.0).handle(0, Takeover::default(), request).await;
        reply.ok()
    }
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}
