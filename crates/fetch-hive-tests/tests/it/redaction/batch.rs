use std::path::PathBuf;

use fetch_hive_batch::{
    Error, Export, Expr, Fingerprint, Format, Mapping, ReadOptions, RowResult, RowStatus, Rows, RunLabel, Target,
};
use serde_json::json;

use super::{BODY, BREAKS, Printed};

pub(crate) fn batch(printed: &mut Printed) {
    let folder = std::env::temp_dir().join(format!("fetch-hive-redaction-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let name = |start: &str, end: &str| folder.join(format!("{start}{}{end}", BREAKS.iter().collect::<String>()));
    let write = |content: String| {
        let path = name("in", ".csv");
        std::fs::write(&path, content).unwrap();
        path
    };
    let column: String = format!("a{}", BREAKS.iter().filter(|c| **c != '\r').collect::<String>());
    let options = ReadOptions::new().skip_ragged(true);
    let mut rows = options.open(write(format!("\"{column}\",b\n{BODY},{BODY}\n{BODY}\n"))).unwrap();
    let row = rows.next().unwrap().unwrap();
    assert!(rows.next().is_none());
    let header = rows.header().clone();
    let mapping = Mapping::workflow("w").input("x", "b").template("t", BODY).input("c", Expr::constant(BODY));
    let bound = mapping.bind(&header).unwrap();
    let request = bound.request(&row, RunLabel::new("b", 1)).unwrap();
    let mut fingerprint = Fingerprint::builder(&header, &mapping).unwrap();
    fingerprint.add(&row);
    let result = RowResult {
        output: Some(json!({"k": BODY})),
        error: Some(BODY.to_owned()),
        details: json!({"k": BODY}).as_object().unwrap().clone(),
        ..RowResult::new(RowStatus::Failed)
    };
    let export = Export::csv(name("out", ".csv"));
    let mut writer = export.create(&header).unwrap();
    writer.write(&row, &result).unwrap();
    printed.debug("fetch_hive_batch::ResultWriter", &writer);
    let written = writer.finish().unwrap();

    let errors = [
        Rows::open(name("missing", ".csv")).unwrap_err(),
        Rows::open(name("file", ".pdf")).unwrap_err(),
        Rows::open(write(format!("\"{column}\",\"{column}\"\n"))).unwrap_err(),
        rejected(&ReadOptions::new(), write(format!("a,b\n{BODY}\n"))),
        rejected(&ReadOptions::new(), write(format!("a,b\n\"{BODY}\"{BODY},\n"))),
        rejected(&ReadOptions::new().number_columns(["b"]), write(format!("a,b\n1,{BODY}\n"))),
        rejected(&ReadOptions::new().json_columns(["b"]), write(format!("a,b\n1,{BODY}\n"))),
        mapping.clone().input("y", format!("{column}?")).bind(&header).unwrap_err(),
        Mapping::workflow("w").template(&column, format!("{{{{ {BODY}")).bind(&header).unwrap_err(),
        Mapping::workflow("w")
            .template(&column, "{{ b | int }}")
            .bind(&header)
            .unwrap()
            .request(&row, RunLabel::new("b", 1))
            .unwrap_err(),
        Export::csv(header.file().unwrap()).check(&header).unwrap_err(),
    ];
    for error in &errors {
        printed.error("fetch_hive_batch::Error", error);
    }
    std::fs::remove_dir_all(&folder).unwrap();

    print! { printed, debug:
        fetch_hive_batch::BoundMapping = bound;
        fetch_hive_batch::Dialect = header.dialect().cloned().unwrap_or_default();
        fetch_hive_batch::Export = export;
        fetch_hive_batch::Expr = Expr::template(BODY);
        fetch_hive_batch::FingerprintBuilder = Fingerprint::builder(&header, &mapping).unwrap();
        fetch_hive_batch::Fingerprint = fingerprint.finish();
        fetch_hive_batch::Format = Format::Csv;
        fetch_hive_batch::Header = (*header).clone();
        fetch_hive_batch::Mapping = mapping;
        fetch_hive_batch::ReadOptions = options;
        fetch_hive_batch::Row = row;
        fetch_hive_batch::RowResult = result;
        fetch_hive_batch::RowStatus = RowStatus::Unknown;
        fetch_hive_batch::RunLabel<'static> = RunLabel::new("b", 1);
        fetch_hive_batch::RunRequest = request;
        fetch_hive_batch::SkippedRow = rows.skipped()[0].clone();
        fetch_hive_batch::Target = Target::Agent("a".to_owned());
        fetch_hive_batch::Written = written;
        fetch_hive_batch::Rows = rows;
    }
}

/// Returns the error of a row.
fn rejected(options: &ReadOptions, path: PathBuf) -> Error {
    options.open(path).unwrap().find_map(Result::err).unwrap()
}
