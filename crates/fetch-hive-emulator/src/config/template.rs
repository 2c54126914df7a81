//! Output templates.

use serde_json::Value;

#[cfg(feature = "templates")]
use crate::config::suggestion::{nearest, suggest};

#[cfg(not(feature = "templates"))]
const UNSUPPORTED: &str = "templates need the feature `templates` of the emulator";

/// Renders a template with the fields of a JSON object as its variables.
#[cfg(feature = "templates")]
pub(crate) fn render(template: &str, variables: &Value) -> Result<String, String> {
    let variables = minijinja::Value::from(minijinja::value::Serde(variables));
    minijinja::Environment::new()
        .render_str(template, variables)
        .map_err(|error| format!("cannot render the template: {error}"))
}

#[cfg(not(feature = "templates"))]
pub(crate) fn render(_: &str, _: &Value) -> Result<String, String> {
    Err(UNSUPPORTED.to_owned())
}

/// The variables of every template.
#[cfg(feature = "templates")]
const VARIABLES: [&str; 8] = ["request_id", "deployment", "agent", "variant", "inputs", "message", "user", "metadata"];

/// Checks the syntax and the variables of a template.
///
/// The declared inputs are used to find misspelled inputs. An error of the syntax contains the line
/// in the template.
#[cfg(feature = "templates")]
pub(crate) fn check(template: &str, inputs: &[&str]) -> Result<(), String> {
    let environment = minijinja::Environment::new();
    let parsed = environment.template_from_str(template).map_err(|error| error.to_string())?;
    let is_global = |name: &str| environment.globals().any(|(global, _)| global == name);
    for name in parsed.undeclared_variables(true) {
        let mut parts = name.split('.');
        let variable = parts.next().unwrap_or_default();
        if !VARIABLES.contains(&variable) && !is_global(variable) {
            return Err(format!("unknown variable {variable:?}; {}", suggest(variable, VARIABLES)));
        }
        let Some(input) = parts.next().filter(|input| variable == "inputs" && !inputs.contains(input)) else {
            continue;
        };
        if let Some(near) = nearest(input, inputs) {
            return Err(format!("unknown input {input:?}; did you mean {near}? Declare {input} if it is correct"));
        }
    }
    Ok(())
}

#[cfg(not(feature = "templates"))]
pub(crate) fn check(_: &str, _: &[&str]) -> Result<(), String> {
    Err(UNSUPPORTED.to_owned())
}
