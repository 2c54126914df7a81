//! Properties of random files, cells and templates.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use fetch_hive_batch::{Export, Header, Mapping, ReadOptions, RowResult, RowStatus, Rows, RunLabel, RunRequest};
use proptest::collection::{hash_set, vec};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::Folder;

/// Texts with the characters that matter to CSV, to spreadsheets and to line counting.
fn cell() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zäß🐝,;|\\t\"'\\r\\n =+@\u{feff}-]{0,12}",
        "\\PC{0,20}",
        any::<i32>().prop_map(|number| number.to_string()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z,;|\"äß \\n]{0,8}".prop_filter("not a column of the results", |name| {
        !["status", "output", "error", "attempts", "seconds", "tokens"].contains(&name.as_str())
    })
}

fn table() -> impl Strategy<Value = (Vec<String>, Vec<Vec<String>>)> {
    hash_set(name(), 1..5).prop_flat_map(|names| {
        let columns = names.len();
        (Just(names.into_iter().collect()), vec(vec(cell(), columns), 0..6))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// An export is read back without options, whatever its cells contain.
    #[test]
    fn exported_csv_is_read_back(
        (names, cells) in table(),
        outputs in vec(cell(), 6),
        (delimiter, end, mark) in (0..4_usize, 0..3_usize, any::<bool>()),
    ) {
        let folder = Folder::new();
        let (delimiter, end) = ([',', ';', '\t', '|'][delimiter], ["\n", "\r\n", "\r"][end]);
        let start = if mark { "\u{feff}" } else { "" };
        let template = folder.write("template.csv", format!("{start}a{delimiter}b{end}"));
        let dialect = Rows::open(template).unwrap().header().dialect().unwrap().clone();
        let rows = Rows::from_iter(names.clone(), cells.clone()).unwrap();
        let path = folder.path("results.csv");
        let mut writer = Export::csv(&path).dialect(dialect.clone()).create(rows.header()).unwrap();
        for (row, output) in rows.zip(&outputs) {
            let output = Some(json!(output));
            writer.write(&row.unwrap(), &RowResult { output, ..RowResult::new(RowStatus::Succeeded) }).unwrap();
        }
        writer.finish().unwrap();

        let read = Rows::open(&path).unwrap();
        prop_assert_eq!(read.header().dialect(), Some(&dialect));
        prop_assert_eq!(&read.header().names()[..names.len()], &names);
        let columns = names.len();
        let read: Vec<_> = read.map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), cells.len());
        for ((row, cells), output) in read.iter().zip(&cells).zip(&outputs) {
            let texts: Vec<_> = (0..columns).map(|column| row.get(column).unwrap().as_str().unwrap()).collect();
            prop_assert_eq!(&texts, cells);
            prop_assert_eq!(row.get(columns + 2).cloned(), Some(json!(output)));
        }
    }

    /// JSONL keeps every value that serde_json represents exactly.
    #[test]
    fn exported_jsonl_is_read_back(texts in vec(cell(), 1..6), number in any::<i64>()) {
        let folder = Folder::new();
        let rows = Rows::from_iter(["a", "b"], texts.clone().into_iter().map(move |text| json!([text, {"n": [number]}]))).unwrap();
        let path = folder.path("results.jsonl");
        let mut writer = Export::jsonl(&path).create(rows.header()).unwrap();
        rows.for_each(|row| writer.write(&row.unwrap(), &RowResult::new(RowStatus::Ready)).unwrap());
        writer.finish().unwrap();
        let read: Vec<_> = Rows::open(&path).unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read.len(), texts.len());
        for (row, text) in read.iter().zip(&texts) {
            prop_assert_eq!(row.get(0).cloned(), Some(json!(text)));
            prop_assert_eq!(row.get(1).cloned(), Some(json!({"n": [number]})));
        }
    }

    /// Any text of the relevant characters is either read or rejected, and lines are numbered.
    #[test]
    fn any_csv_text_is_read_or_rejected(text in "[a,;|\\t\"\\r\\n ä\0]{0,80}") {
        let folder = Folder::new();
        let lines = text.replace("\r\n", "\n").replace('\r', "\n").matches('\n').count() as u64 + 1;
        let Ok(rows) = ReadOptions::new().skip_ragged(true).open(folder.write("a.csv", &text)) else { return Ok(()) };
        let columns = rows.header().names().len();
        let mut last = 0;
        for row in rows {
            let Ok(row) = row else { break };
            prop_assert_eq!(row.len(), columns);
            prop_assert!(row.line().unwrap() > last && row.line().unwrap() <= lines);
            last = row.line().unwrap();
        }
    }

    /// A template inserts a cell unchanged, and never evaluates it.
    #[test]
    fn template_inserts_cells_unchanged(before in "[a-z <>&\\n]{0,10}", cell in cell(), other in cell()) {
        let header = Header::new(["text", "Other Column"]).unwrap();
        let mapping = Mapping::workflow("w")
            .template("t", format!("{before}{{{{ text }}}}|{{{{ row['Other Column'] }}}}\n"))
            .input("x", "text")
            .bind(&header)
            .unwrap();
        for cell in [cell, "{{ text }}{% if %}".to_owned()] {
            let cells = json!([cell, other]);
            let row = Rows::from_iter(["text", "Other Column"], [cells]).unwrap().next().unwrap().unwrap();
            let RunRequest::Workflow(request) = mapping.request(&row, RunLabel::new("b", 1)).unwrap() else { panic!() };
            let request: Value = serde_json::to_value(request).unwrap();
            prop_assert_eq!(&request["inputs"]["t"], &json!(format!("{before}{cell}|{other}\n")));
            prop_assert_eq!(&request["inputs"]["x"], &json!(cell));
        }
    }

    /// Any template is accepted or rejected, and never panics.
    #[test]
    fn any_template_is_checked(template in "(\\{\\{|\\}\\}|\\{%|%\\}| |text|row|if|for|in|endif|\\.|\\||x|'|\\[|\\]|1){0,12}") {
        let header = Header::new(["text"]).unwrap();
        if let Ok(mapping) = Mapping::prompt("p").template("t", template).bind(&header) {
            let row = Rows::from_iter(["text"], [["x"]]).unwrap().next().unwrap().unwrap();
            drop(mapping.request(&row, RunLabel::new("b", 1)));
        }
    }
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }
}

