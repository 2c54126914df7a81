//! Measurements against named peers. `BENCHMARKS.md` contains the results.
//!
//! The programs are in `xtask/bench`, a package outside of the workspace. The doc comment of each
//! `measure` function describes its method.

mod batch;
mod binaries;
mod build_cost;
mod call;
mod cli;
mod https;
mod memory;
mod report;
mod store;
mod streams;
mod verify;
mod wasm;

use self::binaries::Binaries;
use self::report::{Row, update_section};
use crate::run::run_cargo;

type Measure = fn(&Binaries) -> Result<Vec<Row>, String>;

/// The name of a table in `BENCHMARKS.md`, and the functions that measure its rows.
///
/// To add a section, add a paragraph that begins with its name and a table below it.
const SECTIONS: [(&str, &[Measure]); 8] = [
    ("calls", &[https::calls, call::measure]),
    ("cold", &[https::cold, cli::measure]),
    ("bodies", &[https::bodies]),
    ("streams", &[https::streams, memory::measure, streams::measure]),
    ("callbacks", &[store::deliveries, https::callbacks, verify::measure]),
    ("slots", &[store::slots, https::queue]),
    ("batch", &[batch::measure]),
    ("build", &[wasm::measure, build_cost::measure]),
];

/// Measures all sections, or the named ones, and replaces their tables in `BENCHMARKS.md`.
pub(crate) fn bench(arguments: &[String]) -> Result<(), String> {
    let names = SECTIONS.map(|section| section.0);
    if let Some(unknown) = arguments.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("unknown section {unknown}; the sections are {}", names.join(", ")));
    }
    if arguments.is_empty() || arguments.iter().any(|name| name != "build") {
        let build = "build --release --bins --manifest-path xtask/bench/Cargo.toml --target-dir target/bench";
        run_cargo("benchmark programs", build, &[])?;
    }
    let binaries = Binaries::new();
    for (name, functions) in SECTIONS {
        if !arguments.is_empty() && !arguments.iter().any(|argument| argument == name) {
            continue;
        }
        println!("\n== bench: {name}");
        let mut rows = Vec::new();
        for measure in functions {
            rows.extend(measure(&binaries)?);
        }
        for row in &rows {
            println!("   {}", row.to_markdown());
        }
        update_section(name, &rows)?;
    }
    Ok(())
}
