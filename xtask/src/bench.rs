//! Measurements against named peers, written to `BENCHMARKS.md`. What is measured, and how, is told there.

mod build;
mod call;
mod programs;
mod table;

use self::programs::Programs;
use self::table::{Row, write};
use crate::run::step;

type Section = (&'static str, fn(&Programs) -> Result<Vec<Row>, String>);

const SECTIONS: [Section; 5] = [
    ("call", call::call),
    ("streams", programs::streams),
    ("verify", programs::verify),
    ("memory", programs::memory),
    ("weight", build::weight),
];

/// Takes the sections that are named, or all of them.
pub(crate) fn bench(arguments: &[String]) -> Result<(), String> {
    if let Some(unknown) = arguments.iter().find(|name| !SECTIONS.iter().any(|section| section.0 == *name)) {
        return Err(format!("no section is named {unknown}; there are call, streams, verify, memory and weight"));
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == name);
    step("programs", "build --release --bins --manifest-path xtask/bench/Cargo.toml --target-dir target/bench", &[])?;
    let programs = Programs::new();
    for (name, section) in SECTIONS.into_iter().filter(|section| wanted(section.0)) {
        println!("\n== bench: {name}");
        let rows = section(&programs)?;
        for row in &rows {
            println!("   {}", row.line(name));
        }
        write(name, &rows)?;
    }
    Ok(())
}
