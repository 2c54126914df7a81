//! The file that names the tools.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, Result};
use crate::text::parse_duration;

/// The contents of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolsFile {
    #[serde(default)]
    tool: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    description: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    workflow: Option<String>,
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default)]
    inputs: BTreeMap<String, Input>,
}

/// An input, which is a property of the schema.
#[derive(Debug, Deserialize)]
struct Input {
    #[serde(default)]
    required: bool,
    #[serde(flatten)]
    schema: Map<String, Value>,
}

/// What a tool runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Workflow { deployment: String, variant: Option<String> },
    Prompt { deployment: String, variant: Option<String> },
    Agent(String),
}

impl Target {
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Workflow { .. } => "invokeWorkflow",
            Self::Prompt { .. } => "invokePrompt",
            Self::Agent(_) => "invokeAgent",
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Workflow { deployment, .. } | Self::Prompt { deployment, .. } => deployment,
            Self::Agent(agent) => agent,
        }
    }
}

/// A tool.
#[derive(Clone, Debug)]
pub(super) struct ToolConfig {
    pub(super) name: String,
    title: Option<String>,
    description: String,
    pub(super) target: Target,
    pub(super) timeout: Option<Duration>,
    pub(super) required: Vec<String>,
    properties: Map<String, Value>,
}

impl ToolsFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
        Self::parse(&text)
            .map_err(|failure| Failure { text: format!("{}: {}", path.display(), failure.text), ..failure })
    }

    fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            // The whole error quotes the line, which may contain a key by mistake.
            let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
            Failure::usage(format!("line {line}: {}", error.message()))
                .next("`fetch-hive mcp --help` shows the format of the file")
        })
    }

    /// Checks the tools.
    pub(super) fn tools(self) -> Result<Vec<ToolConfig>> {
        let mut tools: Vec<ToolConfig> = Vec::new();
        for entry in self.tool {
            let tool = entry.tool()?;
            if tools.iter().any(|known| known.name == tool.name) {
                return Err(Failure::usage(format!("two tools are named `{}`", tool.name)).next("rename one of them"));
            }
            tools.push(tool);
        }
        if tools.is_empty() {
            return Err(Failure::usage("the file names no tool").next("add a `[[tool]]` table"));
        }
        Ok(tools)
    }
}

impl Entry {
    fn tool(self) -> Result<ToolConfig> {
        let invalid = |reason: &str| {
            Failure::usage(format!("the tool `{}` {reason}", self.name))
                .next("correct the file; `fetch-hive mcp --help` shows its format")
        };
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 64
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if !is_name(&self.name) {
            return Err(invalid("needs a name of at most 64 letters, digits, `_` or `-`"));
        }
        let target = match (&self.workflow, &self.prompt, &self.agent) {
            (Some(deployment), None, None) => {
                Target::Workflow { deployment: deployment.clone(), variant: self.variant.clone() }
            }
            (None, Some(deployment), None) => {
                Target::Prompt { deployment: deployment.clone(), variant: self.variant.clone() }
            }
            (None, None, Some(agent)) => Target::Agent(agent.clone()),
            _ => return Err(invalid("needs one of `workflow`, `prompt` and `agent`")),
        };
        let timeout = match self.timeout.as_deref().map(parse_duration) {
            Some(Err(error)) => return Err(invalid(&format!("has an invalid timeout: {error}"))),
            timeout => timeout.transpose().unwrap_or_default(),
        };
        if matches!(target, Target::Agent(_)) && !self.inputs.is_empty() {
            return Err(invalid("runs an agent, whose inputs are `message` and `thread`; remove `inputs`"));
        }
        for (name, input) in &self.inputs {
            if let Some(kind) = input.schema.get("type").filter(|kind| !is_type(kind)) {
                return Err(invalid(&format!(
                    "has the input `{name}` with the unknown type {kind}; the types are {}",
                    TYPES.join(", ")
                )));
            }
        }
        let (required, properties) = match target {
            Target::Agent(_) => agent_inputs(),
            _ => (
                self.inputs.iter().filter(|(_, input)| input.required).map(|(name, _)| name.clone()).collect(),
                self.inputs.into_iter().map(|(name, input)| (name, Value::Object(input.schema))).collect(),
            ),
        };
        let Self { name, title, description, .. } = self;
        Ok(ToolConfig { name, title, description, target, timeout, required, properties })
    }
}

/// The types of an input.
const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "object", "array"];

/// Returns whether a JSON Schema type is one of the types, or a list of them.
fn is_type(kind: &Value) -> bool {
    match kind {
        Value::String(name) => TYPES.contains(&name.as_str()),
        Value::Array(names) => !names.is_empty() && names.iter().all(|name| name.is_string() && is_type(name)),
        _ => false,
    }
}

fn agent_inputs() -> (Vec<String>, Map<String, Value>) {
    let properties = [
        ("message", "The message to the agent"),
        ("thread", "The thread that the message continues, as an earlier result named it"),
    ];
    let property = |text: &str| json!({ "type": "string", "description": text });
    (vec!["message".to_owned()], properties.map(|(name, text)| (name.to_owned(), property(text))).into_iter().collect())
}

