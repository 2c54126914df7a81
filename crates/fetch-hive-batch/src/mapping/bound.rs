use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use fetch_hive_types::{AgentAsyncOptions, InvokeAgent, InvokePrompt, InvokeWorkflow, MetadataValue};
use serde_json::Value;

use super::template::Templates;
use super::{Expr, Mapping, Target};
use crate::error::{list, quoted};
use crate::{Error, Header, Row, cell_text};

/// The request for a row.
///
/// `Debug` shows the target, but not the contents of the row.
#[derive(Clone)]
#[non_exhaustive]
pub enum RunRequest {
    /// A request to run a workflow deployment.
    Workflow(InvokeWorkflow),
    /// A request to run a prompt deployment.
    Prompt(InvokePrompt),
    /// A request to send a message to an agent.
    Agent(InvokeAgent),
}

impl fmt::Debug for RunRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, target) = match self {
            Self::Workflow(request) => ("Workflow", request.deployment.as_str()),
            Self::Prompt(request) => ("Prompt", request.deployment.as_str()),
            Self::Agent(request) => ("Agent", request.agent.as_str()),
        };
        f.debug_struct(kind).field("target", &target).finish_non_exhaustive()
    }
}

/// The batch and the attempt that a run belongs to.
///
/// The label and the row number become metadata of the run, which identifies the row if the
/// response is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RunLabel<'a> {
    /// The value of the metadata `batch_id`.
    pub batch: &'a str,
    /// The number of the attempt for this row, counted from 1.
    pub attempt: u32,
}

impl<'a> RunLabel<'a> {
    /// Creates a label.
    pub fn new(batch: &'a str, attempt: u32) -> Self {
        Self { batch, attempt }
    }
}

/// A mapping that has been checked against the columns.
pub struct BoundMapping {
    mapping: Mapping,
    header: Header,
    templates: Templates,
    has_templates: bool,
}

impl BoundMapping {
    pub(super) fn new(mapping: &Mapping, header: &Header) -> Result<Self, Error> {
        let mut mapping = mapping.clone();
        if mapping.all_columns {
            let unused = |name: &&String| {
                !mapping
                    .inputs
                    .iter()
                    .any(|(input, source)| input == *name || matches!(source, Expr::Column(column) if column == *name))
            };
            let names: Vec<String> = header.names().iter().filter(unused).cloned().collect();
            mapping = mapping.columns(names);
        }
        check_target(&mapping)?;
        check_names("input", &mapping.inputs)?;
        check_names("metadata", &mapping.metadata)?;
        if let Some((name, _)) = mapping.metadata.iter().find(|(name, _)| Mapping::LABELS.contains(&name.as_str())) {
            return Err(invalid(metadata_field(name), "each run already carries this name; choose another name"));
        }
        let templates = Templates::new();
        let mut has_templates = false;
        for (field, source) in sources(&mapping) {
            match source {
                Expr::Column(column) if header.position(column).is_none() => {
                    let reason = format!(
                        "the column {} does not exist; the columns are {}",
                        quoted(column),
                        list(header.names())
                    );
                    return Err(invalid(field, reason));
                }
                Expr::Template(template) => {
                    has_templates = true;
                    templates.check(template, header).map_err(|reason| invalid(field, reason))?;
                }
                Expr::Column(_) | Expr::Constant(_) => {}
            }
        }
        Ok(Self { mapping, header: header.clone(), templates, has_templates })
    }

    /// Returns the request for a row.
    ///
    /// Create the requests for all rows before you send the first one, because even the last row
    /// may cause an error.
    ///
    /// # Errors
    ///
    /// Returns an error if a template uses an absent column, if the message to an agent is empty or
    /// absent, or if a metadata value is a list or an object.
    pub fn request(&self, row: &Row, label: RunLabel<'_>) -> Result<RunRequest, Error> {
        let variables = self.has_templates.then(|| Templates::variables(&self.header, row));
        let values = RowValues { bound: self, row, variables };
        let mapping = &self.mapping;
        let metadata = values.metadata(label)?;
        let user = values.text(|| "user".to_owned(), mapping.user.as_ref())?;
        let callback_url = values.text(|| "callback_url".to_owned(), mapping.callback_url.as_ref())?;
        let variant = mapping.variant.clone().unwrap_or_default();
        Ok(match &mapping.target {
            Target::Workflow(deployment) => {
                let mut request = InvokeWorkflow::new(deployment).variant(variant);
                for (name, value) in values.inputs()? {
                    request = request.input(name, value);
                }
                for (name, value) in metadata {
                    request = request.metadata(name, value);
                }
                request.user = user;
                RunRequest::Workflow(match callback_url {
                    Some(url) => request.callback_url(url),
                    None => request,
                })
            }
            Target::Prompt(deployment) => {
                let mut request = InvokePrompt::new(deployment).variant(variant);
                for (name, value) in values.inputs()? {
                    request = request.input(name, value);
                }
                for (name, value) in metadata {
                    request = request.metadata(name, value);
                }
                request.user = user;
                RunRequest::Prompt(request)
            }
            Target::Agent(agent) => {
                let field = || "message".to_owned();
                let message =
                    values.text(field, mapping.message.as_ref())?.filter(|message| !message.trim().is_empty());
                let Some(message) = message else {
                    return Err(values.invalid(field(), "is empty or absent; fill the cell, or remove the row"));
                };
                let mut request = InvokeAgent::new(agent.as_str(), message);
                for (name, value) in metadata {
                    request = request.metadata(name, value);
                }
                request.user = user;
                if let Some(allow_background) = mapping.allow_background {
                    request = request.allow_background(allow_background);
                }
                if let Some(url) = callback_url {
                    let options = request.async_mode.take().unwrap_or_else(AgentAsyncOptions::new);
                    request.async_mode = Some(options.callback_url(url));
                }
                RunRequest::Agent(request)
            }
        })
    }
}

