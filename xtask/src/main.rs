//! Commands for contributors and CI: `cargo xtask <command>`.

mod bench;
mod callbacks;
mod ci;
mod conformance;
mod contract;
mod dist;
mod docs;
mod emulator;
mod faults;
mod http;
mod kill;
mod live;
mod load;
mod page;
mod public_api;
mod python_sdk;
mod release;
mod run;
mod weight;

use std::process::ExitCode;

/// A command: its name, what it does, and the function.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<(), String>);

const COMMANDS: &[Command] = &[
    ("ci", "all that a change must pass; --skip-tests leaves out the plain `cargo test --workspace`", ci::ci),
    (
        "contract",
        "endpoints and types against the contract for machines; --mutate [COUNT [SEED]] tests the check itself;
                                       --live runs schemathesis against the emulator",
        contract::contract,
    ),
    (
        "conformance",
        "every transport under every check, and the tests of the client over the other stacks",
        conformance::conformance,
    ),
    ("weight", "the number of crates behind each of ours, against its budget", weight::weight),
    ("faults", "the fault table: what goes wrong, and what the caller is told", faults::faults),
    ("soak", "calls and streams against a service that fails a fifth of them; [SECONDS], 300 by default", faults::soak),
    (
        "proxies",
        "the client through tinyproxy and microsocks, installed with apt-get where they are missing",
        faults::proxies,
    ),
    ("bench", "measurements against named peers; on an otherwise idle machine", bench::bench),
    ("kill", "kill -9 in the middle of 1,000 writes, 50 times: every acknowledged write is there after it", kill::kill),
    ("page", "the emulator's page in headless Chromium; needs Chromium, Node.js and npm", page::page),
    (
        "load",
        "200 callers and 100 streams on the emulator, and wiremock for comparison; [SECONDS], 60 by default",
        load::load,
    ),
    ("dist", "one static binary of the emulator, and a Dockerfile for it; needs the musl target", dist::dist),
    (
        "callbacks",
        "10,000 callbacks to two receivers of which one is killed, or COUNT of them; takes minutes",
        callbacks::callbacks,
    ),
    ("docs", "--run runs every command of the README and every example, from a fresh clone", docs::docs),
    ("release", "all that a release must pass beyond ci; with names, those checks only", release::release),
    (
        "public-api",
        "the public API of each published crate against crates/*/public-api.txt; --write takes it over",
        public_api::public_api,
    ),
    ("python-sdk", "the official Python SDK against the emulator; needs Python 3 and PyPI", python_sdk::python_sdk),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("help", String::as_str);
    let Some((_, _, command)) = COMMANDS.iter().find(|command| command.0 == name) else {
        println!("cargo xtask <command>\n");
        for (name, what, _) in COMMANDS {
            println!("  {name:<12} {what}");
        }
        return if matches!(name, "help" | "--help" | "-h") { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    match command(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask {name} failed: {error}");
            ExitCode::FAILURE
        }
    }
}
