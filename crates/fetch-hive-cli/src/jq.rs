//! The filters of `--jq`.

use jaq_core::data::JustLut;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, unwrap_valr};
use jaq_json::{Val, read};

use crate::failure::{Failure, Result};

type Filter = jaq_core::Filter<JustLut<Val>>;

/// Checks a filter, so that an invalid one is reported before anything is sent.
pub(crate) fn check(filter: &str) -> Result<()> {
    compile(filter).map(drop)
}

/// Applies a filter to a JSON text, and returns one line per result. Strings are returned without
/// quotes.
pub(crate) fn apply(filter: &str, json: &[u8]) -> Result<Vec<String>> {
    let filter = compile(filter)?;
    let failed = |reason: String| Failure::other(format!("--jq: {reason}"));
    let input = read::parse_single(json).map_err(|_| failed("the response is not JSON".to_owned()))?;
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let results = filter.id.run((context, input)).map(unwrap_valr);
    results
        .map(|result| match result {
            Ok(Val::TStr(text)) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(value) => Ok(value.to_string()),
            Err(error) => Err(failed(error.to_string())),
        })
        .collect()
}

fn compile(filter: &str) -> Result<Filter> {
    let invalid = |reason: String| {
        Failure::usage(format!("--jq: {reason}")).next("see https://jqlang.org/manual for the syntax of filters")
    };
    let arena = Arena::default();
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let modules = Loader::new(defs)
        .load(&arena, File { code: filter, path: () })
        .map_err(|_| invalid(format!("`{filter}` is not a valid filter")))?;
    Compiler::default().with_funs(funs).compile(modules).map_err(|errors| {
        let names = errors.iter().flat_map(|(_, errors)| errors).map(|(name, _)| (*name).to_owned());
        invalid(format!("unknown name: {}", names.collect::<Vec<_>>().join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn strings_are_printed_without_quotes() {
        let json = br#"{"agents":[{"name":"a","n":1},{"name":"b","n":2.50}],"z":null}"#;
        assert_eq!(apply(".agents[].name", json).unwrap(), ["a", "b"]);
        assert_eq!(apply(".agents | length", json).unwrap(), ["2"]);
        assert_eq!(apply(".agents[0]", json).unwrap(), [r#"{"name":"a","n":1}"#]);
        assert_eq!(apply("[.agents[] | select(.n > 1) | .name]", json).unwrap(), [r#"["b"]"#]);
        assert_eq!(apply("empty", json).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn invalid_filters_are_usage_errors() {
        for filter in [".[", "nosuch"] {
            assert_eq!(check(filter).unwrap_err().exit, Exit::Usage, "{filter}");
        }
        assert_eq!(apply(".agents + 1", br#"{"agents":[]}"#).unwrap_err().exit, Exit::Other);
        assert_eq!(apply(".", b"<html>").unwrap_err().exit, Exit::Other);
    }
}
