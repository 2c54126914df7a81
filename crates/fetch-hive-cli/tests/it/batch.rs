//! Batches from a spreadsheet to its results.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fetch_hive_emulator::Fault;

use crate::support::{Sandbox, bin, wait_until};

/// Writes a file as a German spreadsheet program does, with leading zeros, quoted line breaks and
/// semicolons.
fn reviews(sandbox: &Sandbox, rows: usize) -> PathBuf {
    let path = sandbox.folder.path().join("reviews.csv");
    let rows = (1..=rows).map(|row| format!("{row:04};\"Sehr schön {row}\nzweite Zeile; Ende\"\r\n"));
    let text: Vec<_> = std::iter::once("\u{feff}id;Review Text\r\n".to_owned()).chain(rows).collect();
    std::fs::write(&path, text.concat()).unwrap();
    path
}

fn path(sandbox: &Sandbox, name: &str) -> String {
    sandbox.folder.path().join(name).display().to_string()
}

#[test]
fn batch_stops_after_a_sample_and_continues() {
    let sandbox = Sandbox::new();
    let (input, out) = (reviews(&sandbox, 12), path(&sandbox, "out.csv"));
    let input = input.display().to_string();
    let command =
        ["batch", "run", &input, "--workflow", "summary", "--map", "topic=Review Text", "--out", out.as_str()];
    let planned = sandbox.run(&[&command[..], &["--dry-run"]].concat());
    assert_eq!((planned.code, sandbox.emulator.runs().len()), (Some(0), 0), "{}", planned.stderr);
    assert!(planned.stderr.contains("delimiter `;`") && planned.stderr.contains("12 rows"), "{}", planned.stderr);

    let sample = sandbox.run(&[&command[..], &["--sample", "4"]].concat());
    assert_eq!((sample.code, sandbox.emulator.runs().len()), (Some(0), 4), "{}", sample.stderr);
    assert!(sample.stderr.contains("estimate from 4 rows"), "{}", sample.stderr);

    let rest = sandbox.run(&command);
    assert_eq!((rest.code, sandbox.emulator.runs().len()), (Some(0), 12), "{}", rest.stderr);
    assert_eq!(rest.stdout.trim(), out);
    let again = sandbox.run(&command);
    assert_eq!((again.code, sandbox.emulator.runs().len()), (Some(0), 12), "nothing is paid twice");

    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.starts_with("\u{feff}id;Review Text;status;"), "{text}");
    assert!(text.contains("\r\n0012;\"Sehr schön 12\nzweite Zeile; Ende\";succeeded;req_"), "{text}");
    let listed = sandbox.run(&["batch", "list", "--jq", ".batches[0].succeeded"]);
    assert_eq!(listed.stdout.trim(), "12");
}

#[cfg(unix)]
#[test]
fn second_interrupt_leaves_unknown_rows_whose_slots_are_explained() {
    let sandbox = Sandbox::new();
    let (input, out) = (reviews(&sandbox, 2), path(&sandbox, "out.csv"));
    let input = input.display().to_string();
    let command = ["batch", "run", &input, "--workflow", "slow", "--map", "a=id", "--out", &out, "--slots", "1"];
    let start = || sandbox.command(&command).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let interrupt = |child: &Child| {
        let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(status.success());
    };
    let read_until = |child: &mut Child, part: &str| {
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.into_iter().any(|line| line.contains(part)), "{part}");
    };

    let mut first = start();
    wait_until("the run starts", || sandbox.emulator.active_runs() > 0);
    interrupt(&first);
    std::thread::sleep(Duration::from_millis(300));
    interrupt(&first);
    assert_eq!(first.wait().unwrap().code(), Some(130));
    let unknown = sandbox.run(&["batch", "unknown", "reviews", "--jq", ".rows[].row"]);
    assert_eq!(unknown.stdout, "1\n", "{}", unknown.stderr);
    assert!(unknown.stderr.contains("batch_id=reviews, batch_row"), "{}", unknown.stderr);
    let status = sandbox.run(&["batch", "status", "reviews", "--jq", "[.state, .unknown] | join(\" \")"]);
    assert_eq!(status.stdout, "idle 1\n", "{}", status.stderr);

    let mut second = start();
    read_until(&mut second, "all slots are held by runs that may still be in progress");
    interrupt(&second);
    assert_eq!(second.wait().unwrap().code(), Some(130));
    assert_eq!(sandbox.emulator.runs().len(), 1);
}

