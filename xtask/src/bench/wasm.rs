use std::fs;

use super::binaries::Binaries;
use super::report::{Row, Target};
use crate::run::{capture_output, cargo, workspace_root};
use crate::wasm::{MAX_GZIPPED_KB, TRIPLE, build_page, gzipped_bytes, wasm_bindgen};

/// Measures the WebAssembly of the page of `examples/transports/fetch`, compressed with `gzip -9`.
///
/// It is built with cargo's profile `page` for size. The functions with reqwest have the same names
/// and send the same requests, but they have no timeouts, retries or verdicts. `wasm-opt -Oz` makes
/// the file of the page 12 % smaller, but its compressed form 6 % larger, so it is not used.
pub(crate) fn measure(_: &Binaries) -> Result<Vec<Row>, String> {
    let ours = kilobytes(build_page()?.gzipped_bytes);
    let folder = workspace_root().join("xtask/bench/build-cost/page-reqwest");
    let target = workspace_root().join("target/bench/build-cost/page-reqwest");
    // The tools accept only the version of wasm-bindgen that the workspace uses.
    fs::copy(workspace_root().join("Cargo.lock"), folder.join("Cargo.lock")).map_err(|error| error.to_string())?;
    let mut build = cargo();
    build.current_dir(&folder).args(["build", "--profile", "page", "--target", TRIPLE, "--target-dir"]).arg(&target);
    capture_output(&mut build)?;
    let generated = target.join("bindings");
    wasm_bindgen(&target.join(TRIPLE).join("page/page_reqwest.wasm"), &generated)?;
    let peer = kilobytes(gzipped_bytes(&generated.join("page_reqwest_bg.wasm"))?);
    let title = "gzipped WebAssembly of the page, vs the same functions with reqwest";
    let target = Target::OursAtMost { ours, limit: kilobytes(MAX_GZIPPED_KB * 1000) };
    Ok(vec![Row::new(title, ours, peer, " KB", 0).target(target)])
}

fn kilobytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1000.0
}
