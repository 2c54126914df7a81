//! Prints the fault table over each kind of client, row by row, and fails if one is wrong: `cargo xtask faults`.

use std::process::ExitCode;

use fetch_hive_tests::faults::{Over, heading, left_out, line, rows, run};

#[tokio::main]
async fn main() -> ExitCode {
    let mut complaints = Vec::new();
    for over in Over::ALL {
        println!("\n{}", over.name());
        println!("{}", heading());
        let (mut right, mut without) = (0, 0);
        for (number, row) in rows().into_iter().enumerate() {
            let name = row.name;
            if let Some(why) = over.lacks(&row) {
                println!("{}", left_out(number + 1, name, why));
                without += 1;
                continue;
            }
            match run(row, over).await {
                Ok(outcome) => {
                    println!("{}", line(number + 1, name, &outcome));
                    right += u32::from(outcome.complaints.is_empty());
                    let told = |complaint| format!("{}: {name}: {complaint}", over.name());
                    complaints.extend(outcome.complaints.into_iter().map(told));
                }
                Err(error) => complaints.push(format!("{}: {name}: {error}", over.name())),
            }
        }
        println!("{right} rows as they must be, {without} left out");
    }
    for complaint in &complaints {
        eprintln!("{complaint}");
    }
    ExitCode::from(u8::from(!complaints.is_empty()))
}
