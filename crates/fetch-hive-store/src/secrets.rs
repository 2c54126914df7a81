use std::fmt;

use async_trait::async_trait;
use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{SecretSource, UnverifiedDelivery};
use fetch_hive_client::types::WebhookSecret;

use crate::{Store, StoreError};

/// The webhook secrets stored with [`Store::put_secret`], one per deployment.
///
/// Each callback is verified against all of them, because a delivery does not name its deployment.
/// Receivers cache the secrets for five minutes.
#[derive(Clone)]
pub struct StoreSecrets(Store);

impl fmt::Debug for StoreSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreSecrets").finish_non_exhaustive()
    }
}

impl Store {
    /// Returns the stored webhook secrets, for
    /// [`Receiver::secret_source`](fetch_hive_client::callback::Receiver::secret_source).
    pub fn secrets(&self) -> StoreSecrets {
        StoreSecrets(self.clone())
    }

    /// Stores the webhook secret of a deployment, replacing any previous one.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn put_secret(&self, deployment: &str, secret: &WebhookSecret) -> Result<(), StoreError> {
        let sealed = self.sealer().seal(deployment.as_bytes(), secret.expose().as_bytes())?;
        let deployment = deployment.to_owned();
        let operation = self.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO fetch_hive_secret (deployment, secret) VALUES ($1, $2) \
                           ON CONFLICT (deployment) DO UPDATE SET secret = excluded.secret";
                tx.execute(sql, &[deployment.as_str().into(), sealed.into()]).await
            })
        }));
        operation.await
    }

    /// Deletes the webhook secret of a deployment. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// Returns an error if the database fails.
    pub async fn delete_secret(&self, deployment: &str) -> Result<bool, StoreError> {
        let deployment = deployment.to_owned();
        let operation = self.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM fetch_hive_secret WHERE deployment = $1 RETURNING deployment";
                Ok(tx.row(sql, &[deployment.as_str().into()]).await?.is_some())
            })
        }));
        operation.await
    }
}

#[async_trait]
impl SecretSource for StoreSecrets {
    async fn secrets(&self, _: &UnverifiedDelivery<'_>) -> Result<Vec<WebhookSecret>, BoxError> {
        let rows = self.0.transaction(Box::new(|tx| {
            Box::pin(async move { tx.query("SELECT deployment, secret FROM fetch_hive_secret", &[]).await })
        }));
        let mut secrets = Vec::new();
        for mut row in rows.await? {
            let (Some(deployment), Some(sealed)) = (row.text(), row.blob()) else { continue };
            let secret = self.0.sealer().open(deployment.as_bytes(), &sealed)?;
            secrets.push(String::from_utf8(secret)?.into());
        }
        Ok(secrets)
    }

    fn cache_key(&self, _: &UnverifiedDelivery<'_>) -> String {
        String::new()
    }
}
