use std::process::Command;

use crate::run::step;

/// Prints the fault table.
pub(crate) fn faults(_: &[String]) -> Result<(), String> {
    step(
        "faults: what goes wrong, and what the caller is told",
        "run --quiet -p fetch-hive-tests --bin fault-table",
        &[],
    )
}

/// Calls and streams against a service that fails a fifth of them.
pub(crate) fn soak(arguments: &[String]) -> Result<(), String> {
    let seconds = arguments.first().map_or("300", String::as_str);
    step("soak", &format!("run --quiet -p fetch-hive-tests --bin soak -- {seconds}"), &[])
}

/// The client through proxies from their packages, which are installed where that is allowed.
pub(crate) fn proxies(_: &[String]) -> Result<(), String> {
    for program in ["tinyproxy", "microsocks"] {
        let is_there = || Command::new("sh").args(["-c", &format!("command -v {program} >/dev/null")]).status();
        if !is_there().is_ok_and(|status| status.success()) {
            println!("   apt-get install {program}");
            let installed =
                Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends", program]).status();
            if !installed.is_ok_and(|status| status.success()) {
                return Err(format!("{program} is needed, and could not be installed"));
            }
        }
    }
    step("proxies: tinyproxy and microsocks", "run --quiet -p fetch-hive-tests --bin proxies", &[])
}