#[test]
fn failures_pause_the_batch_and_can_be_retried() {
    let sandbox = Sandbox::new();
    let (input, out) = (reviews(&sandbox, 6), path(&sandbox, "out.csv"));
    let input = input.display().to_string();
    let command = ["batch", "run", &input, "--workflow", "broken", "--map", "topic=Review Text", "--out", out.as_str()];
    let paused = sandbox.run(&command);
    assert_eq!(paused.code, Some(9), "{}", paused.stderr);
    assert!(paused.stderr.contains("the first 3 rows are failed or unknown"), "{}", paused.stderr);
    let failed = sandbox.run(&["batch", "unknown", "reviews", "--status", "failed", "--jq", ".rows | length"]);
    let failed: usize = failed.stdout.trim().parse().unwrap();
    assert!((3..=5).contains(&failed), "{failed}");
    let retried = sandbox.run(&["batch", "retry", "reviews", "failed", "--yes"]);
    assert!(retried.stderr.contains(&format!("{failed} rows are ready again")), "{}", retried.stderr);
}

#[test]
fn unknown_row_waits_for_a_decision() {
    let sandbox = Sandbox::new();
    sandbox.emulator.add_fault("reset after-run nth=2".parse::<Fault>().unwrap()).unwrap();
    let (input, out) = (reviews(&sandbox, 5), path(&sandbox, "out.csv"));
    let input = input.display().to_string();
    let command =
        ["batch", "run", &input, "--workflow", "summary", "--map", "topic=Review Text", "--out", out.as_str()];
    let first = sandbox.run(&command);
    assert_eq!(first.code, Some(8), "{}", first.stderr);
    assert!(first.stderr.contains("batch unknown reviews"), "{}", first.stderr);
    assert_eq!(sandbox.run(&command).code, Some(8));
    assert_eq!(sandbox.emulator.runs().len(), 5, "nothing is sent again");
    let row = sandbox.run(&["batch", "unknown", "reviews", "--jq", ".rows[0].row"]).stdout;
    let resolved = sandbox.run(&["batch", "resolve", "reviews", row.trim(), "--as", "run-again", "--yes"]);
    assert_eq!(resolved.code, Some(0), "{}", resolved.stderr);
    assert_eq!(sandbox.run(&["batch", "resume", "reviews", "--out", &out]).code, Some(0));
    assert_eq!(sandbox.emulator.runs().len(), 6);
}

#[test]
fn mistakes_are_reported_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    let (input, out) = (reviews(&sandbox, 2), path(&sandbox, "out.csv"));
    let input = input.display().to_string();
    let run = |more: &[&str]| sandbox.run(&[&["batch", "run", &input, "--out", out.as_str()], more].concat());
    let cases: [(&[&str], &str); 3] = [
        (&["--workflow", "summary", "--map", "topic=Reviw"], "Review Text"),
        (&["--map", "topic=Review Text"], "--workflow"),
        (&["--workflow", "summary", "--all-columns", "--id-column", "nr"], "id column"),
    ];
    for (arguments, text) in cases {
        let printed = run(arguments);
        assert_eq!(printed.code, Some(2), "{arguments:?}: {}", printed.stderr);
        assert!(printed.stderr.contains(text), "{arguments:?}: {}", printed.stderr);
    }
    let overwritten = sandbox.run(&["batch", "run", &input, "--workflow", "summary", "--all-columns", "--out", &input]);
    assert_eq!(overwritten.code, Some(2), "{}", overwritten.stderr);
    assert_eq!(sandbox.emulator.requests().len(), 0);
}

#[test]
fn python_program_of_the_guide_runs_a_batch() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: Python 3 is not installed");
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fetch-hive-client/docs/python.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("## Batches from Python").unwrap();
    let program = section.split("```").nth(1).unwrap().trim_start_matches("python").replace("summarize", "summary");
    let sandbox = Sandbox::new();
    std::fs::write(path(&sandbox, "reviews.csv"), "Review Text\nfine\ngood\n").unwrap();
    let mut python = Command::new("python3");
    python.args(["-c", &program]).current_dir(sandbox.folder.path()).env_clear().envs(sandbox.variables());
    python.env("PATH", format!("{}:{}", Path::new(&bin()).parent().unwrap().display(), std::env::var("PATH").unwrap()));
    let output = python.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stdout.lines().filter(|line| line.starts_with("succeeded req_")).count(), 2, "{stdout}{stderr}");
    assert_eq!(sandbox.emulator.runs().len(), 2);
}