/// Opens a file with several options and reads all rows.
fn read_all(path: &std::path::Path) {
    for options in
        [ReadOptions::new(), ReadOptions::new().skip_ragged(true).skip_error_cells(true).empty_cells_as_absent(true)]
    {
        if let Ok(mut rows) = options.open(path) {
            while let Some(Ok(row)) = rows.next() {
                assert_eq!(row.len(), rows.header().names().len());
            }
        }
    }
}

#[test]
fn random_bytes_never_panic() {
    let folder = Folder::new();
    let mut random = Random(0x5eed_2026);
    let pieces: [&[u8]; 18] = [
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xfe\xff",
        b",",
        b";",
        b"\t",
        b"|",
        b"\"",
        b"\r",
        b"\n",
        b"\0",
        b"\xff",
        b"\xc3",
        "ä".as_bytes(),
        b"{\"a\":",
        b"}",
        b"1",
        b"text",
    ];
    for round in 0..3000 {
        let mut bytes = Vec::new();
        for _ in 0..random.below(60) {
            if random.below(4) == 0 {
                bytes.push(u8::try_from(random.below(256)).unwrap());
            } else {
                bytes.extend_from_slice(pieces[random.below(pieces.len())]);
            }
        }
        let extension = ["csv", "jsonl"][round % 2];
        read_all(&folder.write(&format!("a.{extension}"), &bytes));
        for encoding in ["utf-16le", "shift_jis", "gb18030", "iso-2022-jp"] {
            let options = ReadOptions::new().encoding(encoding).skip_ragged(true);
            if let Ok(rows) = options.open(folder.path(&format!("a.{extension}"))) {
                drop(rows.collect::<Vec<_>>());
            }
        }
    }
}

#[cfg(feature = "xlsx")]
#[test]
fn damaged_workbooks_are_errors() {
    let folder = Folder::new();
    let path = folder.path("whole.xlsx");
    let rows = Rows::from_iter(["a", "b"], [json!([1, "x"]), json!([2.5, "y"]), json!([true, null])]).unwrap();
    let header = rows.header().clone();
    let mut writer = Export::xlsx(&path).create(&header).unwrap();
    rows.for_each(|row| writer.write(&row.unwrap(), &RowResult::new(RowStatus::Ready)).unwrap());
    writer.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut random = Random(0x0bad_cafe);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        if random.below(4) == 0 {
            bytes.truncate(random.below(whole.len()));
        }
        read_all(&folder.write("damaged.xlsx", &bytes));
    }
}
