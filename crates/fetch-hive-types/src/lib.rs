//! Wire models of the Fetch Hive API.

mod secret;

pub use secret::{ApiKey, InvalidSecret, WebhookSecret};
