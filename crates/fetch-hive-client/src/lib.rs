//! The Fetch Hive client.
