//! JSONL files and rows of the program.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use fetch_hive_batch::{Format, Header, ReadOptions, Rows};
use serde::Serialize;
use serde_json::json;
use support::{error, read};

#[test]
fn columns_are_the_fields_of_all_lines_in_order() {
    let file = "{\"z\": 1, \"a\": \"x\"}\r\n\n{\"late\": null, \"a\": [1]}\n{\"z\": {\"k\": 1.50}}";
    let (header, rows) = read("a.jsonl", file, &ReadOptions::new()).unwrap();
    assert_eq!(header, ["z", "a", "late"]);
    let lines: Vec<_> = rows.iter().map(|row| row.line().unwrap()).collect();
    assert_eq!(lines, [1, 3, 4]);
    assert_eq!((rows[0].get(0), rows[0].get(2)), (Some(&json!(1)), None));
    assert_eq!((rows[1].get(0), rows[1].get(2)), (None, Some(&json!(null))));
    assert_eq!(rows[2].get(0), Some(&json!({"k": 1.5})));
}

#[test]
fn mark_and_encoding_are_read() {
    let (header, rows) = read("a.ndjson", "\u{feff}{\"ä\": \"ö\"}\n", &ReadOptions::new()).unwrap();
    assert_eq!((header[0].as_str(), rows[0].get(0)), ("ä", Some(&json!("ö"))));
    let (_, rows) = read("a.jsonl", b"{\"a\": \"\xe4\"}\n", &ReadOptions::new().encoding("latin1")).unwrap();
    assert_eq!(rows[0].get(0), Some(&json!("ä")));
}

#[test]
fn defects_have_a_line_and_hide_the_content() {
    for (line, part) in [
        ("[\"secret\"]", "line 2: is not a JSON object; write one object per line"),
        ("\"secret\"", "line 2: is not a JSON object"),
        ("{\"secret\"", "line 2: ends within a JSON object; write each object in one line"),
        ("{\"a\": secret}", "line 2: contains invalid JSON at character"),
        ("{\"a\": 1} x", "line 2: contains invalid JSON at character"),
        ("{\"b\": 1, \"b\": \"secret\"}", "line 2: the field \"b\" occurs twice"),
        ("{\"a\": 12345678901234567890123}", "line 2: contains an integer that JSON programs cannot read exactly"),
    ] {
        let message = error("a.jsonl", format!("{{\"a\": 1}}\n{line}\n{{\"a\": 3}}\n"), &ReadOptions::new());
        assert!(message.contains(part) && !message.contains("secret"), "{message}");
    }
    assert!(error("a.jsonl", b"{\"a\": \"\xff\"}", &ReadOptions::new()).contains("line 1: contains bytes"));
    assert!(error("a.jsonl", "\n\n", &ReadOptions::new()).contains("contains no objects"));
    assert!(error("a.jsonl", "{\"\": 1}", &ReadOptions::new()).contains("column 1 has no name"));
    let line = |line: usize| {
        let fields: Vec<_> = (0..1000).map(|field| format!("\"f{line}-{field}\":1")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let many = (0..20).map(line).collect::<Vec<_>>().join("\n");
    assert!(error("a.jsonl", many, &ReadOptions::new()).contains("more than 16384 different fields"));
}

#[test]
fn format_can_be_set() {
    let (_, rows) = read("a.log", "{\"a\": 1}\n", &ReadOptions::new().format(Format::Jsonl)).unwrap();
    assert_eq!(rows.len(), 1);
}

#[test]
fn columns_convert_texts() {
    let options = ReadOptions::new().number_columns(["n"]).json_columns(["j"]);
    let (_, rows) = read("a.jsonl", "{\"n\": \"1.5\", \"j\": \"{}\"}\n{\"n\": 2, \"j\": []}\n", &options).unwrap();
    assert_eq!((rows[0].get(0), rows[0].get(1)), (Some(&json!(1.5)), Some(&json!({}))));
    assert_eq!((rows[1].get(0), rows[1].get(1)), (Some(&json!(2)), Some(&json!([]))));
}

#[derive(Serialize)]
struct Review {
    id: u32,
    text: Option<&'static str>,
}

#[test]
fn values_of_the_program_are_rows() {
    let reviews = [Review { id: 1, text: Some("good") }, Review { id: 2, text: None }];
    let rows = Rows::from_iter(["id", "text"], reviews).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!((rows[0].get(0), rows[0].get(1)), (Some(&json!(1)), Some(&json!("good"))));
    assert_eq!((rows[1].get(1), rows[1].number(), rows[1].line()), (Some(&json!(null)), 2, None));
    let tuples = Rows::from_iter(["a", "b"], [(1, ""), (2, "x")]).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!((tuples.len(), tuples[0].get(1)), (2, Some(&json!(""))));
}

#[test]
fn values_that_do_not_fit_the_header_are_errors() {
    let message = |row: serde_json::Value| {
        let mut rows = Rows::from_iter(["a", "b"], [json!([1, 2]), row]).unwrap();
        rows.next().unwrap().unwrap();
        rows.next().unwrap().unwrap_err().to_string()
    };
    assert!(message(json!([1])).starts_with("row 2: the row has 1 cells, but the header has 2"));
    assert!(message(json!({"a": 1, "c": 2})).starts_with("row 2: the header does not contain the field \"c\""));
    assert!(message(json!("a")).starts_with("row 2: the row must serialize to an object or an array"));
    assert!(Header::new(["a", "a"]).is_err() && Header::new([""; 1]).is_err() && Header::new([""; 0]).is_err());
}

#[test]
fn items_of_a_stream_are_rows() {
    let header = Header::new(["id", "text"]).unwrap();
    let row = header.row(7, Review { id: 1, text: Some("good") }).unwrap();
    assert_eq!((row.number(), row.get(1)), (7, Some(&json!("good"))));
    assert!(header.row(7, 1).unwrap_err().to_string().starts_with("row 7: "));
}
