//! The configuration file with its profiles.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use etcetera::base_strategy::{BaseStrategy as _, choose_native_strategy};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::failure::{Failure, Result};

/// The contents of `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The profile that is used without `--profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default_profile: Option<String>,
    /// Whether commands are recorded in the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<bool>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// A key source and the settings that belong to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// A shell command that prints the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_command: Option<String>,
    /// A file of mode 0600 that contains the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    /// Whether the key is in the keyring of the operating system.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) keyring: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) workspace: Option<String>,
}

impl Config {
    /// Reads the configuration file. A missing file is an empty configuration.
    pub(crate) fn load() -> Result<Self> {
        let Ok(path) = Self::path() else { return Ok(Self::default()) };
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                // The message of the parser quotes the line, which may contain a key by mistake.
                Failure::usage(format!("{} is invalid: {}", path.display(), error.message()))
                    .next("correct the file; the keys are default_profile, history and profiles.NAME")
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::file("read", &path, &error)),
        }
    }

    /// Writes the configuration file with mode 0600.
    pub(crate) fn save(&self) -> Result<()> {
        let path = Self::path()?;
        let text = toml::to_string_pretty(self).map_err(|error| Failure::other(error.to_string()))?;
        write_private(&path, text.as_bytes())
    }

    /// Returns the path of the configuration file.
    pub(crate) fn path() -> Result<PathBuf> {
        Ok(config_dir()?.join("config.toml"))
    }

    /// Returns the profile with a name.
    pub(crate) fn profile(&self, name: &str) -> Result<&Profile> {
        self.profiles.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.profiles.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "there are none".to_owned() } else { known.join(", ") };
            Failure::new(Exit::Key, format!("no profile `{name}` (known profiles: {known})"))
                .next(format!("create it with `fetch-hive auth login --profile {name}`"))
        })
    }
}

/// Returns the folder of the configuration and the keys.
pub(crate) fn config_dir() -> Result<PathBuf> {
    Ok(strategy()?.config_dir().join("fetch-hive"))
}

/// Returns the folder of the store.
pub(crate) fn data_dir() -> Result<PathBuf> {
    Ok(strategy()?.data_dir().join("fetch-hive"))
}

fn strategy() -> Result<impl etcetera::BaseStrategy> {
    choose_native_strategy().map_err(|_| {
        Failure::other("the home folder is unknown").next("set HOME, or pass `--store PATH` and `--key-env NAME`")
    })
}

/// Writes a file that only its owner can read, and replaces an existing one as a whole.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let failed = |error: &std::io::Error| Failure::file("write", path, error);
    if let Some(folder) = path.parent() {
        create_private_dir(folder).map_err(|error| failed(&error))?;
    }
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(&error)
    })
}

/// Creates a folder that only its owner can enter.
pub(crate) fn create_private_dir(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_is_read_as_it_was_written() {
        let profile = Profile { key_command: Some("pass show hive".to_owned()), ..Profile::default() };
        let config = Config {
            default_profile: Some("work".to_owned()),
            history: Some(false),
            profiles: BTreeMap::from([("work".to_owned(), profile)]),
        };
        let text = toml::to_string_pretty(&config).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), config);
        assert!(toml::from_str::<Config>("[profiles.work]\nkey = \"fhk_1\"").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn private_file_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/key");
        write_private(&path, b"one").unwrap();
        write_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
