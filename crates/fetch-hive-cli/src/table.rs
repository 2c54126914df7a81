//! Lists and records as text.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, ContentArrangement, Table};
use serde_json::Value;

use crate::text::one_line;

/// The shape of a response, from which its text follows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A list under a key, and the fields that are shown as columns.
    List { key: &'static str, columns: &'static [&'static str] },
    /// An object under a key.
    Record(&'static str),
}

const MAX_CELL: usize = 60;

/// Formats a list as a table with a header.
pub(crate) fn table(shape: Shape, value: &Value, width: Option<u16>) -> String {
    let Shape::List { columns, .. } = shape else { return text(shape, value) };
    let mut table = Table::new();
    table.load_preset(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(columns.iter().map(|name| Cell::new(name.replace('_', " ").to_uppercase())));
    for item in items(shape, value) {
        table.add_row(columns.iter().map(|name| Cell::new(short(&cell(item, name)))));
    }
    if let Some(column) = table.column_mut(0) {
        column.set_padding((0, 1));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Formats a list as one line per item with tabs between its columns, or a record as one line per
/// field.
pub(crate) fn text(shape: Shape, value: &Value) -> String {
    match shape {
        Shape::List { columns, .. } => {
            let line = |item: &Value| columns.iter().map(|name| cell(item, name)).collect::<Vec<_>>().join("\t");
            items(shape, value).iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Shape::Record(key) => record(value.get(key).filter(|value| value.is_object()).unwrap_or(value)),
    }
}

fn items(shape: Shape, value: &Value) -> &[Value] {
    let Shape::List { key, .. } = shape else { return &[] };
    value.get(key).unwrap_or(value).as_array().map_or(&[], Vec::as_slice)
}

fn record(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return shown(value) };
    let width = fields.keys().map(String::len).max().unwrap_or_default() + 1;
    let shown = fields.iter().filter(|(_, value)| !value.is_null());
    let line = |(name, value): (&String, &Value)| format!("{:<width$} {}", one_line(name) + ":", self::shown(value));
    shown.map(line).collect::<Vec<_>>().join("\n")
}

/// Returns a field of an item, where `a.b` is a field of a field.
fn cell(item: &Value, name: &str) -> String {
    let value = name.split('.').try_fold(item, |value, name| value.get(name));
    value.map(shown).unwrap_or_default()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => one_line(text),
        other => one_line(&other.to_string()),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL) {
        Some(_) => text.chars().take(MAX_CELL - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHAPE: Shape = Shape::List { key: "agents", columns: &["id", "llm_model", "owner.name"] };

    #[test]
    fn list_is_a_table_or_lines_with_tabs() {
        let value = json!({"agents": [
            {"id": "a1", "llm_model": "gpt", "owner": {"name": "Ann\tX"}},
            {"id": "a2", "llm_model": null},
        ]});
        assert_eq!(table(SHAPE, &value, None), "ID  LLM MODEL  OWNER.NAME\na1  gpt        Ann X\na2");
        assert_eq!(text(SHAPE, &value), "a1\tgpt\tAnn X\na2\t\t");
        assert_eq!(text(SHAPE, &value["agents"]), text(SHAPE, &value));
        assert!(short(&"x".repeat(100)).chars().count() == MAX_CELL);
    }

    #[test]
    fn record_is_one_line_per_field() {
        let value = json!({"agent": {"id": "a1", "nested": {"n": 1}, "none": null}});
        assert_eq!(text(Shape::Record("agent"), &value), "id:     a1\nnested: {\"n\":1}");
        assert_eq!(text(Shape::Record("agent"), &json!({"message": "gone"})), "message: gone");
    }
}
