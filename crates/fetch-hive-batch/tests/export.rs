//! Results in all formats.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use std::fs;
use std::sync::Arc;

use fetch_hive_batch::{
    Dialect, Error, Export, Header, ReadOptions, Row, RowResult, RowStatus, Rows, Written, output_keys,
};
use serde_json::{Value, json};
use support::{Folder, open, texts};

fn succeeded(output: impl Into<Value>) -> RowResult {
    RowResult {
        request_id: Some("req_1".into()),
        output: Some(output.into()),
        attempts: 1,
        started_at: Some("2026-05-26T09:30:00Z".into()),
        seconds: Some(1.5),
        tokens: Some(120),
        ..RowResult::new(RowStatus::Succeeded)
    }
}

fn rows(header: &[&str], cells: &[Value]) -> (Arc<Header>, Vec<Row>) {
    let rows = Rows::from_iter(header.iter().copied(), cells.to_vec()).unwrap();
    (Arc::clone(rows.header()), rows.collect::<Result<_, _>>().unwrap())
}

fn export(export: &Export, header: &Arc<Header>, rows: &[Row], results: &[RowResult]) -> Result<Written, Error> {
    let mut writer = export.create(header)?;
    for (row, result) in rows.iter().zip(results) {
        writer.write(row, result)?;
    }
    writer.finish()
}

/// Exports a file with the same result for each row, and returns the bytes.
fn round_trip(folder: &Folder, input: impl AsRef<[u8]>, output: &str) -> Vec<u8> {
    let input = folder.write("input.csv", input);
    let (opened, rows) = open(&input);
    let results = vec![succeeded(output); rows.len()];
    let path = folder.path("results.csv");
    export(&Export::csv(&path), opened.header(), &rows, &results).unwrap();
    fs::read(path).unwrap()
}

#[test]
fn csv_has_the_original_columns_and_the_result() {
    let folder = Folder::new();
    let path = folder.path("results.csv");
    let (header, rows) = rows(&["id", "text"], &[json!(["007", "a,\"b\"\nc"]), json!({"id": 2}), json!([true, null])]);
    let results = [
        succeeded(json!({"k": ["ä"]})),
        RowResult { error: Some("no credit".to_owned()), ..RowResult::new(RowStatus::Rejected) },
        RowResult::new(RowStatus::Ready),
    ];
    let written = export(&Export::csv(&path), &header, &rows, &results).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "id,text,status,request_id,output,error,attempts,started_at,seconds,tokens\r\n\
         007,\"a,\"\"b\"\"\nc\",succeeded,req_1,\"{\"\"k\"\":[\"\"ä\"\"]}\",,1,2026-05-26T09:30:00Z,1.5,120\r\n\
         2,,rejected,,,no credit,0,,,\r\n\
         true,,ready,,,,0,,,\r\n"
    );
    assert_eq!((written.path(), written.warning(), written.rows()), (path.as_path(), None, 3));
    let counts = [RowStatus::Succeeded, RowStatus::Rejected, RowStatus::Ready, RowStatus::Unknown];
    assert_eq!(counts.map(|status| written.count(status)), [1, 1, 1, 0]);
    assert_eq!(folder.names(), ["results.csv"]);
}

#[test]
fn csv_keeps_the_dialect_of_the_input() {
    let folder = Folder::new();
    let header = ";status;request_id;output;error;attempts;started_at;seconds;tokens";
    let result = ";succeeded;req_1;größer;;1;2026-05-26T09:30:00Z;1.5;120";
    for (mark, end) in [("", "\n"), ("\u{feff}", "\r\n"), ("", "\r")] {
        let input = format!("{mark}a;b{end}ä;1,5{end}");
        let expected = format!("{mark}a;b{header}{end}ä;\"1,5\"{result}{end}");
        assert_eq!(String::from_utf8(round_trip(&folder, input, "größer")).unwrap(), expected);
    }
    let tabs = String::from_utf8(round_trip(&folder, "a\tb\n1\t2\n", "x\ty")).unwrap();
    assert!(tabs.starts_with("a\tb\tstatus\t") && tabs.contains("\t\"x\ty\"\t"), "{tabs}");
}

