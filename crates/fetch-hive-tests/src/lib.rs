//! Tests of the client against the emulator and against scripted servers, over real sockets.

mod callback_server;
pub mod faults;
pub mod process;
mod relay;
mod replica_set;
mod scripted;
mod skip;
pub mod stack;

pub use callback_server::{CallbackListener, CallbackServer};
pub use relay::SilentRelay;
pub use replica_set::ReplicaSet;
pub use scripted::{Scripted, Step};
pub use skip::report_skipped;

/// The programs of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// The programs of the guide, compiled and run.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../../fetch-hive-client/docs/operations.md")]
    mod operations {}
    #[doc = include_str!("../../fetch-hive-client/docs/streams.md")]
    mod streams {}
    #[doc = include_str!("../../fetch-hive-client/docs/callbacks.md")]
    mod callbacks {}
    #[doc = include_str!("../../fetch-hive-client/docs/uploads.md")]
    mod uploads {}
    #[doc = include_str!("../../fetch-hive-client/docs/replicas.md")]
    mod replicas {}
    #[doc = include_str!("../../fetch-hive-client/docs/batch.md")]
    mod batch {}
    #[doc = include_str!("../../fetch-hive-client/docs/observability.md")]
    mod observability {}
    #[doc = include_str!("../../fetch-hive-client/docs/errors.md")]
    mod errors {}
    #[doc = include_str!("../../fetch-hive-client/docs/retries.md")]
    mod retries {}
    #[doc = include_str!("../../fetch-hive-client/docs/proxies.md")]
    mod proxies {}
    #[doc = include_str!("../../fetch-hive-client/docs/testing.md")]
    mod testing {}
    #[doc = include_str!("../../fetch-hive-client/docs/transport.md")]
    mod transport {}
    #[doc = include_str!("../../fetch-hive-client/docs/browsers.md")]
    mod browsers {}
    #[doc = include_str!("../../fetch-hive-client/docs/platforms.md")]
    mod platforms {}
    #[doc = include_str!("../../fetch-hive-client/docs/python.md")]
    mod python {}
    #[doc = include_str!("../../fetch-hive-client/docs/architecture.md")]
    mod architecture {}
}
