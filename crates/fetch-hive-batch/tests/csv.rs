//! Dialects and defects of CSV files.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod support;

use fetch_hive_batch::{ReadOptions, Rows};
use serde_json::json;
use support::{Folder, csv, csv_error, error, read, texts};

fn utf16(text: &str, encode: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(encode).collect()
}

#[test]
fn byte_order_mark_is_not_part_of_the_header() {
    assert_eq!(csv("\u{feff}id,text\n1,ä\n"), [["id", "text"], ["1", "ä"]]);
}

#[test]
fn utf_16_is_recognized_by_its_mark() {
    let text = "\u{feff}id\ttext\r\n1\tGrüße 🐝\r\n";
    for bytes in [utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes)] {
        assert_eq!(csv(bytes), [["id", "text"], ["1", "Grüße 🐝"]]);
    }
}

#[test]
fn utf_16_without_a_mark_needs_its_name() {
    let text = "id;text\n1;ä\n";
    let (little, big) = (utf16(text, u16::to_le_bytes), utf16(text, u16::to_be_bytes));
    for (bytes, name) in [(&little, "utf-16le"), (&big, "UTF-16BE")] {
        assert_eq!(texts("a.csv", bytes, &ReadOptions::new().encoding(name)), [["id", "text"], ["1", "ä"]]);
        let message = csv_error(bytes);
        assert!(message.contains("line 1: contains a NUL character") && message.contains("utf-16le"), "{message}");
    }
}

#[test]
fn legacy_encodings_are_read_by_name() {
    let bytes = b"name;price\nK\xe4se \x80;1\n";
    for name in ["latin1", "iso-8859-1", "windows-1252"] {
        let rows = texts("a.csv", bytes, &ReadOptions::new().encoding(name));
        assert_eq!(rows, [["name", "price"], ["Käse €", "1"]], "{name}");
    }
    let (japanese, _, _) = encoding_rs::SHIFT_JIS.encode("名前,値\n蜂,1\n");
    assert_eq!(texts("a.csv", japanese, &ReadOptions::new().encoding("shift_jis"))[1], ["蜂", "1"]);
    assert!(error("a.csv", bytes, &ReadOptions::new().encoding("klingon")).contains("unknown encoding \"klingon\""));
}

#[test]
fn byte_order_mark_takes_precedence_over_the_encoding() {
    let rows = texts("a.csv", "\u{feff}a,b\nä,1\n", &ReadOptions::new().encoding("windows-1252"));
    assert_eq!(rows[1], ["ä", "1"]);
}

#[test]
fn undecodable_bytes_are_an_error_with_a_line() {
    let message = csv_error(b"a,b\n1,2\n\"x\ny\",K\xe4se\n");
    assert!(message.contains("line 4: contains bytes that are not valid UTF-8"), "{message}");
    assert!(message.contains("windows-1252"), "{message}");
    // A character that is cut at the end of the file.
    assert!(csv_error(b"a,b\n1,\xc3").contains("line 2: "));
    let cut = error("a.csv", b"a,b\n1,\x82", &ReadOptions::new().encoding("shift_jis"));
    assert!(cut.contains("not valid Shift_JIS"), "{cut}");
    // Beyond the first block.
    let long = [b"a,b\n".as_slice(), &b"1,2\n".repeat(50_000), b"\xff,1\n"].concat();
    assert!(csv_error(long).contains("line 50002: contains bytes"));
}

#[test]
fn rows_before_undecodable_bytes_are_read() {
    let folder = Folder::new();
    let mut rows = Rows::open(folder.write("a.csv", b"a,b\n1,2\n3,\xff\n5,6\n")).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().get(0), Some(&json!("1")));
    assert!(rows.next().unwrap().is_err());
    assert!(rows.next().is_none());
}

#[test]
fn delimiter_is_found() {
    for (delimiter, file) in [
        (",", "a,b\n1,2\n"),
        (";", "a;b\n1,5;2,5\n1,5;2,5\n"),
        ("\t", "a\tb\nx, y; z\t2\n"),
        ("|", "a|b\n1,2;3|4\n"),
        // A text column full of other delimiters.
        (";", "id;text\n1;\"a, b, c\"\n2;\"d; e\"\n"),
        (",", "id,text\n1,\"a; b | c\"\n2,\"d\te\"\n"),
        (";", "\"a,b\";\"c,d\"\n\"1,2\";\"3,4\"\n"),
        // With tabs, the quotes of two cells would enclose the line end.
        (";", "a;\"b\t\"\n\"\t\tc\";\"d\te\"\n"),
        // A comma in the header that the rows lack.
        (";", "name, first;age\nx;1\ny;2\n"),
    ] {
        let (_, rows) = read("a.csv", file, &ReadOptions::new()).unwrap();
        assert!(rows.iter().all(|row| row.len() == 2), "{file}");
        let folder = Folder::new();
        let opened = Rows::open(folder.write("a.csv", file)).unwrap();
        assert_eq!(opened.header().dialect().unwrap().delimiter().to_string(), delimiter, "{file}");
    }
}

