use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// A workflow deployment that is declared, instead of answered by default.
///
/// ```
/// # use fetch_hive_emulator::Deployment;
/// # use serde_json::json;
/// let report = Deployment::workflow("weekly-report").output(json!({"title": "AI"})).delay_ms(200);
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    #[serde(rename = "deployment")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) output: Option<Value>,
    #[serde(default)]
    pub(crate) failure: Option<String>,
    #[serde(default)]
    pub(crate) delay_ms: u64,
    #[serde(default)]
    pub(crate) human_in_the_loop: bool,
    #[serde(default)]
    pub(crate) webhook_secret: Option<String>,
}

impl Deployment {
    /// A workflow deployment of that name.
    pub fn workflow(deployment: impl Into<String>) -> Self {
        Self {
            name: deployment.into(),
            output: None,
            failure: None,
            delay_ms: 0,
            human_in_the_loop: false,
            webhook_secret: None,
        }
    }

    /// Its output, whatever the inputs.
    #[must_use]
    pub fn output(mut self, output: impl Into<Value>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Its runs fail with this reason; a direct reply is a 200 all the same.
    #[must_use]
    pub fn failure(mut self, reason: impl Into<String>) -> Self {
        self.failure = Some(reason.into());
        self
    }

    /// How long a run takes, in milliseconds.
    #[must_use]
    pub fn delay_ms(mut self, milliseconds: u64) -> Self {
        self.delay_ms = milliseconds;
        self
    }

    /// It has a Human in the Loop step: direct runs are refused, callback runs go on after the delay, as if someone had agreed.
    #[must_use]
    pub fn human_in_the_loop(mut self) -> Self {
        self.human_in_the_loop = true;
        self
    }

    /// The secret that signs its callbacks; made at random otherwise.
    #[must_use]
    pub fn webhook_secret(mut self, secret: impl Into<String>) -> Self {
        self.webhook_secret = Some(secret.into());
        self
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

/// Why a file of deployments was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no TOML of the documented form. The text names line and column.
    #[error("{file}: {reason}")]
    Parse {
        /// The file.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
}

/// Reads deployments from a TOML file with a table `[[workflow]]` for each.
///
/// # Errors
///
/// [`ConfigError`], which names the file, and the line that does not fit.
pub fn read_deployments(path: impl AsRef<Path>) -> Result<Vec<Deployment>, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        workflow: Vec<Deployment>,
    }

    let file = path.as_ref().display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { file: file.clone(), source })?;
    toml::from_str::<File>(&text)
        .map(|file| file.workflow)
        .map_err(|error| ConfigError::Parse { file, reason: error.to_string() })
}
