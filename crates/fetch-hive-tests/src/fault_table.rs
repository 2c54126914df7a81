//! Prints the fault table, row by row, and fails if one is wrong: `cargo xtask faults`.

use std::process::ExitCode;

use fetch_hive_tests::faults::{Calls, heading, line, rows, run};

#[tokio::main]
async fn main() -> ExitCode {
    println!("{}", heading());
    let mut complaints = Vec::new();
    for (number, row) in rows().into_iter().enumerate() {
        let name = row.name;
        match run(row, |setting| Ok(Box::new(setting.hyper()?) as Box<dyn Calls>)).await {
            Ok(outcome) => {
                println!("{}", line(number + 1, name, &outcome));
                complaints.extend(outcome.complaints.into_iter().map(|complaint| format!("{name}: {complaint}")));
            }
            Err(error) => complaints.push(format!("{name}: {error}")),
        }
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    ExitCode::from(u8::from(!complaints.is_empty()))
}
