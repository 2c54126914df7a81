//! Declared workflows, prompts and agents.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::config::inputs::{self, Input, InputError};
use crate::config::script::Script;
use crate::config::template;

/// The workspace of declared agents and of the approvals of declared deployments, unless the
/// configuration file names another workspace.
pub const DEFAULT_WORKSPACE: &str = "00000000-0000-4000-8000-000000000001";

/// A declared workflow, prompt, agent or hive agent.
///
/// ```
/// # use fetch_hive_emulator::Deployment;
/// # use serde_json::json;
/// let report = Deployment::workflow("weekly-report").output(json!({"title": "AI"})).delay_ms(200);
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    #[serde(skip)]
    pub(crate) kind: DeploymentKind,
    #[serde(rename = "deployment", alias = "agent", alias = "hive_agent")]
    pub(crate) name: String,
    #[serde(default)]
    workspace: Option<String>,
    #[serde(default)]
    variants: Vec<String>,
    #[serde(default)]
    inputs: BTreeMap<String, Input>,
    #[serde(default, alias = "response")]
    pub(crate) output: Option<Value>,
    #[serde(default, alias = "response_template")]
    pub(crate) output_template: Option<String>,
    #[serde(default)]
    output_format: OutputFormat,
    #[serde(default)]
    pub(crate) failure: Option<String>,
    #[serde(default)]
    pub(crate) error_code: Option<String>,
    #[serde(default)]
    pub(crate) delay_ms: u64,
    #[serde(default)]
    human_in_the_loop: bool,
    #[serde(default)]
    pub(crate) webhook_secret: Option<String>,
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) tools: Vec<Tool>,
    #[serde(default)]
    stream: Vec<StreamStep>,
}

/// The kind of a deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum DeploymentKind {
    #[default]
    Workflow,
    Prompt,
    Agent,
    HiveAgent,
}

/// The format into which the text of a template is converted.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum OutputFormat {
    #[default]
    Text,
    Json,
}

/// A step of a workflow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) delay_ms: u64,
    #[serde(default)]
    pub(crate) failure: Option<String>,
    /// Whether the run waits for an approval.
    #[serde(default)]
    pub(crate) human_in_the_loop: bool,
    #[serde(default)]
    pub(crate) summary: Option<String>,
    #[serde(default)]
    pub(crate) arguments: Option<Map<String, Value>>,
    #[serde(default)]
    pub(crate) destructive: bool,
    #[serde(default)]
    pub(crate) expires_ms: Option<u64>,
}

/// A tool that an agent uses in each invocation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    #[serde(rename = "tool")]
    pub(crate) name: String,
    #[serde(default, rename = "tool_type")]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) input: Map<String, Value>,
    #[serde(default)]
    pub(crate) observation: Value,
    #[serde(default)]
    pub(crate) approval: ToolPolicy,
    #[serde(default)]
    pub(crate) summary: Option<String>,
    #[serde(default)]
    pub(crate) destructive: bool,
    #[serde(default)]
    pub(crate) expires_ms: Option<u64>,
    /// The duration of the delegation, if the tool runs in the background.
    #[serde(default)]
    pub(crate) background_ms: Option<u64>,
}

/// The approval rule of a tool.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToolPolicy {
    #[default]
    Allow,
    Ask,
    Deny,
}

/// A step of a declared stream. See the methods of [`Script`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StreamStep {
    Text(String),
    Event(Map<String, Value>),
    Comment(String),
    Raw(String),
    WaitMs(u64),
    Done(bool),
    Disconnect(bool),
}

