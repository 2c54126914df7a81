//! The forms of inputs: `NAME=TEXT`, `NAME:=JSON`, `NAME=@FILE` and JSON objects.
//!
//! A parsed input has the same value when it is written again in each form. An error does not show
//! the value. The lines of the input are a name and an argument; the rest is a text and JSON.
#![no_main]
#![allow(dead_code)]

#[path = "../../src/exit.rs"]
mod exit;
#[path = "../../src/failure.rs"]
mod failure;
#[path = "../../src/inputs.rs"]
mod inputs;
#[path = "../../src/options.rs"]
mod options;
#[path = "../../src/text.rs"]
mod text;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use inputs::{Values, object, pairs};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SECRET: &str = "S3CRET";

/// A file in memory, if the system has one.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    folder.join(format!("fetch-hive-fuzz-{}.txt", std::process::id()))
});

fuzz_target!(|input: &str| {
    let mut parts = input.splitn(3, '\n');
    let mut part = || parts.next().unwrap_or_default();
    let (name, argument, text) = (part(), part(), part());

    // Other files are not read.
    if !argument.split_once('=').is_some_and(|(_, value)| value.starts_with('@')) {
        if let Ok(values) = parse(argument) {
            let (name, value) = values.first_key_value().unwrap();
            let again = parse(&format!("{name}:={}", value.get())).unwrap();
            assert_eq!(again.first_key_value().map(|(name, value)| (name, value.get())), Some((name, value.get())));
        }
    }
    if !argument.contains(SECRET) {
        check_errors(argument, text);
    }
    check_name(name, text);
    check_object(text);
});

fn parse(argument: &str) -> failure::Result<Values> {
    pairs("--input", &[argument.to_owned()])
}

/// Checks that no error shows the value.
fn check_errors(argument: &str, text: &str) {
    for argument in
        [format!("{argument}={SECRET}"), format!("{argument}:={SECRET}{text}"), format!("{argument}{SECRET}")]
    {
        let is_in_value =
            argument.split_once('=').is_some_and(|(_, value)| !value.starts_with('@') && value.contains(SECRET));
        if is_in_value {
            if let Err(failure) = parse(&argument) {
                assert!(!format!("{failure:?}").contains(SECRET), "{failure:?}");
            }
        }
    }
}

/// Checks that each form has the same value.
fn check_name(name: &str, text: &str) {
    if name.is_empty() || name.contains('=') || name.ends_with(':') {
        return;
    }
    let value = |argument: &str| {
        let values = parse(argument).unwrap();
        assert_eq!(values.len(), 1);
        values[name].get().to_owned()
    };
    let json = Value::from(text).to_string();
    assert_eq!(value(&format!("{name}:={json}")), json);
    assert_eq!(value(&format!("{name}={}", escaped(text))), json);
    std::fs::write(&*FILE, text).unwrap();
    assert_eq!(value(&format!("{name}=@{}", FILE.display())), json);
    std::fs::write(&*FILE, format!("\u{feff}{json}\n")).unwrap();
    assert_eq!(value(&format!("{name}:=@{}", FILE.display())), json);
    assert!(pairs("--input", &[format!("{name}=a"), format!("{name}:=1")]).is_err());
}

/// Writes a text for `NAME=TEXT`, where a backslash before `@` is removed.
fn escaped(text: &str) -> String {
    if text.trim_start_matches('\\').starts_with('@') { format!("\\{text}") } else { text.to_owned() }
}

fn check_object(text: &str) {
    let expected = serde_json::from_str::<Values>(text);
    match object("--inputs", text) {
        Ok(values) => {
            let texts = |values: &Values| -> Vec<_> {
                values.iter().map(|(name, value)| (name.clone(), value.get().to_owned())).collect()
            };
            assert!(text.starts_with('\u{feff}') || texts(&values) == texts(&expected.unwrap()));
            let written = serde_json::to_string(&values).unwrap();
            assert_eq!(texts(&object("--inputs", &written).unwrap()), texts(&values));
        }
        Err(_) => assert!(expected.is_err()),
    }
    if text.contains(SECRET) {
        return;
    }
    // A secret before or after the text makes it invalid, and the error does not show it.
    for invalid in [format!("{SECRET}{text}"), format!("{text}{SECRET}")] {
        let failure = object("--inputs", &invalid).unwrap_err();
        assert!(!format!("{failure:?}").contains(SECRET), "{failure:?}");
    }
}
