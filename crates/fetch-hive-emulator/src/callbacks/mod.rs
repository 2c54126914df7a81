//! Callbacks: delivery to a URL, and a receiver for tests.

pub(crate) mod address;
pub(crate) mod client;
pub(crate) mod delivery;
pub(crate) mod receiver;
