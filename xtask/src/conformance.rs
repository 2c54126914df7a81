use crate::run::{cargo, workspace_root};

/// The HTTP stacks to run the client's tests over. `cargo test` already runs them over hyper.
const STACKS: [&str; 3] = ["reqwest", "ureq", "in-process"];

/// The tests that run over any HTTP stack: modules of `tests/it`, and one test by name.
const MODULES: [&str; 12] = [
    "connections::",
    "emulator::",
    "error_responses::",
    "lenient_reading::",
    "official_bodies::",
    "operations::",
    "pagination_and_raw::",
    "response_edges::",
    "run_limit::",
    "streams::",
    "spans_and_hooks_report",
    "workflow::",
];

/// Runs the conformance suite on every transport, and the client's tests over other HTTP stacks.
///
/// Prints the reason for each skipped test.
pub(crate) fn conformance(_: &[String]) -> Result<(), String> {
    println!("\n== conformance: every check on every transport");
    let only = "every_transport_meets_the_contract";
    let arguments = format!("test -q -p fetch-hive-example-transports --test conformance {only} -- --nocapture");
    let (text, passed) = run(&arguments, &[])?;
    let is_result = |line: &&str| {
        !line.starts_with("running") && !line.starts_with("test result") && !matches!(line.trim(), "" | ".")
    };
    for line in text.lines().filter(is_result) {
        println!("   {line}");
    }
    if !passed {
        return Err(format!("a transport violates the contract: `cargo {arguments}` failed"));
    }
    let mut failed = Vec::new();
    for stack in STACKS {
        println!("\n== client tests over {stack}");
        let modules = MODULES.join(" ");
        let arguments = format!(
            "test -p fetch-hive-tests --test it --test faults --test telemetry --no-fail-fast -- {modules} every_row --nocapture --test-threads 4"
        );
        let (text, passed) = run(&arguments, &[("FETCH_HIVE_TEST_TRANSPORT", stack)])?;
        let skipped: Vec<_> =
            text.lines().filter_map(|line| line.split_once("SKIPPED ")).map(|(_, line)| line).collect();
        for line in &skipped {
            println!("   skipped  {line}");
        }
        let counts = text.lines().filter_map(|line| line.strip_prefix("test result: ")?.split_once(". "));
        let ran: u32 = counts.filter_map(|(_, counts)| counts.split_once(' ')?.0.parse::<u32>().ok()).sum();
        let count = u32::try_from(skipped.len()).unwrap_or(u32::MAX);
        println!("   {} passed, {count} skipped: {}", ran.saturating_sub(count), if passed { "ok" } else { "FAILED" });
        if !passed {
            let lines = text.lines().filter(|line| line.contains("panicked at") || line.ends_with("FAILED"));
            for line in lines {
                println!("   {line}");
            }
            failed.push(stack);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("tests failed over {}", failed.join(", "))) }
}

/// Runs cargo, and returns its output and whether it succeeded.
fn run(arguments: &str, environment: &[(&str, &str)]) -> Result<(String, bool), String> {
    let output = cargo()
        .args(arguments.split_whitespace())
        .envs(environment.iter().copied())
        .current_dir(workspace_root())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((text, output.status.success()))
}
