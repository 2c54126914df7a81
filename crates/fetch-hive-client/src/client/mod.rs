//! The client, its builder, its calls and its resources.

mod approvals;
mod builder;
mod call;
#[allow(clippy::module_inception, reason = "the file with the methods of `Client`")]
mod client;
mod options;
mod raw;
pub mod resources;
mod setters;
mod upload;

use std::marker::PhantomData;
use std::sync::Arc;

pub use self::approvals::ApprovalStream;
pub use self::builder::{API_KEY_VARIABLE, ClientBuilder};
use self::options::CallOptions;
pub use self::raw::RawRequest;
pub use self::upload::open_asset_file;
use crate::execute::Shared;

/// The async client of the service.
///
/// A clone is cheap, and shares connections and configuration. Building a client needs no runtime
/// and opens no connection.
///
/// ```no_run
/// # #[cfg(feature = "hyper")]
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = fetch_hive_client::Client::from_env()?;
/// let run = client.invoke_workflow("weekly-report").input("topic", "enterprise AI").await?;
/// println!("{}", run.into_output()?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) shared: Arc<Shared>,
    defaults: Arc<CallOptions>,
}

/// A builder for one call: a request and the options with which it is sent.
///
/// Nothing is sent until the call is awaited. Dropping the awaited future closes the request, but a
/// run that has started continues and may be charged.
///
/// The setters of the request, such as `input` or `user`, change the request. All others, such as
/// [`timeout`](Call::timeout), apply to this call only.
#[must_use = "a call does nothing until it is awaited or sent"]
pub struct Call<E, C = Client> {
    client: Client,
    kind: PhantomData<fn() -> C>,
    request: E,
    options: CallOptions,
}
