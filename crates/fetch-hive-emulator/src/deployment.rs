//! What is declared of a workflow, a prompt or an agent, instead of answered by default.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::script::Script;

/// A workflow, prompt or agent that is declared, instead of answered by default.
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
    pub(crate) workspace: Option<String>,
    #[serde(default)]
    pub(crate) variants: Vec<String>,
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, Input>,
    #[serde(default, alias = "response")]
    pub(crate) output: Option<Value>,
    #[serde(default, alias = "response_template")]
    pub(crate) output_template: Option<String>,
    #[serde(default)]
    pub(crate) output_format: Format,
    #[serde(default)]
    pub(crate) failure: Option<String>,
    #[serde(default)]
    pub(crate) error_code: Option<String>,
    #[serde(default)]
    pub(crate) delay_ms: u64,
    #[serde(default)]
    pub(crate) human_in_the_loop: bool,
    #[serde(default)]
    pub(crate) webhook_secret: Option<String>,
    #[serde(default)]
    pub(crate) model: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
    #[serde(default)]
    pub(crate) tools: Vec<Tool>,
    #[serde(default)]
    pub(crate) stream: Vec<StreamStep>,
}

/// What a declaration is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum DeploymentKind {
    #[default]
    Workflow,
    Prompt,
    Agent,
    HiveAgent,
}

/// What an input has to be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    #[serde(default, rename = "type")]
    form: InputType,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    default: Option<Value>,
    #[serde(default)]
    options: Vec<Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum InputType {
    #[default]
    Any,
    String,
    Number,
    Integer,
    Boolean,
    Array,
    Object,
}

/// What a template's text becomes.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
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
    /// Someone decides before the run goes on.
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

/// A tool that an agent uses in each turn.
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
    /// Whether someone is asked before it is used.
    #[serde(default)]
    pub(crate) approval: Policy,
    #[serde(default)]
    pub(crate) summary: Option<String>,
    #[serde(default)]
    pub(crate) destructive: bool,
    #[serde(default)]
    pub(crate) expires_ms: Option<u64>,
    /// It runs in the background for so long, as a delegation.
    #[serde(default)]
    pub(crate) background_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Policy {
    #[default]
    Allow,
    Ask,
    Deny,
}

/// A step of a stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StreamStep {
    /// A piece of the answer's text.
    Text(String),
    /// An event as it is.
    Event(Map<String, Value>),
    /// A comment.
    Comment(String),
    /// Bytes as they are.
    Raw(String),
    /// Nothing for a time.
    WaitMs(u64),
    /// The end mark.
    Done(bool),
    /// The connection breaks.
    BreakOff(bool),
}

