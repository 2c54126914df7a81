//! Workbooks, written by `rust_xlsxwriter` or by hand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]
#![cfg(feature = "xlsx")]

mod support;

use std::io::{Cursor, Write};

use fetch_hive_batch::{ReadOptions, Rows};
use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook};
use serde_json::{Value, json};
use support::{Folder, error, read};
use zip::write::{SimpleFileOptions, ZipWriter};

/// Returns a workbook with the content of one sheet, as programs other than `rust_xlsxwriter` may
/// write it. The styles 1 to 4 are a date, a date with a time, a time and a duration.
fn workbook(epoch_1904: bool, sheet_data: &str, shared_strings: &str) -> Vec<u8> {
    const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    const RELATIONS: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let parts = [
        (
            "[Content_Types].xml",
            r#"<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>"#.to_owned(),
        ),
        (
            "xl/workbook.xml",
            format!(
                r#"<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><workbookPr date1904="{}"/><sheets>
                <sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>"#,
                u8::from(epoch_1904)
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
                <Relationship Id="rId1" Type="{RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>
                <Relationship Id="rId2" Type="{RELATIONS}/styles" Target="styles.xml"/>
                <Relationship Id="rId3" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/></Relationships>"#
            ),
        ),
        (
            "xl/styles.xml",
            format!(
                r#"<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/>
                <xf numFmtId="21"/><xf numFmtId="46"/></cellXfs></styleSheet>"#
            ),
        ),
        ("xl/sharedStrings.xml", format!(r#"<sst xmlns="{MAIN}">{shared_strings}</sst>"#)),
        (
            "xl/worksheets/sheet1.xml",
            format!(r#"<worksheet xmlns="{MAIN}"><sheetData>{sheet_data}</sheetData></worksheet>"#),
        ),
    ];
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Returns a row of inline texts.
fn text_row(number: u32, cells: &[&str]) -> String {
    let cell = |(column, text)| format!(r#"<c r="{column}{number}" t="inlineStr"><is><t>{text}</t></is></c>"#);
    let cells = ('A'..).zip(cells).map(cell).collect::<Vec<_>>().concat();
    format!(r#"<row r="{number}">{cells}</row>"#)
}

fn cells(file: &[u8]) -> Vec<Vec<Value>> {
    let (_, rows) = read("a.xlsx", file, &ReadOptions::new()).unwrap();
    rows.iter().map(|row| (0..row.len()).map(|cell| row.get(cell).unwrap().clone()).collect()).collect()
}

#[test]
fn values_keep_their_types() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    for (column, name) in (0..).zip(["int", "float", "text", "bool", "empty", "big", "break"]) {
        sheet.write(0, column, name).unwrap();
    }
    sheet.write(1, 0, 42).unwrap();
    sheet.write(1, 1, 1.5).unwrap();
    sheet.write(1, 2, "00742").unwrap();
    sheet.write(1, 3, true).unwrap();
    sheet.write(1, 5, 1e300).unwrap();
    sheet.write(1, 6, "a\nb & <ä> 🐝").unwrap();
    let file = workbook.save_to_buffer().unwrap();
    assert_eq!(
        cells(&file),
        [[json!(42), json!(1.5), json!("00742"), json!(true), json!(""), json!(1e300), json!("a\nb & <ä> 🐝")]]
    );
    let (_, rows) = read("a.xlsx", &file, &ReadOptions::new().empty_cells_as_absent(true)).unwrap();
    assert_eq!((rows[0].get(4), rows[0].line()), (None, Some(2)));
}

#[test]
fn dates_are_iso_8601() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let formats = ["yyyy-mm-dd", "dd.mm.yyyy hh:mm", "hh:mm:ss", "[h]:mm:ss", "m/d/yy"];
    let values = [
        ExcelDateTime::from_ymd(2024, 2, 29).unwrap(),
        ExcelDateTime::from_ymd(2024, 2, 29).unwrap().and_hms(13, 5, 0).unwrap(),
        ExcelDateTime::from_hms(7, 30, 0).unwrap(),
        ExcelDateTime::from_serial_datetime(1.5 + 1.0 / 86_400.0).unwrap(),
        ExcelDateTime::from_ymd(1900, 3, 1).unwrap(),
    ];
    for (column, (format, value)) in (0..).zip(formats.iter().zip(&values)) {
        sheet.write(0, column, *format).unwrap();
        sheet.write_datetime_with_format(1, column, value, &Format::new().set_num_format(*format)).unwrap();
    }
    let row = cells(&workbook.save_to_buffer().unwrap());
    let expected = ["2024-02-29", "2024-02-29T13:05:00", "07:30:00", "PT36H0M1S", "1900-03-01"];
    assert_eq!(row, [expected.map(Value::from)]);
}

#[test]
fn dates_of_both_epochs_are_read() {
    let row = r#"<row r="2"><c r="A2" s="1"><v>45351</v></c><c r="B2" s="2"><v>45351.545138888891</v></c>
        <c r="C2" s="3"><v>0.3125</v></c><c r="D2" s="4"><v>-1.5</v></c></row>"#;
    let sheet = text_row(1, &["a", "b", "c", "d"]) + row;
    let since_1900 = cells(&workbook(false, &sheet, ""));
    assert_eq!(since_1900, [["2024-02-29", "2024-02-29T13:05:00", "07:30:00", "-PT36H0M0S"].map(Value::from)]);
    let since_1904 = cells(&workbook(true, &sheet, ""));
    assert_eq!(since_1904, [["2028-03-01", "2028-03-01T13:05:00", "07:30:00", "-PT36H0M0S"].map(Value::from)]);
}

#[test]
fn sheet_is_selected_by_name() {
    let mut workbook = Workbook::new();
    for (name, cell) in [("First", "1"), ("Übersicht 2", "2")] {
        let sheet = workbook.add_worksheet().set_name(name).unwrap();
        sheet.write(0, 0, "a").unwrap();
        sheet.write(1, 0, cell).unwrap();
    }
    let file = workbook.save_to_buffer().unwrap();
    assert_eq!(cells(&file), [["1"]]);
    let (_, rows) = read("a.xlsx", &file, &ReadOptions::new().sheet("Übersicht 2")).unwrap();
    assert_eq!(rows[0].get(0), Some(&json!("2")));
    let message = error("a.xlsx", &file, &ReadOptions::new().sheet("Third"));
    assert!(message.contains("there is no sheet \"Third\"; the sheets are \"First\", \"Übersicht 2\""), "{message}");
}

#[test]
fn formulas_have_their_stored_value() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "sum").unwrap();
    sheet.write(0, 1, "text").unwrap();
    sheet.write(1, 0, Formula::new("=1+2").set_result("3")).unwrap();
    sheet.write(1, 1, Formula::new("=\"a\"&\"b\"").set_result("ab")).unwrap();
    assert_eq!(cells(&workbook.save_to_buffer().unwrap()), [[json!(3), json!("ab")]]);
}

#[test]
fn error_cells_are_reported_with_their_place() {
    let sheet = text_row(1, &["a", "b"])
        + &text_row(2, &["x", "y"])
        + r#"<row r="3"><c r="A3"><v>1</v></c><c r="B3" t="e"><f>1/0</f><v>#DIV/0!</v></c></row>"#
        + &text_row(4, &["z", "z"]);
    let file = workbook(false, &sheet, "");
    let message = error("a.xlsx", &file, &ReadOptions::new());
    assert!(message.contains("line 3: cell B3 of the sheet \"Data\" contains the error #DIV/0!"), "{message}");
    let folder = Folder::new();
    let mut rows = ReadOptions::new().skip_error_cells(true).open(folder.write("a.xlsx", &file)).unwrap();
    assert_eq!(rows.by_ref().map(|row| row.unwrap().line().unwrap()).collect::<Vec<_>>(), [2, 4]);
    assert_eq!((rows.skipped().len(), rows.skipped()[0].line), (1, 3));
    // The header has no line that could be skipped.
    let header = r#"<row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c><c r="B1" t="e"><v>#REF!</v></c></row>"#;
    let message = error("a.xlsx", workbook(false, header, ""), &ReadOptions::new());
    assert!(message.contains("cell B1 of the sheet \"Data\" contains the error #REF!"), "{message}");
}

#[test]
fn table_may_start_anywhere() {
    let sheet = r#"<row r="3"><c r="C3" t="s"><v>0</v></c><c r="D3"><v>2024</v></c></row>
        <row r="5"><c r="C5" s="1"/><c r="D5"><v>7</v></c></row><row r="6"><c r="C6" s="1"/></row>"#;
    let strings = "<si><r><t>na</t></r><r><t>me</t></r></si>";
    let (header, rows) = read("a.xlsx", workbook(false, sheet, strings), &ReadOptions::new()).unwrap();
    assert_eq!((header, rows.len(), rows[0].line()), (vec!["name".to_owned(), "2024".to_owned()], 1, Some(5)));
    assert_eq!((rows[0].get(0), rows[0].get(1)), (Some(&json!("")), Some(&json!(7))));
}

#[test]
fn cells_outside_of_the_header_are_ragged() {
    let sheet = text_row(1, &["a", "b"]) + &text_row(2, &["x", "y", "z"]) + &text_row(3, &["x"]);
    let file = workbook(false, &sheet, "");
    let message = error("a.xlsx", &file, &ReadOptions::new());
    assert!(message.contains("line 2: cell C2 of the sheet \"Data\" is outside of the columns"), "{message}");
    let (_, rows) = read("a.xlsx", &file, &ReadOptions::new().skip_ragged(true)).unwrap();
    assert_eq!((rows.len(), rows[0].get(1)), (1, Some(&json!(""))));
}

#[test]
fn defects_of_the_header_have_a_hint() {
    for (sheet, part) in [
        (String::new(), "the sheet is empty"),
        (text_row(1, &["a", "a"]), "line 1: columns 1 and 2 are both named \"a\""),
        (text_row(2, &["a", "", "b"]), "line 2: column 2 has no name"),
    ] {
        let message = error("a.xlsx", workbook(false, &sheet, ""), &ReadOptions::new());
        assert!(message.contains(part), "{message}");
    }
    let (header, rows) = read("a.xlsx", workbook(false, &text_row(1, &["a"]), ""), &ReadOptions::new()).unwrap();
    assert_eq!((header.len(), rows.len()), (1, 0));
}

#[test]
fn zip_bomb_is_an_error() {
    let strings = format!("<si><t>{}</t></si>", " ".repeat(11_000_000));
    let bomb = workbook(false, &text_row(1, &["a"]), &strings);
    assert!(bomb.len() < 50_000);
    let message = error("a.xlsx", &bomb, &ReadOptions::new().max_workbook_size(10_000_000));
    assert!(
        message.contains("contains more than 10000000 bytes") && message.contains("max_workbook_size"),
        "{message}"
    );
    assert!(read("a.xlsx", &bomb, &ReadOptions::new()).is_ok());
}

#[test]
fn size_in_the_directory_is_not_trusted() {
    let strings = format!("<si><t>{}</t></si>", "x".repeat(11_000_000));
    let bomb = workbook(false, &text_row(1, &["a"]), &strings);
    // Both headers of the entry claim one byte.
    let size = u32::try_from(strings.len() + "<sst xmlns=\"\"></sst>".len() + 57).unwrap().to_le_bytes();
    let positions: Vec<_> = (0..bomb.len() - 4).filter(|at| bomb[*at..at + 4] == size).collect();
    assert!(!positions.is_empty());
    let mut lying = bomb;
    for at in positions {
        lying[at..at + 4].copy_from_slice(&1_u32.to_le_bytes());
    }
    let message = error("a.xlsx", &lying, &ReadOptions::new().max_workbook_size(10_000_000));
    assert!(message.contains("contains more than") || message.contains("not a readable workbook"), "{message}");
}

#[test]
fn unreadable_workbooks_are_errors() {
    let whole = workbook(false, &text_row(1, &["a"]), "");
    let message = |content: &[u8]| error("a.xlsx", content, &ReadOptions::new());
    assert!(message(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1").contains("save it as .xlsx without a password"));
    assert!(message(b"a,b\n1,2\n").contains("is not a readable workbook"));
    assert!(message(b"").contains("is not a readable workbook"));
    assert!(message(&whole[..whole.len() / 2]).contains("is not a readable workbook"));
    let invalid = workbook(false, &(text_row(1, &["a"]) + "<row r=\"2\"><c r=\"A2\"><v>1</c></row>"), "");
    assert!(message(&invalid).contains("is not a readable workbook"));
    let unknown_string = workbook(false, r#"<row r="1"><c r="A1" t="s"><v>7</v></c></row>"#, "");
    let text = message(&unknown_string);
    assert!(text.contains("workbook"), "{text}");
}

#[test]
fn rows_may_be_dropped_early() {
    let sheet: String =
        (1..=5000).map(|row| text_row(row, &["a", "b"])).collect::<String>().replacen("<t>b", "<t>c", 1);
    let folder = Folder::new();
    let mut rows = Rows::open(folder.write("a.xlsx", workbook(false, &sheet, ""))).unwrap();
    assert_eq!(rows.next().unwrap().unwrap().line(), Some(2));
    drop(rows);
}