#[test]
fn csv_keeps_the_encoding_of_the_input() {
    let folder = Folder::new();
    for (encode, encoding) in
        [(u16::to_le_bytes as fn(u16) -> [u8; 2], encoding_rs::UTF_16LE), (u16::to_be_bytes, encoding_rs::UTF_16BE)]
    {
        let input: Vec<u8> = "\u{feff}a;b\r\nä;🐝\r\n".encode_utf16().flat_map(encode).collect();
        let bytes = round_trip(&folder, input, "größer 🐝");
        assert_eq!(encoding_rs::Encoding::for_bom(&bytes).unwrap().0, encoding);
        let (text, malformed) = encoding.decode_with_bom_removal(&bytes);
        assert!(!malformed && text.contains("ä;🐝;succeeded;req_1;größer 🐝;"), "{text}");
    }
    let input = folder.write("latin.csv", b"a;b\r\n\xe4;1\r\n");
    let opened = ReadOptions::new().encoding("windows-1252").open(&input).unwrap();
    let header = Arc::clone(opened.header());
    let rows: Vec<_> = opened.map(Result::unwrap).collect();
    let path = folder.path("results.csv");
    export(&Export::csv(&path), &header, &rows, &[succeeded("größer €")]).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.windows(13).any(|window| window == b"\xe4;1;succeeded"), "{bytes:?}");
    assert!(bytes.windows(8).any(|window| window == b"gr\xf6\xdfer \x80"));
}

/// The blank line hides the mark or the signature in the input.
#[test]
fn header_like_a_mark_or_a_workbook_is_read_back() {
    let folder = Folder::new();
    for bytes in [b"\n\xfe\xffa,b\n".as_slice(), b"\n\xef\xbb\xbf,b\n", b"\nPK\x03\x04,b\n"] {
        let options = ReadOptions::new().encoding("windows-1252");
        let rows = options.open(folder.write("a.csv", bytes)).unwrap();
        let csv = Export::csv(folder.path("results.csv"));
        export(&csv, rows.header(), &[], &[]).unwrap();
        let written = options.open(folder.path("results.csv")).unwrap();
        assert_eq!(written.header().names()[..2], *rows.header().names());
    }
}

/// The encoders of these encodings replace such a character by a similar one.
#[test]
fn character_that_an_encoder_would_replace_is_an_error() {
    let folder = Folder::new();
    for (encoding, text, character) in [
        ("iso-2022-jp", "\u{ff6c}", "U+FF6C"),
        ("shift_jis", "\u{a5}5", "U+00A5"),
        ("shift_jis", "a\u{2212}b", "U+2212"),
    ] {
        let rows = Rows::from_iter(["a"], [json!([text])]).unwrap();
        let header = Arc::clone(rows.header());
        let rows: Vec<_> = rows.map(Result::unwrap).collect();
        let csv = Export::csv(folder.path("results.csv")).encoding(encoding);
        let error = export(&csv, &header, &rows, &[succeeded("")]).unwrap_err().to_string();
        assert!(error.contains(&format!("contains {character}, which {encoding} lacks")), "{error}");
    }
}

#[test]
fn character_that_the_encoding_lacks_is_an_error_with_a_way_out() {
    let folder = Folder::new();
    let input = folder.write("latin.csv", b"a;b\r\n\xe4;1\r\n");
    let opened = ReadOptions::new().encoding("windows-1252").open(&input).unwrap();
    let header = Arc::clone(opened.header());
    let rows: Vec<_> = opened.map(Result::unwrap).collect();
    let csv = Export::csv(folder.path("results.csv"));
    let error = export(&csv, &header, &rows, &[succeeded("🐝")]).unwrap_err().to_string();
    assert!(error.contains("row 1: the column \"output\" contains U+1F41D, which windows-1252 lacks"), "{error}");
    assert_eq!(folder.names(), ["latin.csv"]);
    export(&csv.encoding("utf-8"), &header, &rows, &[succeeded("🐝")]).unwrap();
    assert!(fs::read_to_string(folder.path("results.csv")).unwrap().contains("ä;1;succeeded;req_1;🐝;"));
}

