use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use crate::error::list;
use crate::{Header, Row};

/// The variable that contains all columns.
const ROW: &str = "row";

/// Renders templates with the columns of a row.
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        // Building fails only for conflicting delimiters, and these are the defaults.
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        Self { environment }
    }

    /// Checks the syntax of a template, and checks that each variable is a column.
    pub(super) fn check(&self, template: &str, header: &Header) -> Result<(), String> {
        let parsed = self.environment.template_from_str(template).map_err(|error| describe(&error))?;
        let globals: Vec<_> = self.environment.globals().map(|(name, _)| name.to_owned()).collect();
        let known = |name: &str| name == ROW || header.position(name).is_some() || globals.iter().any(|g| g == name);
        let variables = parsed.undeclared_variables(false);
        let mut unknown: Vec<_> = variables.into_iter().filter(|name| !known(name)).collect();
        unknown.sort();
        if unknown.is_empty() {
            return Ok(());
        }
        let columns = list(header.names());
        Err(format!("the template uses {}, which is not a column; the columns are {columns}", list(&unknown)))
    }

    /// Returns the template variables for a row, which several templates can share.
    pub(super) fn variables(header: &Header, row: &Row) -> Value {
        let cells = header.names().iter().enumerate();
        let cells = cells.filter_map(|(column, name)| Some((name.clone(), Value::from(Serde(row.get(column)?)))));
        let mut variables: BTreeMap<String, Value> = cells.collect();
        variables.insert(ROW.to_owned(), Value::from(Serde(&variables)));
        Value::from(Serde(variables))
    }

    pub(super) fn render(&self, template: &str, variables: &Value) -> Result<String, String> {
        self.environment.render_str(template, variables).map_err(|error| describe(&error))
    }
}

/// Describes an error without its details, which may include cell contents.
fn describe(error: &minijinja::Error) -> String {
    let line = error.line().map_or_else(String::new, |line| format!(" in line {line}"));
    match error.kind() {
        minijinja::ErrorKind::UndefinedError => {
            format!(
                "the template{line} uses a column that is absent or does not exist; use `is defined` to test for it"
            )
        }
        minijinja::ErrorKind::SyntaxError => {
            format!("the template has a syntax error{line}; correct it")
        }
        kind => format!("the template cannot be rendered ({kind}{line}); correct it"),
    }
}
