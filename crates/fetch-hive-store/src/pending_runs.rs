use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fetch_hive_client::BoxError;
use fetch_hive_client::callback::{
    AcceptedRun, DeliverResult, PendingRunState, PendingRuns, RawDelivery, RunToken, TakeResult,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::database::{Operation, Tx};
use crate::{Store, StoreError, digest, millis};

const MAX_HELD_PER_RUN: i64 = 8;
const MAX_HELD_BYTES: i64 = 16 << 20;

const RECEIVED: i64 = 1;
const ACKNOWLEDGED: i64 = 2;

/// The pending runs of a [`Store`].
///
/// A verified event is committed before the receiver responds with 200, so it survives crashes and
/// restarts. Run tokens are stored only as digests.
#[derive(Clone)]
pub struct StorePendingRuns {
    store: Store,
    /// The batch row that the runs belong to, if any.
    row: Option<RowKey>,
}

/// The attempt to run a batch row.
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

    /// Associates each run with this attempt to run a batch row, before the request is sent.
    ///
    /// Opening a run fails if the row has a newer attempt.
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
                    tx.commit_row(sql, &[run.into(), number.into()]).await.map(drop)
                })
            }))
            .await?;
        store.notify(&token).await;
        Ok(())
    }

    async fn store_event(&self, token: Vec<u8>, delivery: Vec<u8>) -> Result<DeliverResult, StoreError> {
        let run = token.clone();
        let store: Operation<_> = Box::new(move |tx| Box::pin(store_event(tx, run, delivery)));
        if let Some(limit) = self.store.transaction(store).await? {
            self.store.notify_own(&token);
            if let Some(limit) = limit {
                self.store.notify_own(limit.as_bytes());
            }
            return Ok(DeliverResult::Stored);
        }
        let is_known: Operation<_> = Box::new(move |tx| {
            Box::pin(async move { tx.row("SELECT state FROM fetch_hive_run WHERE token = $1", &[token.into()]).await })
        });
        let row = self.store.transaction(is_known).await?;
        Ok(if row.is_some() { DeliverResult::AlreadyStored } else { DeliverResult::UnknownRun })
    }

    /// Updates the record of a taken event, unless another waiter has taken the event since.
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
                    let now = tx.now_expression();
                    let sql = format!(
                        "UPDATE fetch_hive_run SET {set} lease_end = {now} + $3, changed = {now} \
                         WHERE token = $1 AND number = $2 AND state = 1 AND lease_end > 0 RETURNING number"
                    );
                    let values = [run.into(), crate::signed(number).into(), millis(lease).into()];
                    tx.commit_row(&sql, &values).await
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
                let sql = format!(
                    "INSERT INTO fetch_hive_run (token, started, state, number, lease_end, changed) \
                     VALUES ($1, 0, 0, 0, 0, {}) ON CONFLICT (token) DO NOTHING",
                    tx.now_expression()
                );
                tx.commit_row(&sql, &[token.into()]).await.map(drop)
            })
        }));
        operation.await.map_err(StoreError::boxed)
    }

    async fn started(&self, token: &RunToken, run: AcceptedRun) -> Result<Vec<RawDelivery>, BoxError> {
        let token = digest(token.as_str());
        let row = token.clone();
        let request_id = run.request_id.as_ref().map(ToString::to_string);
        let secret =
            run.webhook_secret.as_ref().map(|secret| self.store.sealer().seal(&token, secret.expose().as_bytes()));
        let secret = secret.transpose()?;
        let held = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let update = "UPDATE fetch_hive_run SET started = 1, request_id = COALESCE($2, request_id), \
                                  secret = COALESCE($3, secret) WHERE token = $1";
                    let select = "SELECT delivery FROM fetch_hive_held WHERE token = $1 ORDER BY number";
                    let delete = "DELETE FROM fetch_hive_held WHERE token = $1";
                    let run = [token.clone().into()];
                    let values = [token.into(), request_id.into(), secret.into()];
                    tx.commit_with(&[(update, &values), (select, &run), (delete, &run)]).await
                })
            }))
            .await?;
        self.store.started_runs().insert(&row, &run);
        let deliveries = held.into_iter().flatten().filter_map(|mut row| row.blob());
        deliveries.map(|bytes| Ok(decode(&self.store.sealer().open(&row, &bytes)?)?)).collect()
    }

    async fn cancel(&self, token: &RunToken) -> Result<(), BoxError> {
        let token = digest(token.as_str());
        self.store.started_runs().remove(&token);
        let run = token.clone();
        self.store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let run = [run.into()];
                    let delete_run = "DELETE FROM fetch_hive_run WHERE token = $1";
                    let delete_held = "DELETE FROM fetch_hive_held WHERE token = $1";
                    tx.commit_with(&[(delete_run, &run), (delete_held, &run)]).await.map(drop)
                })
            }))
            .await?;
        self.store.notify(&token).await;
        Ok(())
    }

    async fn find(&self, token: &RunToken) -> Result<Option<PendingRunState>, BoxError> {
        let token = digest(token.as_str());
        if let Some(run) = self.store.started_runs().get(&token) {
            return Ok(Some(PendingRunState::Started(run)));
        }
        let run = token.clone();
        let found = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let sql = "SELECT started, request_id, secret FROM fetch_hive_run WHERE token = $1";
                    tx.row(sql, &[run.into()]).await
                })
            }))
            .await?;
        let Some(mut row) = found else { return Ok(None) };
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
        let result = if verified {
            self.store_event(token, sealed).await
        } else {
            let hold: Operation<_> = Box::new(move |tx| Box::pin(hold_delivery(tx, token, sealed, size)));
            self.store.transaction(hold).await
        };
        result.map_err(StoreError::boxed)
    }

    async fn take(&self, token: &RunToken, lease: Duration) -> Result<TakeResult, BoxError> {
        let token = digest(token.as_str());
        // Subscribed first, so that no change is missed.
        let changes = self.store.subscribe(&token);
        let run = token.clone();
        let found = self
            .store
            .transaction(Box::new(move |tx| {
                Box::pin(async move {
                    let now = tx.now_expression();
                    let take = format!(
                        "UPDATE fetch_hive_run SET number = number + 1, lease_end = {now} + $2 \
                         WHERE token = $1 AND state = 1 AND lease_end <= {now} RETURNING number, delivery"
                    );
                    let select = format!("SELECT state, lease_end - {now} FROM fetch_hive_run WHERE token = $1");
                    let values = [run.clone().into(), millis(lease).into()];
                    tx.commit_with(&[(&take, &values), (&select, &[run.into()])]).await
                })
            }))
            .await?;
        let mut rows = found.into_iter().map(|rows| rows.into_iter().next());
        if let Some(Some(mut row)) = rows.next() {
            let (number, sealed) = (row.int(), row.blob().unwrap_or_default());
            let delivery = decode(&self.store.sealer().open(&token, &sealed)?)?;
            return Ok(TakeResult::Event { delivery, taken: crate::unsigned(number) });
        }
        let Some(Some(mut row)) = rows.next() else { return Ok(TakeResult::UnknownRun) };
        Ok(match (row.int(), row.int()) {
            (ACKNOWLEDGED, _) => TakeResult::Acknowledged,
            // The event arrived or its lease expired between the two statements.
            (RECEIVED, remaining) => TakeResult::Pending(Box::pin(changes.wait(remaining.max(1)))),
            (_, remaining) => TakeResult::Pending(Box::pin(changes.wait(remaining))),
        })
    }

    async fn renew(&self, token: &RunToken, number: u64, lease: Duration) -> Result<(), BoxError> {
        self.update_taken(token, number, "", lease).await.map_err(StoreError::boxed)
    }

    async fn acknowledge(&self, token: &RunToken, number: u64) -> Result<(), BoxError> {
        self.store.started_runs().remove(&digest(token.as_str()));
        // The secret verifies redeliveries until the run is purged.
        let set = "state = 2, delivery = NULL,";
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

/// Stores the verified event for a pending run, frees the run's slot and wakes the other processes.
/// Returns the name of the slot's limiter, or `None` if the run was not pending.
async fn store_event(tx: &mut Tx, token: Vec<u8>, delivery: Vec<u8>) -> Result<Option<Option<String>>, StoreError> {
    let update = format!(
        "UPDATE fetch_hive_run SET state = 1, delivery = $2, changed = {} WHERE token = $1 AND state = 0 RETURNING state",
        tx.now_expression()
    );
    let free_slot = "UPDATE fetch_hive_slot SET held = 2 \
                     WHERE request_id = (SELECT request_id FROM fetch_hive_run WHERE token = $1) RETURNING name";
    let (run, values) = ([token.as_slice().into()], [token.as_slice().into(), delivery.into()]);
    let mut updated = tx.commit_event(&[(&update, &values), (free_slot, &run)], &token).await?;
    let limit = updated.pop().and_then(|mut rows| rows.pop()?.text());
    Ok(updated.iter().any(|rows| !rows.is_empty()).then_some(limit))
}

/// Holds an unverified delivery until the response that contains its secret has been read.
async fn hold_delivery(tx: &mut Tx, token: Vec<u8>, delivery: Vec<u8>, size: i64) -> Result<DeliverResult, StoreError> {
    let sql = "SELECT started FROM fetch_hive_run WHERE token = $1 FOR UPDATE";
    match tx.row(sql, &[token.clone().into()]).await?.map(|mut row| row.int()) {
        None => return Ok(DeliverResult::UnknownRun),
        Some(0) => {}
        Some(_) => return Ok(DeliverResult::Started),
    }
    let sql = "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT), \
               CAST(COALESCE(SUM(CASE WHEN token = $1 THEN 1 ELSE 0 END), 0) AS BIGINT), \
               COALESCE(MAX(number), 0) FROM fetch_hive_held";
    let held = tx.row(sql, &[token.clone().into()]).await?;
    let (bytes, of_run, last) = held.map_or((0, 0, 0), |mut row| (row.int(), row.int(), row.int()));
    if of_run >= MAX_HELD_PER_RUN || bytes.saturating_add(size) > MAX_HELD_BYTES {
        return Ok(DeliverResult::BufferFull);
    }
    let sql = "INSERT INTO fetch_hive_held (token, number, delivery, size) VALUES ($1, $2, $3, $4)";
    tx.commit_row(sql, &[token.into(), (last + 1).into(), delivery.into(), size.into()]).await?;
    Ok(DeliverResult::Held)
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
