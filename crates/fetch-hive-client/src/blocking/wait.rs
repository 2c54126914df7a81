use std::time::Duration;

use fetch_hive_core::ApiResponse;
use fetch_hive_core::types::{RequestId, RequestRecord};

use super::block_on::block_on;
use super::{Call, Client, PollRun};
use crate::Error;
use crate::callback::{self, Callback, CallbackRun, Receiver, ResumeToken};
use crate::resources::Requests;

/// A run that the service has accepted, and the wait for its callback.
pub type StartedRun<R> = callback::StartedRun<R, PendingRun>;

impl Requests<Client> {
    /// Waits until a run has ended, by looking it up at growing intervals, as the async client does.
    ///
    /// ```no_run
    /// # fn run(client: fetch_hive_client::blocking::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let record = client.requests().wait("req_1").send()?;
    /// println!("{}", record.to_run().into_output()?);
    /// # Ok(()) }
    /// ```
    pub fn wait(&self, id: impl Into<RequestId>) -> PollRun {
        PollRun::new(self.client.client.clone(), id.into())
    }
}

impl PollRun {
    /// Blocks until the run has ended, well or badly, and gives its record.
    ///
    /// # Errors
    ///
    /// [`WaitError::Deadline`](crate::WaitError::Deadline) when the time ran out, or that of a look that cannot succeed later: an id that the
    /// service does not know, a key that it refuses, the daily cap. Faults that pass are waited out.
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for `client` where this thread must not block.
    pub fn send(self) -> Result<ApiResponse<RequestRecord>, Error> {
        block_on(self.ended())?
    }
}

impl<E: CallbackRun + Clone + 'static> Call<E> {
    /// Starts a run and blocks until its verified callback has come to a receiver in this process, no longer than `timeout` for both together.
    /// See [`run_and_wait`](crate::Call::run_and_wait) of the async client.
    ///
    /// The receiver is served on other threads, by [`receive_blocking`](Receiver::receive_blocking) or by an async server.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start) and [`PendingRun::event`].
    pub fn run_and_wait(self, receiver: &Receiver, timeout: impl Into<Option<Duration>>) -> Result<Callback, Error> {
        block_on(self.event(receiver, timeout.into()))?
    }

    /// Starts a run whose callback goes to a receiver in this process, and returns when the service has accepted it.
    ///
    /// # Errors
    ///
    /// As [`start`](crate::Call::start) of the async client, and as [`send`](crate::Call::send).
    pub fn start(self, receiver: &Receiver) -> Result<StartedRun<E::Response>, Error> {
        let callback::StartedRun { reply, wait } = block_on(self.started(receiver))??;
        Ok(StartedRun { reply, wait: PendingRun(wait) })
    }
}

impl Client {
    /// Takes up a wait that was ended, in this process or before a restart: see [`resume`](crate::Client::resume) of the async client.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn resume(&self, receiver: &Receiver, handle: ResumeToken) -> Result<PendingRun, Error> {
        self.client.resume(receiver, handle).map(PendingRun)
    }
}

/// The wait for the callback of a run. Dropping it ends the wait, and not the run.
#[derive(Debug)]
pub struct PendingRun(callback::PendingRun);

impl PendingRun {
    /// What the wait is taken up again with, by [`Client::resume`].
    pub fn handle(&self) -> &ResumeToken {
        self.0.handle()
    }

    /// Blocks until the event that ends the run is there, no longer than `timeout`. It may be called again when the time ran out.
    ///
    /// # Errors
    ///
    /// As [`event`](callback::PendingRun::event) of the async client; also where this thread must not block.
    pub fn event(&mut self, timeout: impl Into<Option<Duration>>) -> Result<Callback, Error> {
        block_on(self.0.event(timeout))?
    }
}