#[test]
fn stateful_encodings_are_completed() {
    let folder = Folder::new();
    let (input, _, _) = encoding_rs::ISO_2022_JP.encode("名前,値\n蜂,1\n");
    let options = ReadOptions::new().encoding("iso-2022-jp");
    let opened = options.open(folder.write("input.csv", input)).unwrap();
    let header = Arc::clone(opened.header());
    let rows: Vec<_> = opened.map(Result::unwrap).collect();
    let path = folder.path("results.csv");
    export(&Export::csv(&path), &header, &rows, &[succeeded("蜂蜜")]).unwrap();
    let read = options.open(&path).unwrap().map(Result::unwrap).next().unwrap();
    assert_eq!((read.get(0), read.get(4)), (Some(&json!("蜂")), Some(&json!("蜂蜜"))));
}

#[test]
fn conversions_do_not_change_the_original_columns() {
    let folder = Folder::new();
    let options = ReadOptions::new().number_columns(["n"]).json_columns(["j"]).decimal_comma(true);
    let opened = options.open(folder.write("input.csv", "n;j\n1,50;{\"b\": 1,  \"a\": 2}\n")).unwrap();
    let header = Arc::clone(opened.header());
    let rows: Vec<_> = opened.map(Result::unwrap).collect();
    export(&Export::csv(folder.path("r.csv")), &header, &rows, &[succeeded("x")]).unwrap();
    let text = fs::read_to_string(folder.path("r.csv")).unwrap();
    assert!(text.contains("\n\"1,50\";\"{\"\"b\"\": 1,  \"\"a\"\": 2}\";succeeded;"), "{text}");
    export(&Export::jsonl(folder.path("r.jsonl")), &header, &rows, &[succeeded("x")]).unwrap();
    let line: Value = serde_json::from_slice(&fs::read(folder.path("r.jsonl")).unwrap()).unwrap();
    assert_eq!((&line["n"], &line["j"]), (&json!(1.5), &json!({"a": 2, "b": 1})));
}

#[test]
fn jsonl_has_everything_in_order() {
    let folder = Folder::new();
    let path = folder.path("results.jsonl");
    let (header, rows) = rows(&["z", "a"], &[json!([{"k": [1, null]}, "x"]), json!({"a": null})]);
    let details = json!({"model": "m"}).as_object().unwrap().clone();
    let results = [RowResult { details, ..succeeded(json!({"n": 1})) }, RowResult::new(RowStatus::Unknown)];
    export(&Export::jsonl(&path).prefix("run_").flatten(["n"]), &header, &rows, &results).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"z\":{\"k\":[1,null]},\"a\":\"x\",\"run_row\":1,\"run_line\":null,\"run_status\":\"succeeded\",\
         \"run_request_id\":\"req_1\",\"run_output\":{\"n\":1},\"run_error\":null,\"run_attempts\":1,\
         \"run_started_at\":\"2026-05-26T09:30:00Z\",\"run_seconds\":1.5,\"run_tokens\":120,\
         \"run_details\":{\"model\":\"m\"},\"run_output.n\":1}\n\
         {\"a\":null,\"run_row\":2,\"run_line\":null,\"run_status\":\"unknown\",\"run_request_id\":null,\
         \"run_output\":null,\"run_error\":null,\"run_attempts\":0,\"run_started_at\":null,\"run_seconds\":null,\
         \"run_tokens\":null,\"run_details\":{},\"run_output.n\":null}\n"
    );
}

#[cfg(feature = "xlsx")]
#[test]
fn xlsx_keeps_texts_and_numbers() {
    let folder = Folder::new();
    let path = folder.path("results.xlsx");
    let cells =
        json!(["00742", 42, 1.5, true, "=1+1", "a\nb\t_x0041_ ä & <", "2024-01-01", 9_007_199_254_740_993_u64, null]);
    let header: Vec<String> = (0..9).map(|column| format!("c{column}")).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let (header, rows) = rows(&header, &[cells]);
    export(&Export::xlsx(&path), &header, &rows, &[succeeded(json!([1]))]).unwrap();
    let (opened, read) = open(&path);
    assert_eq!(
        opened.header().names()[9..],
        ["status", "request_id", "output", "error", "attempts", "started_at", "seconds", "tokens"]
    );
    let read: Vec<_> = (0..17).map(|column| read[0].get(column).unwrap().clone()).collect();
    assert_eq!(
        read[..8],
        [
            json!("00742"),
            json!(42),
            json!(1.5),
            json!(true),
            json!("=1+1"),
            json!("a\nb\t_x0041_ ä & <"),
            json!("2024-01-01"),
            json!("9007199254740993"),
        ]
    );
    assert_eq!(
        read[8..],
        [
            json!(""),
            json!("succeeded"),
            json!("req_1"),
            json!("[1]"),
            json!(""),
            json!(1),
            json!("2026-05-26T09:30:00Z"),
            json!(1.5),
            json!(120),
        ]
    );
}