impl ToolConfig {
    /// Returns the declaration that an MCP client sees.
    pub(super) fn declaration(&self) -> Tool {
        let input = json!({
            "type": "object",
            "properties": self.properties,
            "required": self.required,
            "additionalProperties": false,
        });
        let output = json!({
            "type": "object",
            "properties": {
                "output": { "description": "The output of the run, or the answer" },
                "verdict": { "type": "string", "description": "ok, or what happened instead" },
                "advice": { "type": "string", "description": "What to do after an error" },
                "request_id": { "type": "string", "description": "The id of the run" },
                "thread": { "type": "string", "description": "The thread of the conversation" },
                "tokens": { "type": "integer" },
            },
            "required": ["verdict"],
        });
        let description = self.description.trim();
        let stop = if description.ends_with(['.', '!', '?']) { "" } else { "." };
        let description = format!("{description}{stop} Each call starts a run that is charged.");
        let mut tool = Tool::new(self.name.clone(), description, object(input));
        if let Some(title) = &self.title {
            tool = tool.with_title(title);
        }
        // A second call is a second run, which is charged again.
        let hints = ToolAnnotations::new().read_only(false).destructive(false).idempotent(false).open_world(true);
        tool.with_raw_output_schema(object(output)).with_annotations(hints)
    }

    /// Returns the first reason why arguments are invalid.
    pub(super) fn check(&self, arguments: &JsonObject) -> Option<String> {
        let missing = self.required.iter().find(|name| !arguments.contains_key(*name));
        let unknown = arguments.keys().find(|name| !self.properties.contains_key(*name));
        let known = || self.properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        match (missing, unknown) {
            (Some(name), _) => Some(format!("the input `{name}` is required")),
            (_, Some(name)) => Some(format!("`{name}` is not an input; the inputs are: {}", known())),
            (None, None) => None,
        }
    }
}

fn object(value: Value) -> Arc<JsonObject> {
    match value {
        Value::Object(object) => Arc::new(object),
        _ => Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [[tool]]
        name = "weekly_report"
        description = "Writes the weekly report."
        workflow = "weekly-report"
        timeout = "10m"
        inputs.topic = { type = "string", description = "The topic", required = true }
        inputs.pages = { type = "integer", minimum = 1 }

        [[tool]]
        name = "support"
        description = "Answers"
        agent = "support"
    "#;

    fn tools(text: &str) -> Result<Vec<ToolConfig>> {
        ToolsFile::parse(text)?.tools()
    }

    #[test]
    fn inputs_become_a_schema() {
        let tools = tools(FILE).unwrap();
        let declaration = tools[0].declaration();
        let schema = declaration.schema_as_json_value();
        assert_eq!(schema["properties"]["topic"], json!({"type": "string", "description": "The topic"}));
        assert_eq!(schema["properties"]["pages"]["minimum"], 1);
        assert_eq!(schema["required"], json!(["topic"]));
        assert_eq!(
            declaration.description.unwrap(),
            "Writes the weekly report. Each call starts a run that is charged."
        );
        let answers = tools[1].declaration().description.unwrap();
        assert_eq!(answers, "Answers. Each call starts a run that is charged.");
        assert_eq!(declaration.annotations.unwrap().idempotent_hint, Some(false));
        assert_eq!(tools[0].timeout, Some(Duration::from_secs(600)));
        assert_eq!(tools[1].required, ["message"]);
    }

    #[test]
    fn arguments_are_checked_before_a_run() {
        let tools = tools(FILE).unwrap();
        let arguments = |value: Value| value.as_object().unwrap().clone();
        assert_eq!(tools[0].check(&arguments(json!({"topic": "AI"}))), None);
        assert!(tools[0].check(&arguments(json!({}))).unwrap().contains("`topic` is required"));
        assert!(tools[0].check(&arguments(json!({"topic": "AI", "x": 1}))).unwrap().contains("topic"));
    }

    #[test]
    fn invalid_files_are_usage_errors() {
        for (file, expected) in [
            ("", "no tool"),
            ("[[tool]]\nname = \"a\"\ndescription = \"d\"", "needs one of"),
            ("[[tool]]\nname = \"a b\"\ndescription = \"d\"\nprompt = \"p\"", "needs a name"),
            ("[[tool]]\nname = \"a\"\ndescription = \"d\"\nprompt = \"p\"\ntimeout = \"10 days\"", "invalid timeout"),
            ("[[tool]]\nname = \"a\"\ndescription = \"d\"\nagent = \"p\"\ninputs.x = {}", "remove `inputs`"),
            (
                "[[tool]]\nname = \"a\"\ndescription = \"d\"\nprompt = \"p\"\ninputs.x = { type = \"text\" }",
                "`x` with the unknown type \"text\"; the types are string",
            ),
            ("[[tool]]\nname = \"a\"\nkey = \"fhk_1\"", "unknown field"),
            ("[[tool]]\nname = = \"a\"", "line 2: "),
        ] {
            let failure = tools(file).unwrap_err();
            assert!(failure.text.contains(expected) && failure.next.is_some(), "{file}: {failure}");
        }
        assert!(tools(&format!("{FILE}\n{FILE}")).unwrap_err().text.contains("two tools"));
    }
}
