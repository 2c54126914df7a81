//! Output templates.

use serde_json::Value;

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

/// Checks the syntax of a template. The error contains the line in the template.
#[cfg(feature = "templates")]
pub(crate) fn check(template: &str) -> Result<(), String> {
    let parsed = minijinja::Environment::new().template_from_str(template).map(drop);
    parsed.map_err(|error| error.to_string())
}

#[cfg(not(feature = "templates"))]
pub(crate) fn check(_: &str) -> Result<(), String> {
    Err(UNSUPPORTED.to_owned())
}
