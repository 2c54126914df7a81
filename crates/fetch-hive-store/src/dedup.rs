use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{Claim, ClaimResult, DedupStore, EventKey};

use crate::{Store, StoreError, digest, millis};

/// The dedup store of a [`Store`].
#[derive(Clone)]
pub struct StoreDedup(pub(crate) Store);

impl fmt::Debug for StoreDedup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreDedup").finish_non_exhaustive()
    }
}

/// A statement that commits a claim in your transaction, so that the transaction takes effect
/// exactly once per event.
///
/// Run it as the last statement of a transaction in the store's database. If it updates no row, the
/// claim has been lost, released or already committed, and you must roll back the transaction.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitStatement {
    /// The SQL statement, with the parameters `$1` and `$2`.
    pub sql: &'static str,
    /// The parameter `$1`, of type `BYTEA` or `BLOB`.
    pub key: Vec<u8>,
    /// The parameter `$2`, of type `BIGINT` or `INTEGER`.
    pub number: i64,
}

impl fmt::Debug for CommitStatement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitStatement").field("sql", &self.sql).finish_non_exhaustive()
    }
}

impl StoreDedup {
    /// Returns the statement that commits a claim, such as
    /// [`Delivery::claim`](fetch_hive_client::callback::Delivery::claim).
    pub fn commit_statement(&self, claim: &Claim) -> CommitStatement {
        let sql = "UPDATE fetch_hive_event SET lease_end = NULL \
                   WHERE key = $1 AND number = $2 AND lease_end > 0";
        CommitStatement { sql, key: digest(claim.key.as_str()), number: crate::signed(claim.number) }
    }

    /// Extends a claim by `lease`, or commits it if `lease` is `None`. Returns `false` if the claim
    /// was lost.
    async fn update(&self, claim: &Claim, lease: Option<Duration>) -> Result<bool, StoreError> {
        let (key, number) = (digest(claim.key.as_str()), crate::signed(claim.number));
        self.0
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let now = tx.now_expression();
                    // A committed claim stays committed.
                    let sql = format!(
                        "UPDATE fetch_hive_event SET changed = {now}, \
                         lease_end = CASE WHEN lease_end IS NULL THEN NULL ELSE {now} + $3 END \
                         WHERE key = $1 AND number = $2 RETURNING number"
                    );
                    let values = [key.into(), number.into(), lease.map(millis).into()];
                    Ok(tx.commit_row(&sql, &values).await?.is_some())
                })
            }))
            .await
    }
}

#[async_trait]
impl DedupStore for StoreDedup {
    async fn claim(&self, key: &EventKey, lease: Duration) -> Result<ClaimResult, BoxError> {
        let digest = digest(key.as_str());
        let key = key.clone();
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                let now = tx.now_expression();
                let insert = format!(
                    "INSERT INTO fetch_hive_event (key, number, lease_end, changed) VALUES ($1, 1, {now} + $2, {now}) \
                     ON CONFLICT (key) DO UPDATE SET number = fetch_hive_event.number + 1, \
                     lease_end = excluded.lease_end, changed = excluded.changed \
                     WHERE fetch_hive_event.lease_end <= {now} RETURNING number"
                );
                let select = "SELECT lease_end FROM fetch_hive_event WHERE key = $1";
                let values = [digest.clone().into(), millis(lease).into()];
                let found = tx.commit_with(&[(&insert, &values), (select, &[digest.into()])]).await?;
                let mut rows = found.into_iter().map(|rows| rows.into_iter().next());
                if let Some(Some(mut row)) = rows.next() {
                    return Ok(ClaimResult::Acquired(Claim::new(key, crate::unsigned(row.int()))));
                }
                let is_committed = rows.next().flatten().is_some_and(|mut row| row.opt_int().is_none());
                Ok(if is_committed { ClaimResult::AlreadyHandled } else { ClaimResult::InProgress })
            })
        }));
        operation.await.map_err(StoreError::boxed)
    }

    async fn commit(&self, claim: &Claim) -> Result<(), BoxError> {
        if self.update(claim, None).await? { Ok(()) } else { Err(StoreError::ClaimLost.boxed()) }
    }

    async fn renew(&self, claim: &Claim, lease: Duration) -> Result<(), BoxError> {
        if self.update(claim, Some(lease)).await? { Ok(()) } else { Err(StoreError::ClaimLost.boxed()) }
    }

    async fn release(&self, claim: &Claim) -> Result<(), BoxError> {
        let (key, number) = (digest(claim.key.as_str()), crate::signed(claim.number));
        let operation = self.0.transaction(Box::new(move |tx| {
            Box::pin(async move {
                // Keeping the row gives the next claim a different number.
                let sql = "UPDATE fetch_hive_event SET lease_end = 0 \
                           WHERE key = $1 AND number = $2 AND lease_end IS NOT NULL";
                tx.commit_row(sql, &[key.into(), number.into()]).await.map(drop)
            })
        }));
        operation.await.map_err(StoreError::boxed)
    }
}
