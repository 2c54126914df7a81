mod bound;
mod template;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::bound::{BoundMapping, RunLabel, RunRequest};
use crate::{Error, Header};

/// The source of one value of a request: a column, a template or a constant.
///
/// A string converts to the column with that name. `Debug` does not show templates and constants.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Expr {
    /// The value of a column, with its type.
    Column(String),
    /// The text that is produced by rendering a template. See [`Mapping::template`].
    Template(String),
    /// The same value for each row.
    Constant(Value),
}

impl Expr {
    /// Creates an expression for the value of a column.
    pub fn column(name: impl Into<String>) -> Self {
        Self::Column(name.into())
    }

    /// Creates an expression that renders a template. See [`Mapping::template`].
    pub fn template(template: impl Into<String>) -> Self {
        Self::Template(template.into())
    }

    /// Creates an expression for a value that is the same for each row.
    pub fn constant(value: impl Into<Value>) -> Self {
        Self::Constant(value.into())
    }
}

impl<T: Into<String>> From<T> for Expr {
    fn from(column: T) -> Self {
        Self::column(column)
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(name) => f.debug_tuple("Column").field(name).finish(),
            Self::Template(text) => f.debug_tuple("Template").field(&text.len()).finish(),
            Self::Constant(_) => f.write_str("Constant(..)"),
        }
    }
}

/// The target that a batch runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Target {
    /// A workflow deployment.
    Workflow(String),
    /// A prompt deployment.
    Prompt(String),
    /// An agent, by its slug or id.
    Agent(String),
}

/// The mapping from the columns of a row to a request.
///
/// ```
/// use fetch_hive_batch::{Mapping, Rows, RunLabel, RunRequest};
/// use serde_json::json;
///
/// let mapping = Mapping::workflow("summarise")
///     .input("review", "Review Text")
///     .template("prompt", "Summarise in {{ language }}: {{ row['Review Text'] }}")
///     .metadata("customer", "id");
///
/// let columns = ["id", "language", "Review Text"];
/// let mut rows = Rows::from_iter(columns, [json!([7, "German", "Very good"])])?;
/// let mapping = mapping.bind(rows.header())?;
/// let row = rows.next().unwrap()?;
/// let request = mapping.request(&row, RunLabel::new("batch-1", 1))?;
/// let RunRequest::Workflow(request) = request else { unreachable!() };
/// assert_eq!(
///     serde_json::to_value(&request)?["inputs"],
///     json!({"review": "Very good", "prompt": "Summarise in German: Very good"})
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    target: Target,
    variant: Option<String>,
    inputs: Vec<(String, Expr)>,
    all_columns: bool,
    message: Option<Expr>,
    metadata: Vec<(String, Expr)>,
    user: Option<Expr>,
    callback_url: Option<Expr>,
    allow_background: Option<bool>,
}

impl Mapping {
    /// The names of the metadata that identify the row of each run.
    pub const LABELS: [&str; 3] = ["batch_id", "batch_row", "batch_attempt"];

    fn new(target: Target) -> Self {
        Self {
            target,
            variant: None,
            inputs: Vec::new(),
            all_columns: false,
            message: None,
            metadata: Vec::new(),
            user: None,
            callback_url: None,
            allow_background: None,
        }
    }

    /// Creates a mapping to a workflow deployment.
    pub fn workflow(deployment: impl Into<String>) -> Self {
        Self::new(Target::Workflow(deployment.into()))
    }

    /// Creates a mapping to a prompt deployment.
    pub fn prompt(deployment: impl Into<String>) -> Self {
        Self::new(Target::Prompt(deployment.into()))
    }

    /// Creates a mapping to an agent. Its message can be a column, a template or a constant.
    pub fn agent(agent: impl Into<String>, message: impl Into<Expr>) -> Self {
        Self { message: Some(message.into()), ..Self::new(Target::Agent(agent.into())) }
    }

    /// Sets the variant of the deployment.
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Maps a column or another source to an input.
    ///
    /// If the cell is absent, the input is omitted.
    pub fn input(mut self, name: impl Into<String>, source: impl Into<Expr>) -> Self {
        self.inputs.push((name.into(), source.into()));
        self
    }

    /// Maps columns to inputs with the same names.
    pub fn columns(mut self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        let inputs = names.into_iter().map(Into::into).map(|name: String| (name.clone(), Expr::Column(name)));
        self.inputs.extend(inputs);
        self
    }

    /// Maps each column to an input with the same name, unless another input has this name or uses
    /// this column.
    pub fn all_columns(mut self) -> Self {
        self.all_columns = true;
        self
    }

    /// Maps a template to an input.
    ///
    /// Templates use Jinja syntax. Each column is a variable, such as `{{ text }}`. The variable
    /// `row` contains all columns, including those whose names contain spaces:
    /// `{{ row["Review Text"] }}`. An unknown or absent column is an error.
    pub fn template(self, name: impl Into<String>, template: impl Into<String>) -> Self {
        self.input(name, Expr::template(template))
    }

    /// Maps a column or another source to a metadata value of the run.
    ///
    /// The value must not be a list or an object.
    pub fn metadata(mut self, name: impl Into<String>, source: impl Into<Expr>) -> Self {
        self.metadata.push((name.into(), source.into()));
        self
    }

    /// Maps a column or another source to the user of the run.
    pub fn user(mut self, source: impl Into<Expr>) -> Self {
        self.user = Some(source.into());
        self
    }

    /// Maps a column or another source to the callback URL of a workflow or agent.
    pub fn callback_url(mut self, source: impl Into<Expr>) -> Self {
        self.callback_url = Some(source.into());
        self
    }

    /// Sets whether an agent's workflow tools may continue to run after the agent has answered.
    pub fn allow_background(mut self, allow_background: bool) -> Self {
        self.allow_background = Some(allow_background);
        self
    }

    /// Returns the target of the mapping.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns whether the mapping sets a callback URL.
    pub(crate) fn has_callback_url(&self) -> bool {
        self.callback_url.is_some()
    }

    /// Checks the mapping against the columns before anything is sent.
    ///
    /// # Errors
    ///
    /// Returns an error if a column or a template variable does not exist, if a template is
    /// invalid, if a name occurs twice, or if the target does not support an option.
    pub fn bind(&self, header: &Header) -> Result<BoundMapping, Error> {
        BoundMapping::new(self, header)
    }
}
