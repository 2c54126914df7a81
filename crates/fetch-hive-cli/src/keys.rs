//! The source of the API key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use async_trait::async_trait;
use fetch_hive_client::types::{ApiKey, WebhookSecret};
use fetch_hive_client::{API_KEY_VARIABLE, BoxError, CredentialProvider};

use crate::config::{Config, config_dir};
use crate::exit::Exit;
use crate::failure::{Failure, KeyError, Result};
use crate::options::Globals;

/// Where the key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// An environment variable.
    Variable(String),
    /// A file of a profile.
    File { profile: String, path: PathBuf },
    /// A command of a profile that prints the key.
    Command { profile: String, command: String },
    /// The keyring of the operating system.
    Keyring { profile: String },
    /// The embedded emulator, which accepts any key.
    Emulator,
    /// No source is configured.
    Missing,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::File { profile, path } => write!(f, "the file {} of the profile {profile}", path.display()),
            Self::Command { profile, .. } => write!(f, "the key_command of the profile {profile}"),
            Self::Keyring { profile } => write!(f, "the keyring entry of the profile {profile}"),
            Self::Emulator => f.write_str("the embedded emulator, which accepts any key"),
            Self::Missing => f.write_str("no source"),
        }
    }
}

impl KeySource {
    /// Selects the source: `--key-env`, then `--profile`, then `FETCH_HIVE_API_KEY`, then the
    /// default profile.
    pub(crate) fn select(globals: &Globals, config: &Config, emulates: bool) -> Result<Self> {
        if emulates {
            return Ok(Self::Emulator);
        }
        if let Some(name) = &globals.key_env {
            return Ok(Self::Variable(name.clone()));
        }
        if globals.profile.is_none() && std::env::var_os(API_KEY_VARIABLE).is_some_and(|key| !key.is_empty()) {
            return Ok(Self::Variable(API_KEY_VARIABLE.to_owned()));
        }
        match globals.profile.as_ref().or(config.default_profile.as_ref()) {
            Some(name) => Self::of_profile(name, config),
            None => Ok(Self::Missing),
        }
    }

    fn of_profile(name: &str, config: &Config) -> Result<Self> {
        let profile = config.profile(name)?;
        let source = match (&profile.key_command, &profile.key_file) {
            (Some(command), _) => Self::Command { profile: name.to_owned(), command: command.clone() },
            (None, Some(path)) => Self::File { profile: name.to_owned(), path: path.clone() },
            (None, None) if profile.keyring => Self::Keyring { profile: name.to_owned() },
            (None, None) => Self::File { profile: name.to_owned(), path: key_file(name)? },
        };
        Ok(source)
    }

    /// Reads the key.
    pub(crate) fn read(&self) -> Result<ApiKey> {
        let missing = |text: String| Failure::new(Exit::Key, text);
        let text = match self {
            Self::Variable(name) => {
                std::env::var(name).map_err(|_| missing(format!("the environment variable {name} is not set")))?
            }
            Self::File { path, .. } => read_file(path)?,
            Self::Command { command, profile } => run_command(command, profile)?,
            Self::Keyring { profile } => read_keyring(profile)?,
            Self::Emulator => "fhk_emulated".to_owned(),
            Self::Missing => return Err(missing("no API key".to_owned())),
        };
        ApiKey::new(text).map_err(|error| missing(format!("the key from {self} is invalid: {error}")))
    }
}

/// Returns the path of the key file of a profile.
pub(crate) fn key_file(profile: &str) -> Result<PathBuf> {
    if profile.is_empty() || profile.contains(['/', '\\', '\0']) || profile.starts_with('.') {
        return Err(Failure::usage(format!("`{profile}` is not a profile name; use letters and digits")));
    }
    Ok(config_dir()?.join("keys").join(profile))
}

fn read_file(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Key, format!("cannot read the key file {}: {error}", path.display()))
            .next("store the key again with `fetch-hive auth login`")
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let text = format!("the key file {} has mode {mode:o}, so others can read it", path.display());
            return Err(Failure::new(Exit::Key, text).next(format!("run `chmod 600 {}`", path.display())));
        }
    }
    std::fs::read_to_string(path).map_err(failed)
}

