use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{
    AcceptedRun, DeliverResult, PendingRunState, PendingRuns, RawDelivery, RunToken, TakeResult,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::run_limiter::free_slot_of;
use crate::{Store, StoreError, digest, millis};

const MAX_HELD_PER_RUN: i64 = 8;
const MAX_HELD_BYTES: i64 = 16 << 20;

const PENDING: i64 = 0;
const RECEIVED: i64 = 1;
const ACKNOWLEDGED: i64 = 2;

/// The pending runs of a [`Store`].
///
/// A verified event is committed before it is answered with 200, and it survives the end of every
/// process. Only digests of the tokens are stored.
#[derive(Clone)]
pub struct StorePendingRuns {
    store: Store,
    /// The row of a batch to which the runs belong.
    row: Option<RowKey>,
}

/// An attempt of a row.
#[derive(Clone)]
struct RowKey {
    batch: String,
    number: u64,
    attempt: u64,
}

impl fmt::Debug for StorePendingRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorePendingRuns").finish_non_exhaustive()
    }
}

impl StorePendingRuns {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, row: None }
    }

    /// Stores the token of each run with this attempt of a row, before the request is sent. A run
    /// fails to open if the attempt is not the current one.
    #[must_use]
    pub fn for_row(mut self, batch: &str, number: u64, attempt: u64) -> Self {
        self.row = Some(RowKey { batch: batch.to_owned(), number, attempt });
        self
    }

    async fn give_back(store: Store, token: Vec<u8>, number: u64) -> Result<(), StoreError> {
        let number = crate::signed(number);
        let run = token.clone();
        store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE fetch_hive_run SET lease_end = 0 WHERE token = $1 AND number = $2 AND state = 1";
                    tx.execute(sql, &[run.into(), number.into()]).await
                })
            }))
            .await?;
        store.notify(&token).await;
        Ok(())
    }

    /// Updates the row of a taken event, unless another waiter took it.
    async fn update_taken(
        &self,
        token: &RunToken,
        number: u64,
        set: &'static str,
        lease: Duration,
    ) -> Result<(), StoreError> {
        let token = digest(token.as_str());
        let run = token.clone();
        let updated = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let now = tx.now().await?;
                    let sql = format!(
                        "UPDATE fetch_hive_run SET {set} lease_end = $4, changed = $3 WHERE token = $1 AND number = $2 \
                         AND state = 1 AND lease_end > 0 RETURNING number"
                    );
                    let lease_end = now.saturating_add(millis(lease));
                    let values = [run.into(), crate::signed(number).into(), now.into(), lease_end.into()];
                    tx.row(&sql, &values).await
                })
            }))
            .await?;
        self.store.notify(&token).await;
        updated.map(drop).ok_or(StoreError::ClaimLost)
    }
}

#[async_trait]
impl PendingRuns for StorePendingRuns {
    async fn open(&self, token: &RunToken) -> Result<(), BoxError> {
        let (token, row) = (digest(token.as_str()), self.row.clone());
        let operation = self.store.transaction(Box::new(move |tx| {
            Box::pin(async move {
                if let Some(RowKey { batch, number, attempt }) = row {
                    let sql = "UPDATE fetch_hive_batch_row SET token = $4 \
                               WHERE batch = $1 AND number = $2 AND attempt = $3 AND state = 1 RETURNING number";
                    let (number, attempt) = (crate::signed(number), crate::signed(attempt));
                    let values = [batch.as_str().into(), number.into(), attempt.into(), token.clone().into()];
                    tx.row(sql, &values).await?.ok_or(StoreError::RowTaken)?;
                }
                let now = tx.now().await?;
                let sql = "INSERT INTO fetch_hive_run (token, started, state, number, lease_end, changed) \
                           VALUES ($1, 0, 0, 0, 0, $2) ON CONFLICT (token) DO NOTHING";
                tx.execute(sql, &[token.into(), now.into()]).await
            })
        }));
        operation.await.map_err(StoreError::boxed)
    }

