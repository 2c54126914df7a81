use crate::run::{cargo, root};

/// The table of transports and checks.
pub(crate) fn conformance(_: &[String]) -> Result<(), String> {
    println!("\n== conformance: every transport under every check");
    let only = "every_transport_keeps_the_contract_but_for_what_is_known";
    let words = format!("test -q -p fetch-hive-example-transports --test conformance {only} -- --nocapture");
    let (text, passed) = run(&words, &[])?;
    let shown = |line: &&str| {
        !line.starts_with("running")
            && !line.starts_with("test result")
            && !line.trim().is_empty()
            && line.trim() != "."
    };
    for line in text.lines().filter(shown) {
        println!("   {line}");
    }
    if !passed {
        return Err(format!("a transport does not keep the contract; again with: cargo {words}"));
    }
    Ok(())
}

/// Runs cargo, and gives what it printed and whether it went well.
fn run(words: &str, environment: &[(&str, &str)]) -> Result<(String, bool), String> {
    let output = cargo()
        .args(words.split_whitespace())
        .envs(environment.iter().copied())
        .current_dir(root())
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((text, output.status.success()))
}
