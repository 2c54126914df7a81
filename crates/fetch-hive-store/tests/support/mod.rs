//! Databases for the tests.
#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed at the end of a test.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fetch-hive-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A PostgreSQL server with its own data directory, which ends with the test.
pub struct Postgres {
    directory: Directory,
    binaries: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts a server. Returns `None` if PostgreSQL is not installed, unless
    /// `FETCH_HIVE_REQUIRE_POSTGRES` is set.
    pub fn start() -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            assert!(std::env::var_os("FETCH_HIVE_REQUIRE_POSTGRES").is_none(), "initdb of PostgreSQL was not found");
            eprintln!("skipped: initdb of PostgreSQL was not found");
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { directory: Directory::new(), binaries, port };
        let directory = &server.directory.0;
        // The server refuses to run as root.
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(directory));
        }
        let data = directory.join("data");
        run(server.command("initdb").arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "--no-sync"]));
        server.restart_after("");
        Some(server)
    }

    /// Starts the server, after stopping it in a mode such as `immediate`.
    pub fn restart_after(&self, stop_mode: &str) {
        if !stop_mode.is_empty() {
            self.stop(stop_mode);
        }
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -k {}", self.port, self.directory.0.display());
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(self.directory.0.join("data")).arg("-l").arg(self.directory.0.join("log"));
        run(command.args(["-w", "-o", &options, "start"]));
    }

    pub fn stop(&self, mode: &str) {
        let data = self.directory.0.join("data");
        run(self.command("pg_ctl").arg("-D").arg(data).args(["-w", "-m", mode, "stop"]));
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    fn command(&self, program: &str) -> Command {
        let program = self.binaries.join(program);
        let mut command = Command::new(if is_root() { Path::new("runuser") } else { &program });
        if is_root() {
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        command.current_dir(&self.directory.0);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let data = self.directory.0.join("data");
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(data).args(["-w", "-m", "immediate", "stop"]);
        drop(command.stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

fn is_root() -> bool {
    let output: Output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}

fn find_binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut paths: Vec<_> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    paths.sort();
    paths.into_iter().rev().find(|path| path.join("initdb").exists())
}

/// The server inherits no pipe, which would never be closed.
fn run(command: &mut Command) {
    let status = command.stdout(Stdio::null()).stdin(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
