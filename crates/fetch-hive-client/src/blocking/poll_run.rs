use fetch_hive_core::ApiResponse;
use fetch_hive_core::types::{RequestId, RequestRecord};

use super::block_on::block_on;
use super::{Client, PollRun};
use crate::Error;
use crate::resources::Requests;

impl Requests<Client> {
    /// Waits until a run has ended by looking it up repeatedly.
    ///
    /// ```no_run
    /// # use fetch_hive_client::blocking::Client;
    /// # fn run(client: Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let record = client.requests().wait("req_1").send()?;
    /// println!("{}", record.to_run().into_output()?);
    /// # Ok(()) }
    /// ```
    pub fn wait(&self, id: impl Into<RequestId>) -> PollRun {
        PollRun::new(self.client.client.clone(), id.into())
    }
}

impl PollRun {
    /// Blocks until the run has completed or failed, and returns its record.
    ///
    /// A look-up that fails with a temporary error is retried until the timeout.
    ///
    /// # Errors
    ///
    /// - [`WaitError::Timeout`](crate::WaitError::Timeout) if the run does not end within the
    ///   timeout
    /// - the error of a look-up that cannot succeed later, such as an unknown id, an invalid key or
    ///   the daily cap
    /// - [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the current thread must not block
    pub fn send(self) -> Result<ApiResponse<RequestRecord>, Error> {
        block_on(self.execute())?
    }
}
