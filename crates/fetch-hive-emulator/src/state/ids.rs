//! Identifiers and random secrets.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use serde_json::Value;

/// Returns a new UUID. Later ids sort after earlier ones.
pub(crate) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Returns the id if it is a UUID, and null otherwise.
///
/// The emulator accepts any id, but the contract declares some fields as a UUID or null.
pub(crate) fn uuid_or_null(id: &str) -> Value {
    if uuid::Uuid::try_parse(id).is_ok() { id.into() } else { Value::Null }
}

/// Returns 32 random hexadecimal digits.
pub(crate) fn random_hex() -> String {
    // The standard library seeds its hash keys at random.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}
