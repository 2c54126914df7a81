//! Configuration files in TOML or YAML.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::config::deployment::{Deployment, DeploymentKind};
use crate::config::template;
use crate::faults::fault::Fault;

/// An error that occurs when a configuration file cannot be read or is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// The path of the file.
        file: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The content of the file is invalid.
    #[error("invalid configuration file {file}: {reason}")]
    Parse {
        /// The path of the file.
        file: String,
        /// The reason, with the line if it is known.
        reason: String,
    },
}

/// The content of a file.
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
    fault: Vec<FaultTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultTable {
    rule: String,
}

/// The validated content of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declarations {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) models: Vec<Value>,
    /// The faults as text, which is known to be valid.
    pub(crate) faults: Vec<String>,
}

/// Reads the deployments of a configuration file.
///
/// The format is YAML if the name ends with `.yaml` or `.yml`, and TOML otherwise. Each deployment
/// is a table: `[[workflow]]`, `[[prompt]]`, `[[agent]]` or `[[hive_agent]]`. A file can also
/// contain `[[model]]` tables and `[[fault]]` tables, whose `rule` is a [`Fault`] as text. Faults
/// and models are validated but not returned.
///
/// # Errors
///
/// Returns an error if the file cannot be read or is invalid. The message contains the path and the
/// line.
pub fn read_deployments(path: impl AsRef<Path>) -> Result<Vec<Deployment>, ConfigError> {
    // Whether a fault for TLS can apply is only known when an emulator starts.
    read(path.as_ref(), true).map(|declared| declared.deployments)
}

pub(crate) fn read(path: &Path, tls: bool) -> Result<Declarations, ConfigError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { file: file.clone(), source })?;
    let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let parsed = if is_yaml { from_yaml(&text) } else { toml::from_str(&text).map_err(|error| error.to_string()) };
    parsed.and_then(|content| validate(content, &text, tls)).map_err(|reason| ConfigError::Parse { file, reason })
}

#[cfg(feature = "yaml")]
fn from_yaml(text: &str) -> Result<File, String> {
    // An empty document is null.
    let file: Option<File> = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    Ok(file.unwrap_or_default())
}

#[cfg(not(feature = "yaml"))]
fn from_yaml(_: &str) -> Result<File, String> {
    Err("YAML needs the feature `yaml` of the emulator; use TOML instead".to_owned())
}

/// Checks the rules that serde does not express.
fn validate(file: File, text: &str, tls: bool) -> Result<Declarations, String> {
    let mut deployments: Vec<Deployment> = Vec::new();
    let all = [
        (DeploymentKind::Workflow, file.workflow),
        (DeploymentKind::Prompt, file.prompt),
        (DeploymentKind::Agent, file.agent),
        (DeploymentKind::HiveAgent, file.hive_agent),
    ];
    for (kind, mut deployment) in all.into_iter().flat_map(|(kind, list)| list.into_iter().map(move |one| (kind, one)))
    {
        deployment.kind = kind;
        validate_deployment(&deployment, &deployments, text)?;
        deployments.push(deployment);
    }
    let faults: Vec<String> = file.fault.into_iter().map(|fault| fault.rule).collect();
    for rule in &faults {
        if let Err(error) = rule.parse::<Fault>().and_then(|fault| fault.validate_for_emulator(tls)) {
            return Err(format!("{}{error}", line_prefix(nth_line(text, rule, 1))));
        }
    }
    Ok(Declarations { deployments, models: file.model, faults })
}

fn validate_deployment(deployment: &Deployment, earlier: &[Deployment], text: &str) -> Result<(), String> {
    let name = &deployment.name;
    let error = |line: Option<usize>, reason: &str| Err(format!("{}{name}: {reason}", line_prefix(line)));
    if earlier.iter().any(|other| other.kind == deployment.kind && other.name == *name) {
        return error(nth_line(text, name, 2), "declared twice; remove one declaration");
    }
    if name.is_empty() {
        return Err("a deployment has an empty name".to_owned());
    }
    let Some(template) = &deployment.output_template else { return Ok(()) };
    if let Err(reason) = template::check(template, &deployment.input_names()) {
        let line = nth_line(text, template.lines().find(|line| !line.is_empty()).unwrap_or_default(), 1);
        return error(line, &format!("invalid template: {reason}"));
    }
    if deployment.output.is_some() {
        return error(nth_line(text, name, 1), "has both an output and an output template; remove one");
    }
    Ok(())
}

fn line_prefix(line: Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!("line {line}: "))
}

/// Returns the number of the nth line that contains a text.
fn nth_line(text: &str, part: &str, nth: usize) -> Option<usize> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.contains(part));
    lines.map(|(n, _)| n + 1).nth(nth - 1)
}
