use std::path::PathBuf;
use std::time::Duration;

use fetch_hive_batch::{
    Batch, End, Error, Export, Expr, Fingerprint, Format, Mapping, ReadOptions, Resolution, RowResult, RowStatus, Rows,
    RunLabel, Sample, Stop, Target,
};
use fetch_hive_client::Client;
use fetch_hive_client::callback::{PendingRuns as _, RawDelivery, RunToken};
use fetch_hive_store::Store;
use fetch_hive_store::batches::{BatchState, RowUpdate, Start, StartRequest};
use http::HeaderMap;
use serde_json::json;

use super::{BODY, BREAKS, KEY, Printed};

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
        fetch_hive_batch::RunLabel<'static> = RunLabel::new("b", 1);
        fetch_hive_batch::RunRequest = request;
        fetch_hive_batch::SkippedRow = rows.skipped()[0].clone();
        fetch_hive_batch::Target = Target::Agent("a".to_owned());
        fetch_hive_batch::Written = written;
        fetch_hive_batch::Rows = rows;
    }
}

/// Prints the types of a batch in a store, whose rows, templates and results contain the body.
pub(crate) async fn stored_batch(printed: &mut Printed) {
    let folder = std::env::temp_dir().join(format!("fetch-hive-redaction-batch-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let store = Store::open(folder.join("runs.db")).await.unwrap();
    let mapping = Mapping::workflow("w").input("x", "text").template("t", BODY).input("c", Expr::constant(BODY));
    let rows = || Rows::from_iter(["id", "text"], [json!([1, BODY])]).unwrap();
    let builder = Batch::builder("b").id_column("id");
    printed.debug("fetch_hive_batch::BatchBuilder", &builder);
    let batch = builder.create(&store, rows(), &mapping).await.unwrap();
    let other = mapping.clone().input("d", Expr::constant(KEY));
    printed.error("fetch_hive_batch::Error", &Batch::create(&store, "b", rows(), &other).await.unwrap_err());
    printed.error("fetch_hive_batch::Error", &Batch::open(&store, "none").await.unwrap_err());

    let client = Client::builder().api_key(KEY).build().unwrap();
    let limiter = store.run_limiter("plan", 1);
    let worker = batch.worker(&client, &limiter);
    let batches = store.batches();
    let request = StartRequest::new("key-1", Duration::from_secs(60));
    let Start::Started(started) = batches.start(batch.id(), &limiter, request.clone()).await.unwrap() else { panic!() };
    let token = RunToken::random().unwrap();
    store.pending_runs().for_row(batch.id(), 1, 1).open(&token).await.unwrap();
    let mut update = RowUpdate::new(1, 1, RowStatus::Accepted, "accepted");
    update.result = Some(serde_json::to_vec(&json!({"output": BODY})).unwrap());
    update.look_up_in = Some(Duration::ZERO);
    assert!(batches.update(batch.id(), &update).await.unwrap());
    store.pending_runs().deliver(&token, RawDelivery::new(HeaderMap::new(), BODY), true).await.unwrap();
    let end = End::Spilled { path: folder.join("spill"), results: 1 };
    let sample = Sample::default();
    print! { printed, debug:
        fetch_hive_batch::Batch = batch.clone();
        fetch_hive_batch::End = end;
        fetch_hive_batch::Progress = batch.progress().await.unwrap();
        fetch_hive_batch::Resolution = Resolution::Ran;
        fetch_hive_batch::Sample = sample;
        fetch_hive_batch::Stop = Stop::new();
        fetch_hive_batch::RowReport = batch.rows(RowStatus::Accepted, 0, 1).await.unwrap().remove(0);
        fetch_hive_batch::Worker = worker;
        fetch_hive_store::batches::Attempt = batches.attempts(batch.id(), None).await.unwrap().remove(0);
        fetch_hive_store::batches::BatchRecord = Batch::list(&store).await.unwrap().remove(0);
        fetch_hive_store::batches::BatchState = BatchState::Running;
        fetch_hive_store::batches::DueRow = batches.take_due(batch.id(), Duration::ZERO, 1).await.unwrap().remove(0);
        fetch_hive_store::batches::RowEvent = batches.events(batch.id(), 1).await.unwrap().remove(0);
        fetch_hive_store::batches::RowStatus = RowStatus::Unknown;
        fetch_hive_store::batches::RowUpdate = update;
        fetch_hive_store::batches::StartedRow = started;
        fetch_hive_store::batches::StartRequest = request.clone();
        fetch_hive_store::batches::Start = batches.start(batch.id(), &limiter, request).await.unwrap();
        fetch_hive_store::batches::StoreBatches = batches.clone();
        fetch_hive_store::batches::StoredRow = batches.rows(batch.id(), None, 0, 1).await.unwrap().remove(0);
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Returns the error of a row.
fn rejected(options: &ReadOptions, path: PathBuf) -> Error {
    options.open(path).unwrap().find_map(Result::err).unwrap()
}
