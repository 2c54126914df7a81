//! Prints the fault table for each kind of client, and fails if a row differs: `cargo xtask
//! faults`.

use std::process::ExitCode;

use fetch_hive_tests::faults::{ClientKind, header_line, row_line, rows, run, skipped_line};

#[tokio::main]
async fn main() -> ExitCode {
    let mut problems = Vec::new();
    for kind in ClientKind::ALL {
        println!("\n{}", kind.name());
        println!("{}", header_line());
        let (mut passed, mut skipped) = (0, 0);
        for (index, row) in rows().into_iter().enumerate() {
            let (number, name) = (index + 1, row.name);
            if let Some(reason) = kind.lacks(&row) {
                println!("{}", skipped_line(number, name, reason));
                skipped += 1;
                continue;
            }
            match run(row, kind).await {
                Ok(outcome) => {
                    println!("{}", row_line(number, name, &outcome));
                    passed += u32::from(outcome.problems.is_empty());
                    problems
                        .extend(outcome.problems.iter().map(|problem| format!("{}: {name}: {problem}", kind.name())));
                }
                Err(error) => problems.push(format!("{}: {name}: {error}", kind.name())),
            }
        }
        println!("{passed} rows as expected, {skipped} skipped");
    }
    for problem in &problems {
        eprintln!("{problem}");
    }
    ExitCode::from(u8::from(!problems.is_empty()))
}
