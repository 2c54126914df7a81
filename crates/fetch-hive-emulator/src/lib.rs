//! The Fetch Hive service on one machine.