impl Deployment {
    fn new(kind: DeploymentKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), ..Self::default() }
    }

    /// Creates a workflow deployment with this name.
    pub fn workflow(deployment: impl Into<String>) -> Self {
        Self::new(DeploymentKind::Workflow, deployment)
    }

    /// Creates a prompt deployment with this name.
    pub fn prompt(deployment: impl Into<String>) -> Self {
        Self::new(DeploymentKind::Prompt, deployment)
    }

    /// Creates an agent with this id or slug.
    pub fn agent(agent: impl Into<String>) -> Self {
        Self::new(DeploymentKind::Agent, agent)
    }

    /// Creates a hive agent with this id or slug.
    pub fn hive_agent(agent: impl Into<String>) -> Self {
        Self::new(DeploymentKind::HiveAgent, agent)
    }

    pub(crate) fn undeclared(kind: DeploymentKind, name: &str) -> Self {
        Self::new(kind, name)
    }

    /// Sets the output of every run. Without it, the output is a text with the name and the inputs.
    #[must_use]
    pub fn output(mut self, output: impl Into<Value>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Makes every run fail with this reason.
    ///
    /// A direct workflow run still responds with 200 and the status `failed`. A prompt or an agent
    /// responds with 502.
    #[must_use]
    pub fn failure(mut self, reason: impl Into<String>) -> Self {
        self.failure = Some(reason.into());
        self
    }

    /// Sets the duration of a run in milliseconds. The default is 0.
    #[must_use]
    pub fn delay_ms(mut self, milliseconds: u64) -> Self {
        self.delay_ms = milliseconds;
        self
    }

    /// Adds a Human in the Loop step to a workflow.
    ///
    /// Direct runs are rejected with 422. Runs with callback delivery complete after the delay,
    /// without waiting for a decision.
    #[must_use]
    pub fn human_in_the_loop(mut self) -> Self {
        self.human_in_the_loop = true;
        self
    }

    /// Sets the secret that signs the callbacks. The default is a random secret.
    #[must_use]
    pub fn webhook_secret(mut self, secret: impl Into<String>) -> Self {
        self.webhook_secret = Some(secret.into());
        self
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    /// Returns whether a run may wait for a person and therefore needs callback delivery.
    pub(crate) fn needs_human(&self) -> bool {
        self.human_in_the_loop || self.steps.iter().any(|step| step.human_in_the_loop)
    }

    pub(crate) fn input_names(&self) -> Vec<&str> {
        self.inputs.keys().map(String::as_str).collect()
    }

    pub(crate) fn workspace(&self) -> &str {
        self.workspace.as_deref().unwrap_or(DEFAULT_WORKSPACE)
    }

    /// Validates the variant and the inputs of a request, and returns the inputs with default
    /// values.
    pub(crate) fn validate_inputs(&self, body: &Value) -> Result<Value, InputError> {
        let variant = body["variant"].as_str().unwrap_or_default();
        if !self.variants.is_empty() && !variant.is_empty() && !self.variants.iter().any(|known| known == variant) {
            let message = format!("The deployment {} has no variant {variant}.", self.name);
            return Err(InputError::new(422, "validation_error", message));
        }
        let inputs = body["inputs"].as_object().cloned().unwrap_or_default();
        inputs::validate(&self.inputs, inputs).map(Value::Object)
    }

    /// Returns the declared output or the rendered template, if there is one.
    pub(crate) fn declared_output(&self, variables: &Value) -> Option<Result<Value, String>> {
        let Some(template) = &self.output_template else { return self.output.clone().map(Ok) };
        Some(template::render(template, variables).and_then(|text| {
            match self.output_format {
                OutputFormat::Text => Ok(Value::String(text)),
                OutputFormat::Json => serde_json::from_str(&text)
                    .map_err(|error| format!("the template of {} does not render to JSON: {error}", self.name)),
            }
        }))
    }

    /// Returns the declared stream, if there is one.
    pub(crate) fn script(&self) -> Option<Script> {
        let add = |script: Script, step: &StreamStep| match step {
            StreamStep::Text(text) => script.text(text),
            StreamStep::Event(event) => script.event(&json!(event)),
            StreamStep::Comment(text) => script.comment(text),
            StreamStep::Raw(text) => script.raw(text.clone()),
            StreamStep::WaitMs(ms) => script.wait(Duration::from_millis(*ms)),
            StreamStep::Done(true) => script.done(),
            StreamStep::Disconnect(true) => script.disconnect(),
            StreamStep::Done(false) | StreamStep::Disconnect(false) => script,
        };
        (!self.stream.is_empty()).then(|| self.stream.iter().fold(Script::new(), add))
    }
}
