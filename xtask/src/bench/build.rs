use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use super::programs::Programs;
use super::table::{Row, Target};
use crate::run::{cargo, output, root};

/// Small programs that do the same with other clients. reqwest comes twice: with the cryptography that its feature `rustls` brings, and with
/// ring, which is ours.
const PEERS: [(&str, &str); 3] =
    [("reqwest", "reqwest"), ("reqwest-ring", "reqwest with ring"), ("octocrab", "octocrab")];

/// The better of so many builds counts: a first one may find files that are not in memory yet.
const ROUNDS: usize = 2;

struct Weight {
    crates: f64,
    debug_seconds: f64,
    release_mib: f64,
}

/// What a program that needs a client has to build.
pub(crate) fn weight(_: &Programs) -> Result<Vec<Row>, String> {
    let ours = weigh("ours")?;
    let mut rows = Vec::new();
    for (name, title) in PEERS {
        let peer = weigh(name)?;
        let target = |row: Row, most: f64| if name == "octocrab" { row } else { row.target(Target::Most(most)) };
        rows.push(target(Row::new(format!("crates, to {title}"), ours.crates, peer.crates, "", 0), 0.75));
        let what = format!("clean debug build, to {title}");
        rows.push(target(Row::new(what, ours.debug_seconds, peer.debug_seconds, " s", 1), 0.65));
        let what = format!("stripped release program, to {title}");
        rows.push(Row::new(what, ours.release_mib, peer.release_mib, " MiB", 2));
    }
    Ok(rows)
}

fn weigh(name: &str) -> Result<Weight, String> {
    let folder = root().join("xtask/bench/weight").join(name);
    let target = root().join("target").join("bench").join("weight").join(name);
    let run = |words: &str| {
        let words: Vec<_> = words.split(' ').collect();
        output(cargo().current_dir(&folder).args(words).arg("--target-dir").arg(&target))
    };
    let tree = output(cargo().current_dir(&folder).args([
        "tree",
        "-e",
        "normal",
        "--prefix",
        "none",
        "--target",
        "x86_64-unknown-linux-gnu",
    ]))?;
    let crates = tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let crates = crates.filter(|line| !line.is_empty()).collect::<BTreeSet<_>>().len();
    output(cargo().current_dir(&folder).arg("fetch"))?;
    let mut debug_seconds = f64::INFINITY;
    for _ in 0..ROUNDS {
        remove(&target)?;
        let began = Instant::now();
        run("build --offline")?;
        debug_seconds = debug_seconds.min(began.elapsed().as_secs_f64());
    }
    run("build --offline --release")?;
    let program = target.join("release").join(format!("weight-{name}"));
    let size = std::fs::metadata(&program).map_err(|error| format!("{}: {error}", program.display()))?.len();
    remove(&target)?;
    let crates = f64::from(u32::try_from(crates).unwrap_or(u32::MAX));
    let release_mib = f64::from(u32::try_from(size / 1024).unwrap_or(u32::MAX)) / 1024.0;
    println!("   {name}: {crates} crates, {debug_seconds:.1} s, {release_mib:.2} MiB");
    Ok(Weight { crates, debug_seconds, release_mib })
}

fn remove(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}