#[test]
fn delimiter_is_found_in_a_file_larger_than_the_sample() {
    // The sample ends within a quoted cell, and within a plain one.
    for cell in [format!("\"{}\"", "x,y\n".repeat(30_000)), "x,".repeat(50_000)] {
        let rows = csv(format!("a;b\n1;2\n3;{cell}\n5;6\n"));
        assert_eq!((rows[0].len(), rows.len()), (2, 4));
    }
}

#[test]
fn record_that_the_sample_cuts_is_not_counted() {
    // The cut record contains only the other delimiter.
    let rows = csv(format!("a|b;c;d\n1|x;2;3\n1|{};2;3\n", "x".repeat(100_000)));
    assert_eq!((rows[0].len(), rows.len()), (3, 3));
}

#[test]
fn delimiter_can_be_set() {
    let options = ReadOptions::new().delimiter(':');
    assert_eq!(texts("a.csv", "a:b\n1,2:3\n", &options), [["a", "b"], ["1,2", "3"]]);
    for delimiter in ['"', '\n', 'ä'] {
        let message = error("a.csv", "a,b\n", &ReadOptions::new().delimiter(delimiter));
        assert!(message.contains("cannot be a delimiter"), "{message}");
    }
}

#[test]
fn one_column_needs_no_delimiter() {
    assert_eq!(csv("text\nhello\n\"a, b\"\n"), [["text"], ["hello"], ["a, b"]]);
}

#[test]
fn quoted_line_breaks_and_quotes_are_content() {
    let rows = csv("a,b\r\n\"one\r\ntwo\n\",\"say \"\"hi\"\"\"\r\n");
    assert_eq!(rows[1], ["one\r\ntwo\n", "say \"hi\""]);
    assert_eq!(csv("a,b\n5\" disk,\"\"\n")[1], ["5\" disk", ""]);
}

#[test]
fn every_line_end_is_counted() {
    for (file, end) in [
        ("a,b\n1,2\n\"x\ny\",3\n4,5", "\n"),
        ("a,b\r\n1,2\r\n\"x\r\ny\",3\r\n4,5", "\r\n"),
        ("a,b\r1,2\r\"x\ry\",3\r4,5", "\r"),
    ] {
        let folder = Folder::new();
        let mut rows = Rows::open(folder.write("a.csv", file)).unwrap();
        let lines: Vec<_> = rows.by_ref().map(|row| row.unwrap().line().unwrap()).collect();
        assert_eq!(lines, [2, 3, 5], "{file:?}");
        assert_eq!(rows.header().dialect().unwrap().line_end(), end);
    }
}

#[test]
fn line_end_is_found_after_the_first_record() {
    let folder = Folder::new();
    let dialect = |file: &str| Rows::open(folder.write("a.csv", file)).unwrap().header().dialect().unwrap().clone();
    assert_eq!(dialect("a,b").line_end(), "\r\n");
    assert_eq!((dialect("a,b\r").line_end(), dialect("\n\na,b\r\n").line_end()), ("\r", "\n"));
}

#[test]
fn ragged_row_is_an_error_with_its_line() {
    let message = csv_error("a,b\n\"x\ny\",1\n1,2,3\n");
    assert!(message.contains("a.csv, line 4: the row has 3 cells, but the header has 2"), "{message}");
    assert!(message.contains("skip_ragged"), "{message}");
    assert!(csv_error("a,b\n1\n").contains("line 2: the row has 1 cells"));
}

#[test]
fn ragged_rows_are_skipped_and_listed() {
    let folder = Folder::new();
    let options = ReadOptions::new().skip_ragged(true);
    let mut rows = options.open(folder.write("a.csv", "a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n")).unwrap();
    let read: Vec<_> = rows.by_ref().map(|row| row.map(|row| (row.number(), row.line().unwrap())).unwrap()).collect();
    assert_eq!(read, [(1, 2), (2, 4), (3, 6)]);
    assert_eq!(rows.skipped().iter().map(|row| row.line).collect::<Vec<_>>(), [3, 5]);
    assert!(rows.skipped()[0].to_string().starts_with("line 3: the row has 1 cells"), "{}", rows.skipped()[0]);
}

