use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fetch_hive_core::KeyHeader;
use fetch_hive_core::types::ApiKey;

use crate::error::BoxError;

/// A source of the API key, which can rotate the key or fetch it from a vault while the client is
/// in use.
///
/// It is called once for each attempt, within the timeout of the call. Cache a key that is slow to
/// fetch.
#[async_trait]
pub trait CredentialProvider: Send + Sync + 'static {
    /// Returns the current API key.
    ///
    /// # Errors
    ///
    /// Returns any error that prevents access to the key. The call then fails with
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials), and nothing is sent.
    async fn api_key(&self) -> Result<ApiKey, BoxError>;
}

/// The source of the API key of a client.
#[derive(Clone)]
pub(crate) enum Credentials {
    Key(KeyHeader),
    Provider(Arc<dyn CredentialProvider>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key(_) => "ApiKey(redacted)",
            Self::Provider(_) => "CredentialProvider",
        })
    }
}
