//! The Fetch Hive API without IO.

pub mod signature;
