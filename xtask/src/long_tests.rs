//! Tests that take minutes or need other programs, and are therefore not part of `cargo test`.

use std::path::Path;
use std::process::Command;

use crate::run::run_cargo;

/// Prints the fault table.
pub(crate) fn faults(_: &[String]) -> Result<(), String> {
    run_cargo("fault table", "run --quiet -p fetch-hive-tests --bin fault-table", &[])
}

/// Runs calls and streams against a service that fails 20 % of them, for 300 s by default.
pub(crate) fn soak(arguments: &[String]) -> Result<(), String> {
    let seconds = arguments.first().map_or("300", String::as_str);
    run_cargo("soak test", &format!("run --quiet -p fetch-hive-tests --bin soak -- {seconds}"), &[])
}

/// Runs calls over HTTP/2 behind a relay that forgets connections, for 300 s by default.
pub(crate) fn relay_soak(arguments: &[String]) -> Result<(), String> {
    let seconds = arguments.first().map_or("300", String::as_str);
    run_cargo("relay soak test", &format!("run --quiet -p fetch-hive-tests --bin relay-soak -- {seconds}"), &[])
}

/// Runs three processes that share a store while they are killed, on PostgreSQL and on SQLite.
pub(crate) fn fleet(arguments: &[String]) -> Result<(), String> {
    let runs = arguments.first().map_or("3000", String::as_str);
    for database in ["postgres", "sqlite"] {
        let command = format!("run --quiet -p fetch-hive-tests --bin fleet -- {database} {runs}");
        run_cargo(&format!("fleet on {database}"), &command, &[])?;
    }
    Ok(())
}

/// Runs a batch of 6,000 rows by default while its workers are killed, on SQLite and PostgreSQL,
/// and then with faults of PostgreSQL.
pub(crate) fn batch_kill(arguments: &[String]) -> Result<(), String> {
    let rows = arguments.first().map_or("6000", String::as_str);
    for database in ["sqlite", "postgres"] {
        let command = format!("run --quiet -p fetch-hive-tests --bin batch-kill -- {database} {rows}");
        run_cargo(&format!("batch on {database}"), &command, &[])?;
    }
    let command = format!("run --quiet -p fetch-hive-tests --bin batch-kill -- postgres {rows} faults");
    run_cargo("batch on postgres with faults", &command, &[])
}

/// Runs the limiter of the store for a simulated day with 1,000 processes, or for 2.5 hours.
pub(crate) fn simulate(arguments: &[String]) -> Result<(), String> {
    let command = "run --quiet --release -p fetch-hive-tests --features simulation --bin simulate --";
    // A file in memory, because each transaction is synchronized.
    let memory = Path::new("/dev/shm").is_dir().then_some(("TMPDIR", "/dev/shm"));
    run_cargo("simulated day", &format!("{command} {}", arguments.join(" ")), memory.as_slice())
}

/// Measures the transactions, round trips and bytes of a run on PostgreSQL.
pub(crate) fn store_costs(_: &[String]) -> Result<(), String> {
    run_cargo("costs of a run", "run --quiet --release -p fetch-hive-tests --bin store-costs", &[])
}

/// Uploads a file over HTTP/1.1 and HTTP/2, of 2,048 MB by default, with limited memory.
pub(crate) fn large_upload(arguments: &[String]) -> Result<(), String> {
    let megabytes = arguments.first().map_or("2048", String::as_str);
    let command = format!("run --quiet --release -p fetch-hive-tests --bin large-upload -- {megabytes}");
    run_cargo("large upload", &command, &[])
}

/// Runs the client through real proxies, and installs them with apt-get if they are missing.
pub(crate) fn proxies(_: &[String]) -> Result<(), String> {
    for program in ["tinyproxy", "microsocks"] {
        let found = Command::new("sh").args(["-c", &format!("command -v {program} >/dev/null")]).status();
        if !found.is_ok_and(|status| status.success()) {
            println!("   apt-get install {program}");
            let installed =
                Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends", program]).status();
            if !installed.is_ok_and(|status| status.success()) {
                return Err(format!("apt-get cannot install {program}; install it by hand"));
            }
        }
    }
    run_cargo("proxies: tinyproxy and microsocks", "run --quiet -p fetch-hive-tests --bin proxies", &[])
}

/// Delivers callbacks to two receivers while one of them is killed, 10,000 by default.
pub(crate) fn callbacks(arguments: &[String]) -> Result<(), String> {
    // The test program starts the receivers, so all examples must be built before it runs.
    run_cargo("receivers", "build --release -p fetch-hive-receivers --examples", &[])?;
    let count = arguments.first().map_or("10000", String::as_str);
    run_cargo("callbacks", &format!("run --release -p fetch-hive-receivers --example crash_test -- {count}"), &[])
}
