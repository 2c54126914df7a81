use serde_json::{Number, Value};

use super::source::is_blank;
use crate::error::{list, quoted};
use crate::{Error, Header, ReadOptions, Row};

/// Converts text cells to numbers, JSON and absent cells.
pub(super) struct Conversion {
    numbers: Vec<usize>,
    json: Vec<usize>,
    decimal_comma: bool,
    empty_as_absent: bool,
}

impl Conversion {
    pub(super) fn new(options: &ReadOptions, header: &Header) -> Result<Self, Error> {
        let positions = |option: &str, names: &[String]| {
            let position = |name: &String| header.position(name).ok_or_else(|| unknown_column(option, name, header));
            names.iter().map(position).collect::<Result<Vec<_>, _>>()
        };
        let numbers = positions("number_columns", &options.number_columns)?;
        let json = positions("json_columns", &options.json_columns)?;
        if let Some(both) = numbers.iter().find(|column| json.contains(column)) {
            let name = quoted(&header.names()[*both]);
            let reason = format!("the column {name} is a number column and a JSON column; choose one");
            return Err(Error::input(header.file(), None, reason));
        }
        let ReadOptions { decimal_comma, empty_cells_as_absent, .. } = *options;
        Ok(Self { numbers, json, decimal_comma, empty_as_absent: empty_cells_as_absent })
    }

    pub(super) fn apply(&self, mut row: Row, header: &Header) -> Result<Row, Error> {
        if self.empty_as_absent {
            for column in 0..row.len() {
                if row.get(column).is_some() && is_blank(row.get(column)) {
                    row.convert(column, None);
                }
            }
        }
        let columns = self.numbers.iter().map(|column| (*column, true));
        for (column, is_number) in columns.chain(self.json.iter().map(|column| (*column, false))) {
            // Typed values from workbooks and JSONL need no conversion.
            let Some(Value::String(text)) = row.get(column) else { continue };
            let value = if is_number { number(text, self.decimal_comma) } else { json(text) };
            let value = value.map_err(|reason| {
                let reason = format!("the column {} {reason}", quoted(&header.names()[column]));
                Error::input(header.file(), row.line().or(Some(row.number())), reason)
            })?;
            row.convert(column, Some(value));
        }
        Ok(row)
    }
}

const EMPTY: &str = "has an empty cell; fill it, or set `empty_cells_as_absent`";

/// Parses a number such as `-12`, `007`, `1.5` or `2e3`.
fn number(text: &str, decimal_comma: bool) -> Result<Value, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(EMPTY.to_owned());
    }
    let (point, other) = if decimal_comma { (',', '.') } else { ('.', ',') };
    if text.contains(other) {
        return Err(if decimal_comma {
            "contains a point although it has a decimal comma; remove thousands separators".to_owned()
        } else {
            "contains a comma; if it is a decimal comma, set `decimal_comma`, and remove thousands separators"
                .to_owned()
        });
    }
    let plain = text.replace(point, ".");
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let allowed = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+');
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.chars().all(allowed) {
        return Err("contains a cell that is not a number; correct it, or read the column as text".to_owned());
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = plain.trim_start_matches('+');
        return unsigned
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| unsigned.parse::<u64>().map(Value::from))
            .map_err(|_| inexact());
    }
    plain
        .parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map(Value::Number)
        .ok_or_else(|| "contains a cell that is not a finite number; correct it, or read the column as text".to_owned())
}

/// Parses JSON text. The error does not include the text.
pub(super) fn json(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err(EMPTY.to_owned());
    }
    let value = serde_json::from_str(text)
        .map_err(|error| format!("contains invalid JSON at character {}; correct it", error.column()))?;
    if has_inexact_integer(text) { Err(inexact()) } else { Ok(value) }
}

fn inexact() -> String {
    "contains an integer that JSON programs cannot read exactly; write it as text".to_owned()
}

/// Returns whether valid JSON contains an integer that does not fit into 64 bits and would be
/// rounded.
pub(super) fn has_inexact_integer(json: &str) -> bool {
    let mut bytes = json.bytes().enumerate().peekable();
    while let Some((start, byte)) = bytes.next() {
        match byte {
            b'"' => {
                while let Some((_, byte)) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'-' | b'0'..=b'9' => {
                let mut end = start + 1;
                while bytes
                    .next_if(|(_, b)| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
                    .is_some()
                {
                    end += 1;
                }
                let number = &json[start..end];
                let is_integer = !number.contains(['.', 'e', 'E']);
                if is_integer && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

/// Returns the error for an option that names an unknown column.
fn unknown_column(option: &str, name: &str, header: &Header) -> Error {
    let reason = format!(
        "{option}: the column {} does not exist; the columns are {}",
        list(&[name.to_owned()]),
        list(header.names())
    );
    Error::input(header.file(), None, reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_in_both_notations() {
        let cases = [("12", json!(12)), ("-3", json!(-3)), ("+4", json!(4)), (" 1.5 ", json!(1.5)), ("007", json!(7))];
        for (text, value) in cases {
            assert_eq!(number(text, false).unwrap(), value, "{text}");
        }
        assert_eq!(number("1,5", true).unwrap(), json!(1.5));
        assert_eq!(number("18446744073709551615", false).unwrap(), json!(u64::MAX));
    }

    #[test]
    fn ambiguous_and_invalid_numbers_are_rejected() {
        for text in ["1,5", "1.234,5", "", " ", "n/a", "NaN", "inf", "1e999", "0x10", "--1", "-", ".", "1 000"] {
            assert!(number(text, false).is_err(), "{text}");
        }
        for text in ["1.5", "1.234,5", "1,2,3"] {
            assert!(number(text, true).is_err(), "{text}");
        }
        assert!(number("123456789012345678901", false).unwrap_err().contains("write it as text"));
    }

    #[test]
    fn integers_beyond_64_bits_are_found_outside_of_texts() {
        assert!(has_inexact_integer(r#"{"id":[1,123456789012345678901]}"#));
        for text in [r#"{"id":"123456789012345678901"}"#, r#"["\"", 18446744073709551615, -1, 1e30, 6.02e23]"#] {
            assert!(!has_inexact_integer(text), "{text}");
        }
    }
}