#[cfg(feature = "xlsx")]
#[test]
fn xlsx_with_control_characters_is_readable() {
    let folder = Folder::new();
    let path = folder.path("results.xlsx");
    let (header, rows) = rows(&["a"], &[json!(["x\u{1}\u{b}\u{fffe}y\r\nz"])]);
    export(&Export::xlsx(&path), &header, &rows, &[succeeded(" padded \u{0}")]).unwrap();
    let (_, read) = open(&path);
    let cell = |column: usize| read[0].get(column).unwrap().as_str().unwrap().to_owned();
    assert!(cell(0).starts_with('x') && cell(0).ends_with('z'), "{:?}", cell(0));
    assert!(cell(3).starts_with(" padded "), "{:?}", cell(3));
}

#[test]
fn outputs_are_flattened() {
    let folder = Folder::new();
    let path = folder.path("results.csv");
    let results = [
        succeeded(json!({"title": "T", "tags": ["a"]})),
        succeeded("{\"title\": \"text\", \"score\": 0.5}"),
        succeeded("{not json"),
        succeeded(json!([1])),
        RowResult::new(RowStatus::Failed),
    ];
    let keys = output_keys(&results);
    assert_eq!(keys, ["tags", "title", "score"]);
    let (header, rows) = rows(&["n"], &[json!([1]), json!([2]), json!([3]), json!([4]), json!([5])]);
    export(&Export::csv(&path).flatten(keys), &header, &rows, &results).unwrap();
    let read = texts("r.csv", fs::read(&path).unwrap(), &ReadOptions::new());
    assert_eq!(read[0][9..], ["output.tags", "output.title", "output.score"]);
    assert_eq!(read[1][9..], ["[\"a\"]", "T", ""]);
    assert_eq!(read[2][9..], ["", "text", "0.5"]);
    assert!(read[3..].iter().all(|row| row[9..] == ["", "", ""]));
    assert_eq!(read[3][3], "{not json");
}

#[test]
fn clashing_names_are_found_before_anything_is_sent() {
    let folder = Folder::new();
    let check = |column: &str, export: Export| {
        let error = export.check(&Header::new(["a", column]).unwrap());
        error.map_err(|error| error.to_string())
    };
    let csv = || Export::csv(folder.path("r.csv"));
    for name in ["status", "request_id", "output", "error", "attempts", "started_at", "seconds", "tokens"] {
        let message = check(name, csv()).unwrap_err();
        assert!(message.contains(&format!("two columns would be named \"{name}\"; set another `prefix`")), "{message}");
        check(name, csv().prefix("run_")).unwrap();
        assert!(check(&format!("run_{name}"), csv().prefix("run_")).is_err());
    }
    for name in ["row", "line", "details"] {
        check(name, csv()).unwrap();
        assert!(check(name, Export::jsonl(folder.path("r.jsonl"))).is_err(), "{name}");
    }
    check("output.k", csv()).unwrap();
    assert!(check("output.k", csv().flatten(["k"])).is_err());
    assert!(check("b", csv().flatten(["k", "k"])).is_err());
    assert!(check("b", Export::jsonl(folder.path("r.jsonl")).encoding("utf-8")).unwrap_err().contains("only to CSV"));
    assert!(check("b", csv().encoding("klingon")).unwrap_err().contains("unknown encoding"));
}

#[test]
fn formulas_are_neutralised_on_request() {
    let folder = Folder::new();
    let path = folder.path("results.csv");
    let (header, rows) = rows(&["=a", "n"], &[json!(["@x", -5]), json!(["-5", "+1"])]);
    let results = [succeeded("=HYPERLINK(\"http://x\")"), succeeded("\t=1")];
    export(&Export::csv(&path), &header, &rows, &results).unwrap();
    assert!(fs::read_to_string(&path).unwrap().contains("\"=HYPERLINK"));
    export(&Export::csv(&path).neutralise_formulas(true), &header, &rows, &results).unwrap();
    let read = texts("r.csv", fs::read(&path).unwrap(), &ReadOptions::new());
    assert_eq!(read[0][..2], ["'=a", "n"]);
    assert_eq!(
        (read[1][0].as_str(), read[1][1].as_str(), read[1][4].as_str()),
        ("'@x", "-5", "'=HYPERLINK(\"http://x\")")
    );
    assert_eq!((read[2][0].as_str(), read[2][1].as_str(), read[2][4].as_str()), ("-5", "+1", "'\t=1"));
}