/// Why inputs are refused: the code, and the text.
pub(crate) type Refused = (u16, &'static str, String);

impl Deployment {
    fn of(kind: DeploymentKind, name: impl Into<String>) -> Self {
        Self { kind, name: name.into(), ..Self::default() }
    }

    /// A workflow deployment of that name.
    pub fn workflow(deployment: impl Into<String>) -> Self {
        Self::of(DeploymentKind::Workflow, deployment)
    }

    /// A prompt deployment of that name.
    pub fn prompt(deployment: impl Into<String>) -> Self {
        Self::of(DeploymentKind::Prompt, deployment)
    }

    /// An agent of that id or slug.
    pub fn agent(agent: impl Into<String>) -> Self {
        Self::of(DeploymentKind::Agent, agent)
    }

    /// A hive agent of that id or slug.
    pub fn hive_agent(agent: impl Into<String>) -> Self {
        Self::of(DeploymentKind::HiveAgent, agent)
    }

    pub(crate) fn undeclared(kind: DeploymentKind, name: &str) -> Self {
        Self::of(kind, name)
    }

    /// Its output, whatever the inputs.
    #[must_use]
    pub fn output(mut self, output: impl Into<Value>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Its runs fail with this reason. A workflow's direct reply is a 200 all the same, a prompt's or an agent's a 502.
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

    /// Whether someone has to decide in the middle of a run.
    pub(crate) fn needs_someone(&self) -> bool {
        self.human_in_the_loop || self.steps.iter().any(|step| step.human_in_the_loop)
    }

    pub(crate) fn workspace(&self) -> &str {
        self.workspace.as_deref().unwrap_or(crate::DEFAULT_WORKSPACE)
    }

    /// The inputs with what they have by default, if they are as declared (contract, sections 3 and 7).
    pub(crate) fn check(&self, request: &Value) -> Result<Value, Refused> {
        let variant = request["variant"].as_str().unwrap_or_default();
        if !self.variants.is_empty() && !variant.is_empty() && !self.variants.iter().any(|known| known == variant) {
            return Err((422, "validation_error", format!("The deployment {} has no variant {variant}.", self.name)));
        }
        let mut inputs = request["inputs"].as_object().cloned().unwrap_or_default();
        for (name, declared) in &self.inputs {
            match inputs.get(name).filter(|value| !value.is_null()) {
                Some(value) => declared.check(name, value)?,
                None => match &declared.default {
                    Some(default) => {
                        inputs.insert(name.clone(), default.clone());
                    }
                    None if declared.required => {
                        return Err((422, "missing_required_field", format!("Missing required field: inputs.{name}")));
                    }
                    None => {}
                },
            }
        }
        Ok(Value::Object(inputs))
    }

    /// What a run gives, if anything is declared; a template sees these names.
    pub(crate) fn answer(&self, seen: &Value) -> Option<Result<Value, String>> {
        let Some(template) = &self.output_template else { return self.output.clone().map(Ok) };
        Some(render(template, seen).and_then(|text| match self.output_format {
            Format::Text => Ok(Value::String(text)),
            Format::Json => serde_json::from_str(&text).map_err(|error| format!("the template makes no JSON: {error}")),
        }))
    }

    /// The stream that is declared, if there is one.
    pub(crate) fn script(&self) -> Option<Script> {
        let play = |script: Script, step: &StreamStep| match step {
            StreamStep::Text(text) => script.text(text),
            StreamStep::Event(event) => script.event(&json!(event)),
            StreamStep::Comment(text) => script.comment(text),
            StreamStep::Raw(text) => script.raw(text.clone()),
            StreamStep::WaitMs(ms) => script.wait(Duration::from_millis(*ms)),
            StreamStep::Done(true) => script.done(),
            StreamStep::BreakOff(true) => script.break_off(),
            StreamStep::Done(false) | StreamStep::BreakOff(false) => script,
        };
        (!self.stream.is_empty()).then(|| self.stream.iter().fold(Script::new(), play))
    }
}

impl Input {
    fn check(&self, name: &str, value: &Value) -> Result<(), Refused> {
        let (fits, wanted) = match self.form {
            InputType::Any => (true, ""),
            InputType::String => (value.is_string(), "a string"),
            InputType::Number => (value.is_number(), "a number"),
            InputType::Integer => (value.is_i64() || value.is_u64(), "an integer"),
            InputType::Boolean => (value.is_boolean(), "a boolean"),
            InputType::Array => (value.is_array(), "an array, not a string that holds one"),
            InputType::Object => (value.is_object(), "an object"),
        };
        if !fits {
            return Err((400, "validation_error", format!("inputs.{name} must be {wanted}.")));
        }
        if !self.options.is_empty() && !self.options.contains(value) {
            return Err((400, "validation_error", format!("inputs.{name} must be one of {}.", json!(self.options))));
        }
        Ok(())
    }
}

#[cfg(feature = "templates")]
fn render(template: &str, seen: &Value) -> Result<String, String> {
    let seen = minijinja::Value::from(minijinja::value::Serde(seen));
    minijinja::Environment::new().render_str(template, seen).map_err(|error| format!("the template fails: {error}"))
}

#[cfg(not(feature = "templates"))]
fn render(_: &str, _: &Value) -> Result<String, String> {
    Err("the emulator was built without templates".to_owned())
}

/// Why a template cannot be used, if it cannot: what is wrong, and in which of its lines.
#[cfg(feature = "templates")]
pub(crate) fn template_error(template: &str) -> Option<String> {
    minijinja::Environment::new().template_from_str(template).err().map(|error| error.to_string())
}

#[cfg(not(feature = "templates"))]
#[allow(clippy::unnecessary_wraps, reason = "with the feature there may be no error")]
pub(crate) fn template_error(_: &str) -> Option<String> {
    Some("the emulator was built without templates".to_owned())
}
