//! The forms of inputs and metadata on the command line.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::failure::{Failure, Result};
use crate::options::InputArgs;

/// Values by name, as JSON texts, so that numbers are sent as they were written.
pub(crate) type Values = BTreeMap<String, Box<RawValue>>;

impl InputArgs {
    /// Reads the inputs: the file first, and then the options.
    pub(crate) fn inputs(&self) -> Result<Values> {
        let mut values = match &self.inputs {
            Some(path) => object_file("--inputs", path)?,
            None => Values::new(),
        };
        values.extend(pairs("--input", &self.input)?);
        Ok(values)
    }

    /// Reads the metadata.
    pub(crate) fn metadata(&self) -> Result<Values> {
        pairs("--metadata", &self.metadata)
    }
}

/// Parses several `NAME=VALUE` arguments.
pub(crate) fn pairs(option: &str, arguments: &[String]) -> Result<Values> {
    let mut values = Values::new();
    for argument in arguments {
        let (name, value) = pair(option, argument)?;
        if values.insert(name.clone(), value).is_some() {
            return Err(Failure::usage(format!("{option} {name} is set twice")).next("remove one of them"));
        }
    }
    Ok(values)
}

/// Parses one argument. The value is not part of an error, because it may be confidential.
fn pair(option: &str, argument: &str) -> Result<(String, Box<RawValue>)> {
    let forms = "use NAME=TEXT, NAME:=JSON, NAME=@FILE, NAME:=@FILE.json, or NAME=\\@TEXT for a text that starts \
                 with an at sign";
    let Some((name, value)) = argument.split_once('=') else {
        return Err(Failure::usage(format!("{option} has no `=`")).next(forms));
    };
    let (name, is_json) = match name.strip_suffix(':') {
        Some(name) => (name, true),
        None => (name, false),
    };
    if name.is_empty() {
        return Err(Failure::usage(format!("{option} has no name before `=`")).next(forms));
    }
    let file = value.strip_prefix('@').map(Path::new);
    let text = match file {
        Some(path) => read_text(path)?,
        None if is_json => value.to_owned(),
        None => unescaped(value).to_owned(),
    };
    let value = if is_json {
        let text = text.trim_start_matches('\u{feff}').trim().to_owned();
        RawValue::from_string(text).map_err(|error| match file {
            Some(path) => {
                let path = shown(path);
                Failure::usage(format!("{option} {name}: {path} is not valid JSON: {}", place(&error)))
                    .next(format!("correct {path}; for text, use {name}=@{path}"))
            }
            None => Failure::usage(format!("{option} {name} is not valid JSON: {}", place(&error)))
                .next(format!("quote JSON for the shell, such as {name}:='[\"a\",1]'; for text, use {name}=TEXT")),
        })?
    } else {
        serde_json::value::to_raw_value(&text).map_err(|error| Failure::other(error.to_string()))?
    };
    Ok((name.to_owned(), value))
}

/// Removes one backslash of those before a leading `@`, so that any text can be written.
fn unescaped(text: &str) -> &str {
    text.strip_prefix('\\').filter(|rest| rest.trim_start_matches('\\').starts_with('@')).unwrap_or(text)
}

/// Reads a file with a JSON object.
pub(crate) fn object_file(option: &str, path: &Path) -> Result<Values> {
    object(&format!("{option}: {}", shown(path)), &read_text(path)?)
}

/// Parses a JSON object.
pub(crate) fn object(what: &str, text: &str) -> Result<Values> {
    let text = text.trim_start_matches('\u{feff}');
    serde_json::from_str(text).map_err(|error| {
        let found = serde_json::from_str::<Value>(text).map_or_else(|_| place(&error), |value| kind(&value).to_owned());
        Failure::usage(format!("{what} is not a JSON object: {found}"))
            .next("write an object such as {\"topic\": \"AI\"}")
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object with an invalid value",
    }
}

/// The message of the parser may quote the text.
fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// Reads a text file, or standard input for `-`.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|_| {
        Failure::usage(format!("{} is not UTF-8 text", shown(path)))
            .next("convert it, or upload it with `fetch-hive asset upload`")
    })
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str() != "-" {
        return std::fs::read(path).map_err(|error| Failure::file("read", path, &error));
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    Ok(bytes)
}

fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(argument: &str) -> String {
        pair("--input", argument).unwrap().1.get().to_owned()
    }

    #[test]
    fn every_form_is_parsed() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("brief.md");
        let json = folder.path().join("list.json");
        std::fs::write(&text, "# Brief\n").unwrap();
        std::fs::write(&json, "\u{feff}[1.10, 2]\n").unwrap();
        for (argument, expected) in [
            ("k=v".to_owned(), r#""v""#),
            ("k=".to_owned(), r#""""#),
            ("k=a=b".to_owned(), r#""a=b""#),
            ("k=\"q\"".to_owned(), r#""\"q\"""#),
            ("k:=1.10".to_owned(), "1.10"),
            ("k:={\"z\":1,\"a\":[true]}".to_owned(), "{\"z\":1,\"a\":[true]}"),
            ("k=\\@x".to_owned(), r#""@x""#),
            ("k=\\\\@x".to_owned(), r#""\\@x""#),
            ("k=\\x".to_owned(), r#""\\x""#),
            (format!("k=@{}", text.display()), r##""# Brief\n""##),
            (format!("k:=@{}", json.display()), "[1.10, 2]"),
        ] {
            assert_eq!(value(&argument), expected, "{argument}");
        }
    }

    #[test]
    fn invalid_forms_name_the_input_and_not_its_value() {
        for (argument, expected) in [
            ("novalue", "has no `=`"),
            ("=v", "has no name"),
            ("k:=hush", "k is not valid JSON"),
            ("k=@/nonexistent/file", "cannot read"),
        ] {
            let failure = pair("--input", argument).unwrap_err();
            assert!(failure.text.contains(expected), "{argument}: {failure}");
            assert!(!failure.text.contains("hush"), "{failure}");
        }
        assert!(pairs("--input", &["a=1".to_owned(), "a=2".to_owned()]).is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.json");
        let shown = path.display().to_string();
        for (text, expected) in [("[1]", "is not a JSON object: an array"), ("{\"a\":", "line 1, column 5")] {
            std::fs::write(&path, text).unwrap();
            let failure = object_file("--inputs", &path).unwrap_err();
            assert!(failure.text.contains(expected) && failure.text.contains(&shown), "{failure}");
        }
        let failure = pair("--input", &format!("topic:=@{shown}")).unwrap_err();
        assert!(failure.text.contains(&shown) && failure.text.contains("topic"), "{failure}");
    }

    #[test]
    fn options_override_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("row.json");
        std::fs::write(&path, r#"{"topic":"old","n":1}"#).unwrap();
        let arguments =
            InputArgs { input: vec!["topic=new".to_owned()], inputs: Some(path), metadata: Vec::new(), user: None };
        let inputs = arguments.inputs().unwrap();
        assert_eq!((inputs["topic"].get(), inputs["n"].get()), ("\"new\"", "1"));
    }
}
