use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use fetch_hive_core::KeyHeader;
use fetch_hive_core::types::ApiKey;

use crate::error::BoxError;

/// Gives the API key of each call, so that a key can be rotated, or fetched from a vault, without a new client.
///
/// It is asked once per attempt, within the call's deadline; keep a key that is slow to fetch.
#[async_trait]
pub trait CredentialProvider: Send + Sync + 'static {
    /// The key to use now.
    ///
    /// # Errors
    ///
    /// Whatever kept the key from being had; the call fails with it, and nothing is sent.
    async fn api_key(&self) -> Result<ApiKey, BoxError>;
}

/// Where the key of a client comes from.
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
