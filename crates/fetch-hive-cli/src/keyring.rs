//! The keyring of the operating system: Secret Service, Keychain or Credential Manager.

use fetch_hive_client::types::ApiKey;

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// The service of the entries. The user of an entry is the profile.
const SERVICE: &str = "fetch-hive";

/// Reads the key of a profile.
pub(crate) fn read(profile: &str) -> Result<String> {
    with_entry("read", profile, ::keyring::Entry::get_password)
}

/// Stores the key of a profile.
pub(crate) fn store(profile: &str, key: &ApiKey) -> Result<()> {
    with_entry("store", profile, |entry| entry.set_password(key.expose()))?;
    // On a system that the library does not support, its store is empty for every new entry.
    if read(profile)? == key.expose() { Ok(()) } else { Err(failure("store", profile, "another key is read back")) }
}

/// Deletes the key of a profile, if there is one.
pub(crate) fn delete(profile: &str) -> Result<()> {
    with_entry("delete", profile, |entry| match entry.delete_credential() {
        Err(::keyring::Error::NoEntry) => Ok(()),
        deleted => deleted,
    })
}

fn with_entry<T>(verb: &str, profile: &str, work: impl FnOnce(&::keyring::Entry) -> ::keyring::Result<T>) -> Result<T> {
    let result = ::keyring::Entry::new(SERVICE, profile).and_then(|entry| work(&entry));
    result.map_err(|error| failure(verb, profile, &error.to_string()))
}

fn failure(verb: &str, profile: &str, reason: &str) -> Failure {
    Failure::new(Exit::Key, format!("cannot {verb} the key of the profile {profile} in the keyring: {reason}"))
        .next("unlock the keyring, or store the key in a file with `fetch-hive auth login`")
}
