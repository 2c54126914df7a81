//! Measurements against named peers. `BENCHMARKS.md` contains the results and describes the method.

mod batch;
mod binaries;
mod build_cost;
mod call;
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

/// A name and a function that measures.
type Section = (&'static str, fn(&Binaries) -> Result<Vec<Row>, String>);

const SECTIONS: [Section; 12] = [
    ("call", call::measure),
    ("https", https::calls),
    ("bodies", https::bodies),
    ("events", https::streams),
    ("local", https::local),
    ("streams", streams::measure),
    ("verify", verify::measure),
    ("memory", memory::measure),
    ("store", store::measure),
    ("batch", batch::measure),
    ("build", build_cost::measure),
    ("wasm", wasm::measure),
];

/// Measures all sections, or the named ones, and updates their rows in `BENCHMARKS.md`.
pub(crate) fn bench(arguments: &[String]) -> Result<(), String> {
    let names = SECTIONS.map(|section| section.0);
    if let Some(unknown) = arguments.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("unknown section {unknown}; the sections are {}", names.join(", ")));
    }
    let needs_programs = |name: &String| !["build", "wasm"].contains(&name.as_str());
    if arguments.is_empty() || arguments.iter().any(needs_programs) {
        let build = "build --release --bins --manifest-path xtask/bench/Cargo.toml --target-dir target/bench";
        run_cargo("benchmark programs", build, &[])?;
    }
    let binaries = Binaries::new();
    for (name, measure) in SECTIONS {
        if !arguments.is_empty() && !arguments.iter().any(|argument| argument == name) {
            continue;
        }
        println!("\n== bench: {name}");
        let rows = measure(&binaries)?;
        for row in &rows {
            println!("   {}", row.to_markdown(name));
        }
        update_section(name, &rows)?;
    }
    Ok(())
}
