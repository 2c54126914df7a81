//! The client, its builder, its calls and its resources.

mod approvals;
mod builder;
mod call;
#[allow(clippy::module_inception, reason = "the file of the type `Client`")]
mod client;
mod options;
mod raw;
pub mod resources;
mod setters;
mod upload;

pub use self::approvals::ApprovalStream;
pub use self::builder::{API_KEY_VARIABLE, ClientBuilder};
pub use self::call::Call;
pub use self::client::Client;
pub use self::raw::RawRequest;
pub use self::upload::read_asset_file;