impl fmt::Debug for BoundMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundMapping")
            .field("mapping", &self.mapping)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// Provides the values of a row for one request.
struct RowValues<'a> {
    bound: &'a BoundMapping,
    row: &'a Row,
    variables: Option<minijinja::Value>,
}

impl RowValues<'_> {
    fn invalid(&self, field: String, reason: impl Into<String>) -> Error {
        let line = self.row.line().unwrap_or(self.row.number());
        Error::Mapping {
            file: self.bound.header.file().map(Path::to_owned),
            line: Some(line),
            field,
            reason: reason.into(),
        }
    }

    fn value(&self, field: impl Fn() -> String, source: &Expr) -> Result<Option<Value>, Error> {
        match source {
            Expr::Constant(value) => Ok(Some(value.clone())),
            Expr::Column(name) => Ok(self.bound.header.position(name).and_then(|column| self.row.get(column)).cloned()),
            Expr::Template(template) => {
                let variables = self.variables.as_ref().unwrap_or(&minijinja::Value::UNDEFINED);
                let text = self.bound.templates.render(template, variables);
                text.map(|text| Some(Value::String(text))).map_err(|reason| self.invalid(field(), reason))
            }
        }
    }

    /// Returns a value as text. Null is treated as absent.
    fn text(&self, field: impl Fn() -> String, source: Option<&Expr>) -> Result<Option<String>, Error> {
        let Some(source) = source else { return Ok(None) };
        let value = self.value(field, source)?.filter(|value| !value.is_null());
        Ok(value.map(|value| cell_text(&value).into_owned()))
    }

    fn inputs(&self) -> Result<Vec<(&str, Value)>, Error> {
        let mut inputs = Vec::new();
        for (name, source) in &self.bound.mapping.inputs {
            if let Some(value) = self.value(|| input_field(name), source)? {
                inputs.push((name.as_str(), value));
            }
        }
        Ok(inputs)
    }

    fn metadata(&self, label: RunLabel<'_>) -> Result<Vec<(String, MetadataValue)>, Error> {
        let [batch, row, attempt] = Mapping::LABELS.map(str::to_owned);
        let mut metadata =
            vec![(batch, label.batch.into()), (row, self.row.number().into()), (attempt, label.attempt.into())];
        for (name, source) in &self.bound.mapping.metadata {
            let value = match self.value(|| metadata_field(name), source)? {
                None => continue,
                Some(Value::Null) => MetadataValue::Null,
                Some(Value::Bool(value)) => value.into(),
                Some(Value::Number(number)) => MetadataValue::Number(number),
                Some(Value::String(text)) => text.into(),
                Some(Value::Array(_) | Value::Object(_)) => {
                    let reason = "is a list or an object; map it with a template and `tojson` to send it as text";
                    return Err(self.invalid(metadata_field(name), reason));
                }
            };
            metadata.push((name.clone(), value));
        }
        Ok(metadata)
    }
}

fn invalid(field: String, reason: impl Into<String>) -> Error {
    Error::Mapping { file: None, line: None, field, reason: reason.into() }
}

fn input_field(name: &str) -> String {
    format!("input {}", quoted(name))
}

fn metadata_field(name: &str) -> String {
    format!("metadata {}", quoted(name))
}

/// Returns all sources of a mapping, each with the request field that it fills.
fn sources(mapping: &Mapping) -> impl Iterator<Item = (String, &Expr)> {
    let inputs = mapping.inputs.iter().map(|(name, source)| (input_field(name), source));
    let metadata = mapping.metadata.iter().map(|(name, source)| (metadata_field(name), source));
    let named =
        [("message", &mapping.message), ("user", &mapping.user), ("callback_url", &mapping.callback_url)].into_iter();
    let named = named.filter_map(|(name, source)| Some((name.to_owned(), source.as_ref()?)));
    inputs.chain(metadata).chain(named)
}

/// Checks that the target has a name and supports the options.
fn check_target(mapping: &Mapping) -> Result<(), Error> {
    let (kind, name) = match &mapping.target {
        Target::Workflow(name) => ("workflow", name),
        Target::Prompt(name) => ("prompt", name),
        Target::Agent(name) => ("agent", name),
    };
    if name.trim().is_empty() {
        return Err(invalid(kind.to_owned(), "the name is empty; set the deployment or the agent"));
    }
    let agent = kind == "agent";
    let unsupported = [
        ("inputs", agent && !mapping.inputs.is_empty(), "an agent has no inputs; use them in the message"),
        ("variant", agent && mapping.variant.is_some(), "an agent has no variants; remove it"),
        ("callback_url", kind == "prompt" && mapping.callback_url.is_some(), "a prompt has no callbacks; remove it"),
        ("allow_background", !agent && mapping.allow_background.is_some(), "only an agent has this option; remove it"),
    ];
    match unsupported.into_iter().find(|(_, unsupported, _)| *unsupported) {
        Some((field, _, reason)) => Err(invalid(field.to_owned(), reason)),
        None => Ok(()),
    }
}

/// Checks that names are unique and not empty.
fn check_names(kind: &str, fields: &[(String, Expr)]) -> Result<(), Error> {
    let mut names = HashSet::new();
    for (name, _) in fields {
        let field = format!("{kind} {}", quoted(name));
        if name.is_empty() {
            return Err(invalid(field, "the name is empty; name it"));
        }
        if !names.insert(name) {
            return Err(invalid(field, "is mapped twice; remove one of them"));
        }
    }
    Ok(())
}
