//! The fault table with the selected HTTP stack and with the blocking client, and everything that
//! they log.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code fails by panicking")]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fetch_hive_emulator::Fault;
use fetch_hive_tests::faults::{BODY, ClientKind, rows, run};
use fetch_hive_tests::needs;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

/// A writer and logger that keeps everything in memory.
#[derive(Clone, Default)]
struct LogBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for LogBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The number of lines in which ureq logged the bytes of a connection.
static WIRE_LINES: AtomicUsize = AtomicUsize::new(0);

impl log::Log for LogBuffer {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Trace && record.target() == "ureq_proto::util" {
            // ureq logs every byte here, as the documentation of `UreqTransport` warns.
            WIRE_LINES.fetch_add(1, Ordering::Relaxed);
            return;
        }
        writeln!(self.clone(), "{} {}: {}", record.level(), record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

// This is one test because the log belongs to the whole process.
#[tokio::test]
async fn every_row_has_the_expected_result_and_no_log_line_contains_a_key_or_body() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    needs!(Socket);
    let buffer = LogBuffer::default();
    let writer = buffer.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(LevelFilter::TRACE).with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log::set_logger(Box::leak(Box::new(buffer.clone()))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        default_hook(info);
    }));

    let mut problems = Vec::new();
    for kind in ClientKind::selected() {
        for row in rows() {
            let name = row.name;
            if let Some(reason) = kind.lacks(&row) {
                println!("LEFT OUT for {}: {name}: {reason}", kind.name());
                continue;
            }
            let outcome = run(row, kind).await.unwrap();
            problems.extend(outcome.problems.iter().map(|problem| format!("{}: {name}: {problem}", kind.name())));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);

    let log = String::from_utf8(std::mem::take(&mut *buffer.0.lock().unwrap())).unwrap();
    let from_stack: &[&str] = match ClientKind::selected()[0] {
        ClientKind::Hyper => &[" h2::", " ureq"],
        ClientKind::Reqwest => &[" hyper_util::"],
        ClientKind::Ureq | ClientKind::Blocking => &[" ureq"],
    };
    let from_client = ["fetch_hive.attempt", "http.response.status_code=502", "the call is retried", "TRACE"];
    for part in from_client.iter().chain(from_stack) {
        assert!(log.contains(part), "the log is incomplete: {part} is missing");
    }
    // If ureq stops logging the bytes of its connections, the warning in its documentation can be
    // removed.
    assert_eq!(WIRE_LINES.load(Ordering::Relaxed) > 0, from_stack.contains(&" ureq"));
    for line in log.lines() {
        assert!(!line.contains("KEYMARKER") && !line.contains(BODY), "{line}");
    }
}

#[test]
fn skipped_rows_are_known() {
    let rows = rows();
    assert!(rows.len() >= 95, "{}", rows.len());
    let skipped = |kind: ClientKind| {
        let reason = |row| kind.lacks(row).map(|reason| (row.name, reason));
        rows.iter().filter_map(reason).collect::<Vec<_>>()
    };
    assert!(skipped(ClientKind::Hyper).is_empty());
    for kind in [ClientKind::Blocking, ClientKind::Ureq] {
        let skipped = skipped(kind);
        assert_eq!(skipped.len(), 9, "{skipped:?}");
        for (name, reason) in skipped {
            assert!(name.starts_with("HTTP/2: ") && reason == "ureq supports only HTTP/1.1", "{name}: {reason}");
        }
    }
    let skipped = skipped(ClientKind::Reqwest);
    assert_eq!(skipped.len(), 22, "{skipped:?}");
}

#[test]
fn every_fault_round_trips_through_its_text_form() {
    let mut faults = 0;
    for row in rows() {
        for fault in &row.faults {
            let text = fault.to_string();
            let parsed: Fault = text.parse().unwrap_or_else(|error| panic!("{}: {error}", row.name));
            let start = &text[..text.len().min(200)];
            assert!(format!("{parsed:?}") == format!("{fault:?}"), "{}: {start}", row.name);
            faults += 1;
        }
    }
    assert!(faults > 50, "{faults}");
}