fn long_cell_exports(folder: &Folder) -> Vec<Export> {
    let csv = Export::csv(folder.path("results.csv"));
    if cfg!(feature = "xlsx") { vec![csv, Export::xlsx(folder.path("results.xlsx"))] } else { vec![csv] }
}

#[test]
fn long_cells_go_to_files() {
    // The limit counts UTF-16 code units, and the bee has two.
    let (fits, text) = ("ä".repeat(32_767), "🐝".repeat(16_384));
    let big = json!(vec!["x".repeat(1000); 40]);
    let folder = Folder::new();
    for export_to in long_cell_exports(&folder) {
        let (header, rows) = rows(&["Review Text"], &[json!([fits]), json!([text])]);
        let written = export(&export_to, &header, &rows, &[succeeded("x"), succeeded(big.clone())]).unwrap();
        let (_, read) = open(written.path());
        assert_eq!(read[0].get(0).unwrap().as_str().unwrap(), fits);
        let content = |cell: &Value| {
            let name = cell.as_str().unwrap().strip_prefix("see file ").unwrap();
            assert!(name.starts_with("results.cells/row-2-"), "{name}");
            fs::read_to_string(folder.path(name)).unwrap()
        };
        assert_eq!(content(read[1].get(0).unwrap()), text);
        assert_eq!(serde_json::from_str::<Value>(&content(read[1].get(3).unwrap())).unwrap(), big);
        assert_eq!(written.long_cells().len(), 2);
    }
    // Both exports name the same two files.
    assert_eq!(fs::read_dir(folder.path("results.cells")).unwrap().count(), 2);
}

#[test]
fn long_cells_stay_on_request_and_in_jsonl() {
    let folder = Folder::new();
    let long = "x".repeat(100_000);
    let (header, rows) = rows(&["a"], &[json!([long])]);
    for export_to in
        [Export::csv(folder.path("results.csv")).keep_long_cells(true), Export::jsonl(folder.path("results.jsonl"))]
    {
        let written = export(&export_to, &header, &rows, &[succeeded("x")]).unwrap();
        assert_eq!(open(written.path()).1[0].get(0), Some(&json!(long)));
        assert_eq!(written.long_cells().len(), 0);
    }
}

#[test]
fn dropped_writer_leaves_nothing() {
    let folder = Folder::new();
    folder.write("results.csv", "before");
    let (header, rows) = rows(&["a"], &[json!(["x".repeat(40_000)])]);
    let mut writer = Export::csv(folder.path("results.csv")).create(&header).unwrap();
    writer.write(&rows[0], &succeeded("x")).unwrap();
    assert_eq!(folder.names().len(), 3);
    drop(writer);
    assert_eq!(folder.names(), ["results.csv"]);
    assert_eq!(fs::read_to_string(folder.path("results.csv")).unwrap(), "before");
}

#[test]
fn earlier_results_are_replaced_only_at_the_end() {
    let folder = Folder::new();
    folder.write("results.csv", "before");
    let (header, rows) = rows(&["a"], &[json!([1])]);
    let mut writer = Export::csv(folder.path("results.csv")).create(&header).unwrap();
    writer.write(&rows[0], &succeeded("x")).unwrap();
    assert_eq!(fs::read_to_string(folder.path("results.csv")).unwrap(), "before");
    writer.finish().unwrap();
    assert!(fs::read_to_string(folder.path("results.csv")).unwrap().starts_with("a,status,"));
}