#[test]
fn blank_rows_are_counted() {
    let folder = Folder::new();
    let mut rows = Rows::open(folder.write("a.csv", "\na,b\n\n1,2\n,\n\r\n3,\n;;\n".replace(";;", ",,,"))).unwrap();
    let lines: Vec<_> = rows.by_ref().map(|row| row.unwrap().line().unwrap()).collect();
    assert_eq!((lines, rows.blank_rows()), (vec![4, 7], 4));
}

#[test]
fn defects_of_the_header_have_a_hint() {
    for (file, part) in [
        ("id,text,id\n1,2,3\n", "line 1: columns 1 and 3 are both named \"id\"; rename one of them"),
        ("id,,text\n1,2,3\n", "line 1: column 2 has no name in the header; name it"),
        ("id, ,text\n1,2,3\n", "line 1: column 2 has no name in the header; name it"),
        ("id;text;\n1;2;\n", "column 3 has no name in the header; name it, remove the delimiter at the end"),
        ("", "is empty; the first line must contain the names of the columns"),
        ("\u{feff}", "is empty"),
        ("\n\r\n\n", "is empty"),
    ] {
        let message = csv_error(file);
        assert!(message.contains(part), "{file:?}: {message}");
    }
}

#[test]
fn columns_without_a_name_are_named_on_request() {
    let options = ReadOptions::new().name_empty_columns(true);
    let (names, rows) = read("a.csv", "id,,text, \n1,2,3,4\n", &options).unwrap();
    assert_eq!(names, ["id", "column 2", "text", "column 4"]);
    assert_eq!(rows[0].get(1).unwrap(), "2");
    let taken = read("a.csv", "column 2,\n1,2\n", &options).unwrap_err().to_string();
    assert!(taken.contains("columns 1 and 2 are both named"), "{taken}");
}

#[test]
fn header_without_rows_is_an_empty_batch() {
    for file in ["id,text", "id,text\n", "id,text\r\n\r\n"] {
        assert_eq!(csv(file), [["id", "text"]], "{file:?}");
    }
}

#[test]
fn nul_character_is_an_error_with_a_line() {
    for file in ["a,b\n1,2\n3,\0\n", "a,b\n1,2\n3,\"x\0\"\n", "a,b\n1,2\n\0,1\n"] {
        assert!(csv_error(file).contains("line 3: contains a NUL character"), "{file:?}");
    }
}

#[test]
fn quote_that_is_never_closed_is_an_error_at_its_line() {
    let message = csv_error("a,b\n1,2\n3,\"x\n4,5\n6,7\n");
    assert!(message.contains("line 3: a quote opens here and is never closed"), "{message}");
    let single = csv_error("a\nx\n\"y\nz\n");
    assert!(single.contains("line 3: a quote opens here"), "{single}");
}

#[test]
fn text_after_a_closing_quote_is_an_error() {
    let message = csv_error("a,b\n1,2\n3,\"he said \"hi\" to me\"\n");
    assert!(message.contains("line 3: text follows a closing quote"), "{message}");
}

#[test]
fn long_cells_are_read() {
    let cell = "äöü, \"\"x\"\"\n".repeat(450_000);
    let rows = csv(format!("a,b\n\"{cell}\",end\n"));
    assert!(rows[1][0].len() > 5_000_000);
    assert_eq!((rows[1][0].clone(), rows[1][1].as_str()), (cell.replace("\"\"", "\""), "end"));
    let plain = "ä".repeat(2_500_000);
    assert_eq!(csv(format!("a,b\n{plain},end\n"))[1], [plain.as_str(), "end"]);
}

#[test]
fn cell_beyond_the_limit_is_an_error() {
    let file = format!("a,b\n\"{}\",1\n", "x".repeat(65 * 1024 * 1024));
    assert!(csv_error(file).contains("more than 64 MiB"));
}

#[test]
fn texts_stay_texts() {
    let (_, rows) = read("a.csv", "zip,price\n00742,1.50\n", &ReadOptions::new()).unwrap();
    assert_eq!((rows[0].get(0), rows[0].get(1)), (Some(&json!("00742")), Some(&json!("1.50"))));
}