/// Reads the key from the keyring.
fn read_keyring(profile: &str) -> Result<String> {
    #[cfg(feature = "keyring")]
    return crate::keyring::read(profile);
    #[cfg(not(feature = "keyring"))]
    Err(Failure::new(Exit::Key, format!("this build cannot read the keyring entry of the profile {profile}"))
        .next("install fetch-hive with the feature `keyring`"))
}

/// Runs the command of a profile. Its standard error is visible, because it may ask for a password.
fn run_command(command: &str, profile: &str) -> Result<String> {
    let failed = |text: String| {
        Failure::new(Exit::Key, format!("the key_command of the profile {profile} {text}"))
            .next("run the command yourself; it must print only the key")
    };
    let mut shell = if cfg!(windows) { Command::new("cmd") } else { Command::new("sh") };
    shell.arg(if cfg!(windows) { "/C" } else { "-c" }).arg(command).stderr(Stdio::inherit());
    let output = shell.output().map_err(|error| failed(format!("cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("failed with {}", output.status)));
    }
    let text = String::from_utf8(output.stdout).map_err(|_| failed("does not print text".to_owned()))?;
    if text.trim().is_empty() { Err(failed("printed nothing".to_owned())) } else { Ok(text) }
}

/// Reads a webhook secret from an environment variable.
pub(crate) fn secret_from_env(name: &str) -> Result<WebhookSecret> {
    match std::env::var(name) {
        Ok(secret) if !secret.trim().is_empty() => Ok(WebhookSecret::new(secret.trim())),
        _ => Err(Failure::usage(format!("the environment variable {name}, which --secret-env names, is not set"))
            .next("set it to the webhook secret from the deployment's page in the dashboard")),
    }
}

/// Returns the last four characters of a key, or only dots if the key is too short to show any.
pub(crate) fn masked(key: &ApiKey) -> String {
    let text = key.expose();
    match text.char_indices().rev().nth(3) {
        Some((start, _)) if text.len() >= 12 => format!("…{}", &text[start..]),
        _ => "…".to_owned(),
    }
}

/// Reads the key when the first call needs it, because some operations need none.
pub(crate) struct LazyKey {
    source: KeySource,
    key: Mutex<Option<ApiKey>>,
}

impl LazyKey {
    pub(crate) fn new(source: KeySource) -> Self {
        Self { source, key: Mutex::new(None) }
    }
}

#[async_trait]
impl CredentialProvider for LazyKey {
    async fn api_key(&self) -> std::result::Result<ApiKey, BoxError> {
        let mut cached = self.key.lock().map_err(|_| "the key is not available")?;
        if let Some(key) = &*cached {
            return Ok(key.clone());
        }
        let key = self.source.read().map_err(KeyError)?;
        *cached = Some(key.clone());
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_key_is_shown() {
        assert_eq!(masked(&ApiKey::new("fhk_0123456789abcd").unwrap()), "…abcd");
        assert_eq!(masked(&ApiKey::new("fhk_short").unwrap()), "…");
    }

    #[test]
    fn profile_names_stay_in_their_folder() {
        for name in ["", "../x", "a/b", ".hidden", "a\\b"] {
            assert!(key_file(name).is_err(), "{name}");
        }
        assert!(key_file("work").unwrap().ends_with("fetch-hive/keys/work"));
    }

    #[cfg(unix)]
    #[test]
    fn key_file_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "fhk_0123456789abcd\n").unwrap();
        let source = KeySource::File { profile: "work".to_owned(), path: path.clone() };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let failure = source.read().unwrap_err();
        assert_eq!(failure.exit, Exit::Key);
        assert!(failure.text.contains("mode 640") && failure.next.unwrap().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(source.read().unwrap().expose(), "fhk_0123456789abcd");
    }

    #[cfg(unix)]
    #[test]
    fn command_prints_the_key() {
        let source = |command: &str| KeySource::Command { profile: "work".to_owned(), command: command.to_owned() };
        assert_eq!(source("echo fhk_from_command").read().unwrap().expose(), "fhk_from_command");
        for (command, expected) in [("exit 3", "failed with"), ("true", "printed nothing"), ("echo a b", "invalid")] {
            let failure = source(command).read().unwrap_err();
            assert!(failure.exit == Exit::Key && failure.text.contains(expected), "{command}: {failure}");
            assert!(!failure.text.contains("a b"), "{failure}");
        }
    }
}
