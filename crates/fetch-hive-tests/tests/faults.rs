//! The fault table over the transport that is included, with everything that is logged of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fetch_hive_tests::faults::{BODY, Calls, rows, run};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One test, for it has the whole process's log.
#[tokio::test]
async fn trap_08_every_row_is_told_as_it_is_and_no_log_line_holds_a_key_or_a_body() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let kept = Kept::default();
    let writer = kept.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(LevelFilter::TRACE).with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(info);
    }));

    let rows = rows();
    assert!(rows.len() >= 35, "{}", rows.len());
    let mut complaints = Vec::new();
    for row in rows {
        let name = row.name;
        let outcome = run(row, |setting| Ok(Box::new(setting.hyper()?) as Box<dyn Calls>)).await.unwrap();
        complaints.extend(outcome.complaints.into_iter().map(|complaint| format!("{name}: {complaint}")));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);

    let log = String::from_utf8(std::mem::take(&mut *kept.0.lock().unwrap())).unwrap();
    for part in ["fetch_hive.attempt", "http.response.status_code=502", "the call is repeated", " h2::", "TRACE"] {
        assert!(log.contains(part), "{part} is not in the log, which so proves nothing");
    }
    for line in log.lines() {
        assert!(!line.contains("KEYMARKER") && !line.contains(BODY), "{line}");
    }
}
