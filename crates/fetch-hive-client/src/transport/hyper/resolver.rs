use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

/// Looks up the addresses of a host: those that were set, or those of the operating system.
#[derive(Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    fixed: Arc<HashMap<String, Vec<SocketAddr>>>,
}

impl Resolver {
    pub(super) fn new(fixed: HashMap<String, Vec<SocketAddr>>) -> Self {
        Self { system: GaiResolver::new(), fixed: Arc::new(fixed) }
    }
}

impl Service<Name> for Resolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        if let Some(addresses) = self.fixed.get(&name.as_str().to_ascii_lowercase()) {
            let addresses = addresses.clone();
            return Box::pin(async { Ok(addresses.into_iter()) });
        }
        let resolving = self.system.call(name);
        Box::pin(async move { Ok(resolving.await?.collect::<Vec<_>>().into_iter()) })
    }
}