#[test]
fn input_is_never_overwritten() {
    let folder = Folder::new();
    let input = folder.write("reviews.csv", "a,b\n1,2\n");
    let (opened, _) = open(&input);
    let mut paths = vec![
        input.clone(),
        folder.path("./reviews.csv"),
        folder.0.join("../").join(folder.0.file_name().unwrap()).join("reviews.csv"),
    ];
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&input, folder.path("link.csv")).unwrap();
        paths.push(folder.path("link.csv"));
    }
    // The header may have been stored by another process.
    let stored: Header = serde_json::from_str(&serde_json::to_string(&**opened.header()).unwrap()).unwrap();
    for path in paths {
        for header in [Arc::clone(opened.header()), Arc::new(stored.clone())] {
            let error = Export::csv(&path).create(&header).unwrap_err().to_string();
            assert!(error.contains("is the input, which is never overwritten"), "{error}");
        }
    }
    assert_eq!(fs::read_to_string(&input).unwrap(), "a,b\n1,2\n");
}

#[test]
fn results_get_another_name_if_the_file_cannot_be_replaced() {
    let folder = Folder::new();
    // A folder cannot be replaced by a file, like a file that another program has open on Windows.
    fs::create_dir(folder.path("results.csv")).unwrap();
    folder.write("results (1).csv", "other");
    let (header, rows) = rows(&["a"], &[json!([1])]);
    let written = export(&Export::csv(folder.path("results.csv")), &header, &rows, &[succeeded("x")]).unwrap();
    assert_eq!(written.path(), folder.path("results (2).csv"));
    let warning = written.warning().unwrap();
    assert!(warning.contains("results.csv cannot be replaced") && warning.contains("results (2).csv"), "{warning}");
    assert_eq!(folder.names(), ["results (1).csv", "results (2).csv", "results.csv"]);
    assert_eq!(fs::read_to_string(folder.path("results (1).csv")).unwrap(), "other");
    assert!(fs::read_to_string(written.path()).unwrap().contains("succeeded"));
}

#[test]
fn misuse_is_an_error() {
    let folder = Folder::new();
    let (header, two) = rows(&["a"], &[json!([1]), json!([2])]);
    let (_, wide) = rows(&["a", "b"], &[json!([1, 2])]);
    let mut writer = Export::csv(folder.path("r.csv")).create(&header).unwrap();
    writer.write(&two[1], &succeeded("x")).unwrap();
    let error = writer.write(&two[0], &succeeded("x")).unwrap_err().to_string();
    assert!(error.contains("row 1 comes after row 2; write rows in input order"), "{error}");
    let mut writer = Export::csv(folder.path("r.csv")).create(&header).unwrap();
    let error = writer.write(&wide[0], &succeeded("x")).unwrap_err().to_string();
    assert!(error.contains("row 1 has 2 cells, but the header has 1"), "{error}");
    let missing = Export::csv(folder.path("missing/r.csv")).create(&header).unwrap_err().to_string();
    assert!(missing.starts_with("cannot create ") && missing.contains("missing"), "{missing}");
    assert!(Export::to("results.pdf").unwrap_err().to_string().contains("unknown extension"));
    assert!(Export::to("results.csv").is_ok() && Export::to("results.ndjson").is_ok());
}

#[test]
fn dialect_can_be_set_and_stored() {
    let folder = Folder::new();
    let (opened, _) = open(&folder.write("a.csv", "\u{feff}a|b\r\n1|2\r\n"));
    let stored = serde_json::to_string(opened.header().dialect().unwrap()).unwrap();
    let dialect: Dialect = serde_json::from_str(&stored).unwrap();
    assert!(dialect.has_byte_order_mark() && dialect.encoding() == "UTF-8" && dialect.delimiter() == '|');
    let (header, rows) = rows(&["x"], &[json!([1])]);
    export(&Export::csv(folder.path("r.csv")).dialect(dialect), &header, &rows, &[succeeded("x")]).unwrap();
    assert!(fs::read_to_string(folder.path("r.csv")).unwrap().starts_with("\u{feff}x|status|"));
}

#[test]
fn debug_hides_content() {
    let folder = Folder::new();
    let (header, rows) = rows(&["a"], &[json!(["secret"])]);
    let result = RowResult { error: Some("secret".to_owned()), ..succeeded("secret") };
    for path in ["r.csv", "r.jsonl"] {
        let mut writer = Export::to(folder.path(path)).unwrap().create(&header).unwrap();
        writer.write(&rows[0], &result).unwrap();
        let text = format!("{writer:?} {result:?}");
        assert!(!text.contains("secret"), "{text}");
    }
}
