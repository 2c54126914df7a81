//! Files that declare deployments: TOML, or YAML.

use std::path::{Path, PathBuf};
use std::sync::Weak;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::Fault;
use crate::deployment::{Deployment, DeploymentKind, template_error};
use crate::service::Service;

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(250);

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
    /// It is not of the documented form. The text names the line.
    #[error("{file}: {reason}")]
    Parse {
        /// The file.
        file: String,
        /// What is wrong, and where.
        reason: String,
    },
}

/// What a file declares.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    workflow: Vec<Deployment>,
    #[serde(default)]
    prompt: Vec<Deployment>,
    #[serde(default)]
    agent: Vec<Deployment>,
    #[serde(default)]
    hive_agent: Vec<Deployment>,
    #[serde(default)]
    model: Vec<Value>,
    #[serde(default)]
    fault: Vec<Words>,
}

/// A fault in words.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    words: String,
}

/// What a file declares, checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) models: Vec<Value>,
    /// Faults in words, each of which is one.
    pub(crate) faults: Vec<String>,
}

/// Reads deployments from a TOML or YAML file with a table for each: `[[workflow]]`, `[[prompt]]`, `[[agent]]`, `[[hive_agent]]`;
/// `[[model]]` names a model, and `[[fault]]` something that goes wrong, by its `words`.
///
/// # Errors
///
/// [`ConfigError`], which names the file, and the line that does not fit.
pub fn read_deployments(path: impl AsRef<Path>) -> Result<Vec<Deployment>, ConfigError> {
    read(path.as_ref()).map(|declared| declared.deployments)
}

pub(crate) fn read(path: &Path) -> Result<Declared, ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { file: file.clone(), source })?;
    let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    let parsed = if is_yaml { from_yaml(&text) } else { toml::from_str(&text).map_err(|error| error.to_string()) };
    parsed.and_then(|file| checked(file, &text)).map_err(|reason| ConfigError::Parse { file, reason })
}

#[cfg(feature = "yaml")]
fn from_yaml(text: &str) -> Result<File, String> {
    // An empty file declares nothing.
    let file: Option<File> = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    Ok(file.unwrap_or_default())
}

#[cfg(not(feature = "yaml"))]
fn from_yaml(_: &str) -> Result<File, String> {
    Err("the emulator was built without YAML; use TOML".to_owned())
}

/// Reads a file again when it has changed, as long as there is a service.
pub(crate) async fn follow(service: Weak<Service>, file: PathBuf) {
    let mut seen = std::fs::read(&file).ok();
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(service) = service.upgrade() else { return };
        let now = std::fs::read(&file).ok();
        if now == seen {
            continue;
        }
        seen = now;
        match read(&file) {
            Ok(declared) => {
                service.log(|| format!("{}: {} deployments", file.display(), declared.deployments.len()));
                service.declare(declared);
            }
            Err(error) => service.log(|| format!("{error}; what was declared before stays")),
        }
    }
}

/// What the form alone does not say.
fn checked(file: File, text: &str) -> Result<Declared, String> {
    let mut deployments: Vec<Deployment> = Vec::new();
    let all = [
        (DeploymentKind::Workflow, file.workflow),
        (DeploymentKind::Prompt, file.prompt),
        (DeploymentKind::Agent, file.agent),
        (DeploymentKind::HiveAgent, file.hive_agent),
    ];
    for (kind, mut deployment) in all.into_iter().flat_map(|(kind, of)| of.into_iter().map(move |one| (kind, one))) {
        deployment.kind = kind;
        let name = deployment.name.clone();
        let wrong = |line: Option<usize>, what: &str| match line {
            Some(line) => Err(format!("line {line}: {name}: {what}")),
            None => Err(format!("{name}: {what}")),
        };
        let twice = deployments.iter().any(|other| other.kind == kind && other.name == deployment.name);
        if twice {
            return wrong(nth_line(text, &deployment.name, 2), "it is declared twice");
        }
        if deployment.name.is_empty() {
            return wrong(None, "a deployment has no name");
        }
        if let Some(template) = &deployment.output_template {
            if let Some(error) = template_error(template) {
                let line = nth_line(text, template.lines().find(|line| !line.is_empty()).unwrap_or_default(), 1);
                return wrong(line, &format!("the template is wrong: {error}"));
            }
            if deployment.output.is_some() {
                return wrong(nth_line(text, &deployment.name, 1), "it has both an output and a template for one");
            }
        }
        deployments.push(deployment);
    }
    let faults: Vec<String> = file.fault.into_iter().map(|fault| fault.words).collect();
    for words in &faults {
        if let Err(error) = words.parse::<Fault>() {
            let line = nth_line(text, words, 1).map_or_else(String::new, |line| format!("line {line}: "));
            return Err(format!("{line}{error}"));
        }
    }
    Ok(Declared { deployments, models: file.model, faults })
}

/// The number of the nth line in which a text stands.
fn nth_line(text: &str, part: &str, nth: usize) -> Option<usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains(part));
    lines.map(|(n, _)| n + 1).nth(nth - 1)
}
