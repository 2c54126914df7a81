//! The fault table over the stack that is asked for, and over the blocking client, with everything that is logged of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fetch_hive_tests::faults::{BODY, Over, rows, run};
use fetch_hive_tests::needs;
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

/// How many lines ureq wrote of what is sent.
static WIRE: AtomicUsize = AtomicUsize::new(0);

/// ureq logs by this one.
impl log::Log for Kept {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() == log::Level::Trace && record.target() == "ureq_proto::util" {
            // What is written and read, byte for byte: see the documentation of `UreqTransport`.
            WIRE.fetch_add(1, Ordering::Relaxed);
            return;
        }
        writeln!(self.clone(), "{} {}: {}", record.level(), record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

/// One test, for it has the whole process's log.
#[tokio::test]
async fn trap_08_every_row_is_told_as_it_is_and_no_log_line_holds_a_key_or_a_body() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    needs!(Socket);
    let kept = Kept::default();
    let writer = kept.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(LevelFilter::TRACE).with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    log::set_logger(Box::leak(Box::new(kept.clone()))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(info);
    }));

    let mut complaints = Vec::new();
    for over in Over::asked_for() {
        for row in rows() {
            let name = row.name;
            if let Some(why) = over.lacks(&row) {
                println!("LEFT OUT over {}: {name}: {why}", over.name());
                continue;
            }
            let outcome = run(row, over).await.unwrap();
            let told = |complaint| format!("{}: {name}: {complaint}", over.name());
            complaints.extend(outcome.complaints.into_iter().map(told));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);

    let log = String::from_utf8(std::mem::take(&mut *kept.0.lock().unwrap())).unwrap();
    let of_stack: &[&str] = match Over::asked_for()[0] {
        Over::Hyper => &[" h2::", " ureq"],
        Over::Reqwest => &[" hyper_util::"],
        Over::Ureq | Over::Blocking => &[" ureq"],
    };
    let of_client = ["fetch_hive.attempt", "http.response.status_code=502", "the call is repeated", "TRACE"];
    for part in of_client.iter().chain(of_stack) {
        assert!(log.contains(part), "{part} is not in the log, which so proves nothing");
    }
    // A version of ureq that writes no such lines leaves nothing to warn of.
    assert_eq!(WIRE.load(Ordering::Relaxed) > 0, of_stack.contains(&" ureq"));
    for line in log.lines() {
        assert!(!line.contains("KEYMARKER") && !line.contains(BODY), "{line}");
    }
}

#[test]
fn what_cannot_apply_is_known() {
    let rows = rows();
    assert!(rows.len() >= 70, "{}", rows.len());
    let left_out = |over: Over| {
        let of = |row| over.lacks(row).map(|why| (row.name, why));
        rows.iter().filter_map(of).collect::<Vec<_>>()
    };
    assert!(left_out(Over::Hyper).is_empty());
    for over in [Over::Blocking, Over::Ureq] {
        let without = left_out(over);
        assert_eq!(without.len(), 9, "{without:?}");
        for (name, why) in without {
            assert!(name.starts_with("HTTP/2: ") && why == "ureq speaks HTTP/1.1 only", "{name}: {why}");
        }
    }
    let without = left_out(Over::Reqwest);
    assert_eq!(without.len(), 21, "{without:?}");
}

#[test]
fn the_fault_of_every_row_can_be_had_in_words() {
    let mut faults = 0;
    for row in rows() {
        for fault in &row.faults {
            let words = fault.to_string();
            let read: fetch_hive_emulator::Fault =
                words.parse().unwrap_or_else(|error| panic!("{}: {error}", row.name));
            assert!(format!("{read:?}") == format!("{fault:?}"), "{}: {}", row.name, &words[..words.len().min(200)]);
            faults += 1;
        }
    }
    assert!(faults > 50, "{faults}");
}
