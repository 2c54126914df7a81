use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Instant;

use super::binaries::Binaries;
use super::report::{Row, Target};
use crate::run::{capture_output, cargo, workspace_root};

/// The peers, and the target for the time of a build.
///
/// reqwest has the features that correspond to our defaults: `json`, `stream`, `gzip`, `socks`,
/// `http2` and `rustls`. It is measured with its default cryptography, which compiles the C code of
/// aws-lc, and with ring, our default.
const PEERS: [(&str, Option<f64>); 3] = [("reqwest", Some(0.65)), ("reqwest-ring", Some(0.85)), ("octocrab", None)];

/// The faster build counts, because the first one may have to read its files from disk.
const ROUNDS: usize = 2;

struct BuildCost {
    crates: f64,
    debug_seconds: f64,
    release_mib: f64,
}

/// Measures what each client adds to the build of a small program.
///
/// `cargo tree -e normal` counts the crates on Linux, including the program. The time is that of a
/// clean debug build without downloads. The size is that of the stripped release binary.
pub(crate) fn measure(_: &Binaries) -> Result<Vec<Row>, String> {
    let ours = measure_program("ours")?;
    let [mut crates, mut builds, mut binaries] = [const { Vec::new() }; 3];
    for (folder, max_build_ratio) in PEERS {
        let peer = measure_program(folder)?;
        let count = Row::new("", ours.crates, peer.crates, "", 0);
        let build = Row::new("", ours.debug_seconds, peer.debug_seconds, " s", 1);
        let [count, build] = match max_build_ratio {
            Some(limit) => [count.target(Target::AtMost(0.75)), build.target(Target::AtMost(limit))],
            None => [count, build],
        };
        crates.push(count);
        builds.push(build);
        binaries.push(Row::new("", ours.release_mib, peer.release_mib, " MiB", 2));
    }
    let row = |what: &str, rows: &[Row]| Row::merge(format!("{what}, vs reqwest / reqwest with ring / octocrab"), rows);
    let (crates, builds) = (row("crates", &crates), row("clean debug build", &builds));
    Ok(vec![crates, builds, row("stripped release binary", &binaries)])
}

fn measure_program(name: &str) -> Result<BuildCost, String> {
    let folder = workspace_root().join("xtask/bench/build-cost").join(name);
    let target = workspace_root().join("target/bench/build-cost").join(name);
    let run = |arguments: &str| capture_output(cargo().current_dir(&folder).args(arguments.split(' ')));
    let build = |options: &[&str]| {
        let mut command = cargo();
        command.current_dir(&folder).args(["build", "--offline", "--target-dir"]).arg(&target).args(options);
        capture_output(&mut command)
    };
    let tree = run("tree -e normal --prefix none --target x86_64-unknown-linux-gnu")?;
    let crates = tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "));
    let crates = crates.filter(|line| !line.is_empty()).collect::<BTreeSet<_>>().len();
    run("fetch")?;
    let mut debug_seconds = f64::INFINITY;
    for _ in 0..ROUNDS {
        remove(&target)?;
        let start = Instant::now();
        build(&[])?;
        debug_seconds = debug_seconds.min(start.elapsed().as_secs_f64());
    }
    build(&["--release"])?;
    let binary = target.join("release").join(format!("build-cost-{name}"));
    let size = fs::metadata(&binary).map_err(|error| format!("{}: {error}", binary.display()))?.len();
    remove(&target)?;
    let crates = f64::from(u32::try_from(crates).unwrap_or(u32::MAX));
    let release_mib = f64::from(u32::try_from(size / 1024).unwrap_or(u32::MAX)) / 1024.0;
    println!("   {name}: {crates} crates, {debug_seconds:.1} s, {release_mib:.2} MiB");
    Ok(BuildCost { crates, debug_seconds, release_mib })
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}
