use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{TRIPLE, build_bridge, conformance, require_target, wasm_bindgen};
use crate::emulator::chromium;
use crate::run::{capture_output, cargo, run_cargo, run_command, target_dir, workspace_root};

/// The largest size of the page's WebAssembly, compressed with gzip.
pub(crate) const MAX_GZIPPED_KB: u64 = 500;

/// The built page.
pub(crate) struct Page {
    pub(crate) folder: PathBuf,
    /// The size of the WebAssembly, compressed with gzip.
    pub(crate) gzipped_bytes: u64,
}

/// Builds the page of the example below the target folder.
pub(crate) fn build_page() -> Result<Page, String> {
    require_target()?;
    let arguments = format!("build -q -p fetch-hive-example-fetch --lib --target {TRIPLE} --profile page");
    run_command("page", &format!("cargo {arguments}"), cargo().args(arguments.split(' ')))?;
    let folder = target_dir().join("wasm/page");
    wasm_bindgen(&target_dir().join(TRIPLE).join("page/fetch_hive_example_fetch.wasm"), &folder)?;
    for name in ["index.html", "page.css", "page.js"] {
        let file = workspace_root().join("examples/transports/fetch/page").join(name);
        fs::copy(&file, folder.join(name)).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let gzipped_bytes = gzipped_bytes(&folder.join("fetch_hive_example_fetch_bg.wasm"))?;
    println!("   WebAssembly of the page: {} KB with gzip, at most {MAX_GZIPPED_KB} KB", gzipped_bytes / 1000);
    if gzipped_bytes > MAX_GZIPPED_KB * 1000 {
        return Err(format!("the WebAssembly of the page has {gzipped_bytes} bytes with gzip"));
    }
    Ok(Page { folder, gzipped_bytes })
}

/// Returns the size of a file, compressed with gzip.
pub(crate) fn gzipped_bytes(file: &std::path::Path) -> Result<u64, String> {
    let compressed = Command::new("gzip").args(["-9", "-c"]).arg(file).output();
    let compressed = compressed.map_err(|error| format!("cannot run gzip: {error}"))?.stdout;
    if compressed.is_empty() {
        Err(format!("gzip cannot read {}", file.display()))
    } else {
        Ok(compressed.len() as u64)
    }
}

/// Tests the page and the transport in headless Chromium.
pub(crate) fn page() -> Result<(), String> {
    println!("\n== page: the page of the example in headless Chromium");
    // The driver is shared with the test of the emulator's page.
    let driver = target_dir().join("page");
    let browser = chromium(&driver)?;
    let page = build_page()?;
    run_cargo("proxy", "build -q -p fetch-hive-example-fetch-proxy", &[])?;
    let proxy = Proxy::start(&page)?;
    let script = workspace_root().join("xtask/src/wasm/page.mjs");
    let mut command = Command::new("node");
    command.arg(script).args([&proxy.url, &proxy.emulator]);
    command.args([&driver.display().to_string(), &browser, &target_dir().join("wasm").display().to_string()]);
    run_command("page in Chromium, against the emulator", "node xtask/src/wasm/page.mjs", &mut command)?;
    drop(proxy);
    println!("   screenshots: {}", target_dir().join("wasm").display());
    println!("   {}", capture_output(Command::new(&browser).arg("--version"))?.trim());
    let bridge = build_bridge()?;
    conformance("Chromium", &format!("chromium\n{}\n{browser}\n{}", bridge.display(), driver.display()))
}

/// The running proxy of the example, which is stopped when it is dropped.
struct Proxy {
    process: Child,
    url: String,
    /// The URL of the emulator that the proxy has started, for its log and its faults.
    emulator: String,
}

impl Proxy {
    fn start(page: &Page) -> Result<Self, String> {
        let program = target_dir().join("debug/fetch-hive-example-fetch-proxy");
        let mut command = Command::new(program);
        command.arg(&page.folder).arg("127.0.0.1:0").env_remove("FETCH_HIVE_API_KEY").stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("cannot start the proxy: {error}"))?;
        let lines = process.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        let mut proxy = Self { process, url: String::new(), emulator: String::new() };
        let mut lines = lines.into_iter().flatten().map_while(Result::ok);
        let mut after = |prefix: &str| {
            let line = lines.next().unwrap_or_default();
            let rest = line.strip_prefix(prefix).map(str::to_owned);
            rest.ok_or_else(|| format!("the proxy printed {line:?} instead of {prefix:?}"))
        };
        proxy.url = after("listening on ")?;
        proxy.emulator = after("requests and faults: ")?;
        Ok(proxy)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