#[test]
fn number_and_json_columns_are_converted() {
    let options = ReadOptions::new().number_columns(["price"]).json_columns(["tags"]);
    let (_, rows) = read("a.csv", "price;tags\n1.5;\"[\"\"a\"\", 1]\"\n007;null\n", &options).unwrap();
    assert_eq!((rows[0].get(0), rows[0].get(1)), (Some(&json!(1.5)), Some(&json!(["a", 1]))));
    assert_eq!((rows[1].get(0), rows[1].get(1)), (Some(&json!(7)), Some(&json!(null))));
    assert_eq!((rows[1].original(0), rows[1].original(1)), (Some(&json!("007")), Some(&json!("null"))));
}

#[test]
fn decimal_comma_must_be_declared() {
    let options = ReadOptions::new().number_columns(["price"]);
    let message = error("a.csv", "id;price\n1;1,5\n", &options);
    assert!(message.contains("line 2: the column \"price\" contains a comma"), "{message}");
    assert!(message.contains("decimal_comma"), "{message}");
    let (_, rows) = read("a.csv", "id;price\n1;1,5\n", &options.decimal_comma(true)).unwrap();
    assert_eq!(rows[0].get(1), Some(&json!(1.5)));
}

#[test]
fn invalid_conversions_name_the_line_and_hide_the_cell() {
    let options = ReadOptions::new().number_columns(["n"]).json_columns(["j"]);
    for (row, part) in [
        ("1,{secret", "line 3: the column \"j\" contains invalid JSON at character"),
        ("secret,1", "line 3: the column \"n\" contains a cell that is not a number"),
        ("1,", "line 3: the column \"j\" has an empty cell"),
        (",1", "line 3: the column \"n\" has an empty cell"),
        ("1,123456789012345678901", "line 3: the column \"j\" contains an integer that JSON programs cannot read"),
    ] {
        let message = error("a.csv", format!("n,j\n1,2\n{row}\n"), &options);
        assert!(message.contains(part) && !message.contains("secret"), "{message}");
    }
    let message = error("a.csv", "a,b\n", &ReadOptions::new().number_columns(["c"]));
    assert!(
        message.contains("number_columns: the column \"c\" does not exist; the columns are \"a\", \"b\""),
        "{message}"
    );
    let both = error("a.csv", "a,b\n", &options_for_both());
    assert!(both.contains("the column \"a\" is a number column and a JSON column"), "{both}");
}

fn options_for_both() -> ReadOptions {
    ReadOptions::new().number_columns(["a"]).json_columns(["a"])
}

#[test]
fn empty_cell_is_a_text_or_absent() {
    let (_, rows) = read("a.csv", "a,b\n1,\n", &ReadOptions::new()).unwrap();
    assert_eq!(rows[0].get(1), Some(&json!("")));
    let options = ReadOptions::new().empty_cells_as_absent(true).number_columns(["b"]);
    let (_, rows) = read("a.csv", "a,b\n1,\n", &options).unwrap();
    assert_eq!((rows[0].get(1), rows[0].original(1)), (None, Some(&json!(""))));
}

#[test]
fn rows_survive_being_stored() {
    let options = ReadOptions::new().empty_cells_as_absent(true).json_columns(["j"]);
    let (_, rows) = read("a.csv", "t,e,j\nx,,null\n", &options).unwrap();
    let stored = serde_json::to_string(&rows[0]).unwrap();
    let restored: fetch_hive_batch::Row = serde_json::from_str(&stored).unwrap();
    assert_eq!(restored, rows[0]);
    assert_eq!((restored.get(1), restored.get(2)), (None, Some(&json!(null))));
    assert_eq!(restored.original(2), Some(&json!("null")));
}

#[test]
fn other_files_are_rejected_with_a_hint() {
    for (name, content, part) in [
        ("a.csv", b"PK\x03\x04....".as_slice(), "is an XLSX workbook or ZIP file; rename it to .xlsx"),
        ("a.xls", b"".as_slice(), "unsupported format; save the workbook as .xlsx"),
        ("a.pdf", b"".as_slice(), "unknown extension; use .csv"),
        ("a", b"".as_slice(), "unknown extension"),
    ] {
        let message = error(name, content, &ReadOptions::new());
        assert!(message.contains(part), "{message}");
    }
    let message = error("a.csv", "a,b\n", &ReadOptions::new().sheet("x"));
    assert!(message.contains("the option sheet does not apply to this format"), "{message}");
    let missing = Rows::open("/nonexistent/a.csv").unwrap_err();
    assert!(missing.to_string().contains("cannot open /nonexistent/a.csv"), "{missing}");
}