    async fn started(&self, token: &RunToken, run: AcceptedRun) -> Result<Vec<RawDelivery>, BoxError> {
        let token = digest(token.as_str());
        let row = token.clone();
        let request_id = run.request_id.map(|id| id.to_string());
        let secret = run.webhook_secret.map(|secret| self.store.sealer().seal(&token, secret.expose().as_bytes()));
        let secret = secret.transpose()?;
        let held = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE fetch_hive_run SET started = 1, request_id = COALESCE($2, request_id), \
                               secret = COALESCE($3, secret) WHERE token = $1";
                    tx.execute(sql, &[token.clone().into(), request_id.into(), secret.into()]).await?;
                    let sql = "SELECT delivery FROM fetch_hive_held WHERE token = $1 ORDER BY number";
                    let held = tx.query(sql, &[token.clone().into()]).await?;
                    tx.execute("DELETE FROM fetch_hive_held WHERE token = $1", &[token.into()]).await?;
                    Ok(held)
                })
            }))
            .await?;
        let deliveries = held.into_iter().filter_map(|mut row| row.blob());
        deliveries.map(|bytes| Ok(decode(&self.store.sealer().open(&row, &bytes)?)?)).collect()
    }

    async fn cancel(&self, token: &RunToken) -> Result<(), BoxError> {
        let token = digest(token.as_str());
        let run = token.clone();
        self.store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    tx.execute("DELETE FROM fetch_hive_run WHERE token = $1", &[run.clone().into()]).await?;
                    tx.execute("DELETE FROM fetch_hive_held WHERE token = $1", &[run.into()]).await
                })
            }))
            .await?;
        self.store.notify(&token).await;
        Ok(())
    }

    async fn find(&self, token: &RunToken) -> Result<Option<PendingRunState>, BoxError> {
        let token = digest(token.as_str());
        let run = token.clone();
        let row = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT started, request_id, secret FROM fetch_hive_run WHERE token = $1";
                    tx.row(sql, &[run.into()]).await
                })
            }))
            .await?;
        let Some(mut row) = row else { return Ok(None) };
        if row.int() == 0 {
            return Ok(Some(PendingRunState::Opened));
        }
        let request_id = row.text().map(Into::into);
        let secret = match row.blob() {
            Some(sealed) => Some(String::from_utf8(self.store.sealer().open(&token, &sealed)?)?.into()),
            None => None,
        };
        Ok(Some(PendingRunState::Started(AcceptedRun::new(request_id, secret))))
    }

    async fn deliver(
        &self,
        token: &RunToken,
        delivery: RawDelivery,
        verified: bool,
    ) -> Result<DeliverResult, BoxError> {
        let token = digest(token.as_str());
        let size = i64::try_from(delivery.size())?;
        let sealed = self.store.sealer().seal(&token, &encode(&delivery))?;
        let run = token.clone();
        let result = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let now = tx.now().await?;
                    let sql = "SELECT started, state, request_id FROM fetch_hive_run WHERE token = $1 FOR UPDATE";
                    let Some(mut row) = tx.row(sql, &[run.clone().into()]).await? else {
                        return Ok(DeliverResult::UnknownRun);
                    };
                    let started = row.int() != 0;
                    let (state, request_id) = (row.int(), row.text());
                    if verified {
                        if state != PENDING {
                            return Ok(DeliverResult::AlreadyStored);
                        }
                        let sql = "UPDATE fetch_hive_run SET state = 1, delivery = $2, changed = $3 WHERE token = $1";
                        tx.execute(sql, &[run.into(), sealed.into(), now.into()]).await?;
                        if let Some(request_id) = request_id {
                            free_slot_of(tx, &request_id).await?;
                        }
                        return Ok(DeliverResult::Stored);
                    }
                    if started {
                        return Ok(DeliverResult::Started);
                    }
                    let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT), \
                               CAST(COALESCE(SUM(CASE WHEN token = $1 THEN 1 ELSE 0 END), 0) AS BIGINT), \
                               COALESCE(MAX(number), 0) FROM fetch_hive_held";
                    let held = tx.row(sql, &[run.clone().into()]).await?;
                    let (bytes, of_run, last) = held.map_or((0, 0, 0), |mut row| (row.int(), row.int(), row.int()));
                    if of_run >= MAX_HELD_PER_RUN || bytes.saturating_add(size) > MAX_HELD_BYTES {
                        return Ok(DeliverResult::BufferFull);
                    }
                    let sql = "INSERT INTO fetch_hive_held (token, number, delivery, size) VALUES ($1, $2, $3, $4)";
                    tx.execute(sql, &[run.into(), (last + 1).into(), sealed.into(), size.into()]).await?;
                    Ok(DeliverResult::Held)
                })
            }))
            .await?;
        if matches!(result, DeliverResult::Stored) {
            self.store.notify(&token).await;
        }
        Ok(result)
    }

    async fn take(&self, token: &RunToken, lease: Duration) -> Result<TakeResult, BoxError> {
        let token = digest(token.as_str());
        // Subscribed first, so that no change is missed.
        let changes = self.store.subscribe();
        let run = token.clone();
        let row = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let now = tx.now().await?;
                    let sql = "SELECT state, lease_end, number, delivery FROM fetch_hive_run \
                               WHERE token = $1 FOR UPDATE";
                    let Some(mut row) = tx.row(sql, &[run.clone().into()]).await? else { return Ok(None) };
                    let (state, lease_end, number) = (row.int(), row.int(), row.int() + 1);
                    if state != RECEIVED || lease_end > now {
                        return Ok(Some((state, lease_end - now, None)));
                    }
                    let sql = "UPDATE fetch_hive_run SET number = $2, lease_end = $3 WHERE token = $1";
                    let lease_end = now.saturating_add(millis(lease));
                    tx.execute(sql, &[run.into(), number.into(), lease_end.into()]).await?;
                    let delivery = row.blob();
                    Ok(Some((state, 0, delivery.map(|delivery| (delivery, number)))))
                })
            }))
            .await?;
        Ok(match row {
            None => TakeResult::UnknownRun,
            Some((ACKNOWLEDGED, ..)) => TakeResult::Acknowledged,
            Some((_, _, Some((sealed, number)))) => {
                let delivery = decode(&self.store.sealer().open(&token, &sealed)?)?;
                TakeResult::Event { delivery, taken: crate::unsigned(number) }
            }
            Some((_, remaining, None)) => TakeResult::Pending(Box::pin(changes.wait(remaining))),
        })
    }

    async fn renew(&self, token: &RunToken, number: u64, lease: Duration) -> Result<(), BoxError> {
        self.update_taken(token, number, "", lease).await.map_err(StoreError::boxed)
    }

    async fn acknowledge(&self, token: &RunToken, number: u64) -> Result<(), BoxError> {
        let set = "state = 2, delivery = NULL, secret = NULL,";
        self.update_taken(token, number, set, Duration::ZERO).await.map_err(StoreError::boxed)
    }

    async fn give_back(&self, token: &RunToken, number: u64) -> Result<(), BoxError> {
        Self::give_back(self.store.clone(), digest(token.as_str()), number).await.map_err(StoreError::boxed)
    }

    fn close(&self, token: &RunToken, unfinished: Option<u64>) {
        if let Some(number) = unfinished {
            self.store.detach(Self::give_back(self.store.clone(), digest(token.as_str()), number));
        }
    }
}

fn encode(delivery: &RawDelivery) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(delivery.size() + 64);
    let mut field = |field: &[u8]| {
        bytes.extend((field.len() as u64).to_be_bytes());
        bytes.extend(field);
    };
    field(&delivery.body);
    for (name, value) in &delivery.headers {
        field(name.as_str().as_bytes());
        field(value.as_bytes());
    }
    bytes
}

pub(crate) fn decode(mut bytes: &[u8]) -> Result<RawDelivery, StoreError> {
    let mut field = || {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
        bytes = rest;
        Some(field)
    };
    let invalid = || StoreError::Database("a stored delivery is invalid; delete it with Store::erase_run".into());
    let body = Bytes::copy_from_slice(field().ok_or_else(invalid)?);
    let mut headers = HeaderMap::new();
    while let Some(name) = field() {
        let name = HeaderName::from_bytes(name).map_err(|_| invalid())?;
        let value = HeaderValue::from_bytes(field().ok_or_else(invalid)?).map_err(|_| invalid())?;
        headers.append(name, value);
    }
    Ok(RawDelivery::new(headers, body))
}
