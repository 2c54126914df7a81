//! Commands for contributors and CI: `cargo xtask <command>`.

mod bench;
mod ci;
mod cli;
mod conformance;
mod contract;
mod dependencies;
mod dist;
mod docs;
mod emulator;
mod fuzz;
mod long_tests;
mod public_api;
mod python;
mod python_sdk;
mod release;
mod run;
mod structure;
mod wasm;

use std::process::ExitCode;

/// A command of `cargo xtask`.
struct Command {
    name: &'static str,
    /// The arguments and the purpose, for the list of commands.
    help: &'static str,
    run: fn(&[String]) -> Result<(), String>,
}

const fn command(name: &'static str, help: &'static str, run: fn(&[String]) -> Result<(), String>) -> Command {
    Command { name, help, run }
}

const COMMANDS: &[Command] = &[
    command("ci", "[--skip-tests]  Run every check that a change must pass", ci::ci),
    command(
        "docs",
        "[--run]  Check the prose and the links of the documentation; --run also runs its commands in a fresh clone",
        docs::docs,
    ),
    command(
        "structure",
        "Check the import cycles, the number of macros and the entries of crates",
        structure::structure,
    ),
    command(
        "contract",
        "[--mutate [COUNT [SEED]] | --emulator]  Compare endpoints and types with openapi.json; --mutate tests the \
         check itself, --emulator tests the emulator with schemathesis",
        contract::contract,
    ),
    command(
        "dependencies",
        "Compare the number of dependencies of each library with its budget",
        dependencies::dependencies,
    ),
    command(
        "python-sdk",
        "Test the emulator with the official Python SDK; needs Python 3 and PyPI",
        python_sdk::python_sdk,
    ),
    command(
        "conformance",
        "Run the conformance suite on every transport, and the client's tests over the other HTTP stacks",
        conformance::conformance,
    ),
    command(
        "cli",
        "Test the command line: every command of the guide, in pseudo-terminals and as an MCP server; uses PyPI",
        cli::cli,
    ),
    command("faults", "Print the fault table: every fault, and the error that the caller receives", long_tests::faults),
    command(
        "soak",
        "[SECONDS]  Run calls and streams against a service that fails 20 % of them; 300 s by default",
        long_tests::soak,
    ),
    command(
        "relay-soak",
        "[SECONDS]  Run calls over HTTP/2 behind a relay that forgets connections; 300 s by default",
        long_tests::relay_soak,
    ),
    command(
        "fleet",
        "[RUNS]  Run 3,000 runs, or RUNS, in three processes that share a store while they are killed",
        long_tests::fleet,
    ),
    command(
        "batch-kill",
        "[ROWS]  Run a batch of 6,000 rows, or ROWS, while its workers and its database fail",
        long_tests::batch_kill,
    ),
    command(
        "simulate",
        "[--quick] [--seed N]  Simulate a day of 1,000 processes and 100 workspaces with the limiter of the store",
        long_tests::simulate,
    ),
    command(
        "store-costs",
        "Measure the transactions, round trips and bytes of a run on PostgreSQL",
        long_tests::store_costs,
    ),
    command(
        "large-upload",
        "[MEGABYTES]  Upload a file over HTTP/1.1 and HTTP/2 with limited memory; 2,048 MB by default",
        long_tests::large_upload,
    ),
    command(
        "proxies",
        "Test the client through tinyproxy and microsocks; installs them with apt-get",
        long_tests::proxies,
    ),
    command(
        "callbacks",
        "[COUNT]  Deliver 10,000 callbacks, or COUNT, to two receivers while one of them is killed",
        long_tests::callbacks,
    ),
    command(
        "emulator-crash",
        "Kill the emulator 50 times during writes, and check every acknowledged write",
        emulator::crash,
    ),
    command(
        "emulator-load",
        "[SECONDS]  Run 200 callers and 100 streams on the emulator; 60 s by default",
        emulator::load,
    ),
    command("emulator-page", "Test the emulator's page in headless Chromium; needs Node.js and npm", emulator::page),
    command(
        "emulator-dist",
        "Build a static binary of the emulator for its Dockerfile; needs the musl target",
        emulator::dist,
    ),
    command(
        "dist",
        "[linux | windows | man | wheel | image…]  Build and run the published forms of the command line; needs the \
         musl and mingw targets, and PyPI",
        dist::dist,
    ),
    command(
        "bench",
        "[SECTION…]  Measure against named peers and update BENCHMARKS.md; needs an idle machine",
        bench::bench,
    ),
    command(
        "fuzz",
        "[TARGET] [SECONDS]  Fuzz each target, or one, for 600 s or SECONDS; needs nightly Rust",
        fuzz::fuzz,
    ),
    command("public-api", "[--write]  Compare the public API with crates/*/public-api.txt", public_api::public_api),
    command(
        "wasm",
        "[page | workerd | build-page]  Check the client on wasm32-unknown-unknown and test it in Node.js; page tests \
         the page of the example in headless Chromium, and workerd the transport in workerd; both need npm",
        wasm::wasm,
    ),
    command("release", "[CHECK…]  Run the checks that a release needs in addition to ci", release::release),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("help", String::as_str);
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        println!("Usage: cargo xtask <command>\n");
        for Command { name, help, .. } in COMMANDS {
            println!("  {name:<15} {help}");
        }
        return if matches!(name, "help" | "--help" | "-h") { ExitCode::SUCCESS } else { ExitCode::from(2) };
    };
    match (command.run)(&arguments[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask {name} failed: {error}");
            ExitCode::FAILURE
        }
    }
}
