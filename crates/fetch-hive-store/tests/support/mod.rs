//! Databases for the tests.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "shared by several test programs")]

pub mod limiter;

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
        let server = Self::install()?;
        let data = server.data();
        run(server.command("initdb").arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "--no-sync"]));
        server.restart_after("");
        Some(server)
    }

    /// Starts a server that also accepts TLS, with a certificate for `localhost`.
    pub fn start_with_tls() -> Option<Self> {
        let server = Self::install()?;
        run(server.command("initdb").arg("-D").arg(server.data()).args(["-U", "postgres", "-A", "trust", "--no-sync"]));
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(server.certificate(), certificate.pem()).unwrap();
        let key_file = server.data().join("server.key");
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::copy(server.certificate(), server.data().join("server.crt")).unwrap();
        if is_root() {
            run(Command::new("chown").arg("-R").arg("postgres").arg(server.data()));
        }
        server.append("postgresql.conf", "ssl = on\n");
        server.restart_after("");
        Some(server)
    }

    /// Starts a standby that replicates this server asynchronously.
    pub fn standby(&self) -> Self {
        let server = Self::install().unwrap();
        let mut backup = server.command("pg_basebackup");
        backup.args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-c", "fast", "-p"]).arg(self.port.to_string());
        run(backup.arg("-D").arg(server.data()));
        server.restart_after("");
        server
    }

    /// Makes a standby the primary server.
    pub fn promote(&self) {
        run(self.command("pg_ctl").arg("-D").arg(self.data()).args(["-w", "promote"]));
    }

    fn install() -> Option<Self> {
        let Some(binaries) = find_binaries() else {
            assert!(std::env::var_os("FETCH_HIVE_REQUIRE_POSTGRES").is_none(), "initdb of PostgreSQL was not found");
            report_skipped("initdb of PostgreSQL");
            return None;
        };
        let server = Self { directory: Directory::new(), binaries, port: free_port() };
        // The server refuses to run as root.
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&server.directory.0));
        }
        Some(server)
    }

    fn data(&self) -> PathBuf {
        self.directory.0.join("data")
    }

    /// Returns the path of the certificate of the server.
    pub fn certificate(&self) -> PathBuf {
        self.directory.0.join("root.crt")
    }

    fn append(&self, file: &str, text: &str) {
        use std::io::Write;
        let path = self.data().join(file);
        std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Starts the server, after stopping it in a mode such as `immediate`.
    pub fn restart_after(&self, stop_mode: &str) {
        if !stop_mode.is_empty() {
            self.stop(stop_mode);
        }
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -k {}", self.port, self.directory.0.display());
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(self.data()).arg("-l").arg(self.directory.0.join("log"));
        run(command.args(["-w", "-o", &options, "start"]));
    }

    pub fn stop(&self, mode: &str) {
        run(self.command("pg_ctl").arg("-D").arg(self.data()).args(["-w", "-m", mode, "stop"]));
    }

    pub fn url(&self) -> String {
        self.url_with("sslmode=disable")
    }

    pub fn url_with(&self, parameters: &str) -> String {
        format!("postgres://postgres@localhost:{}/postgres?hostaddr=127.0.0.1&{parameters}", self.port)
    }

    /// Returns the result of a query as text.
    pub fn query(&self, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), "-Atc", sql]);
        let output: Output = psql.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn command(&self, program: &str) -> Command {
        command_as_postgres(&self.binaries.join(program), &self.directory.0)
    }
}

/// Returns a command that runs as a user other than root.
fn command_as_postgres(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(if is_root() { Path::new("runuser") } else { program });
    if is_root() {
        command.args(["-u", "postgres", "--"]).arg(program);
    }
    command.current_dir(directory);
    command
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `PgBouncer` in transaction mode in front of a server.
pub struct PgBouncer {
    process: std::process::Child,
    _directory: Directory,
    port: u16,
}

impl PgBouncer {
    /// Starts `PgBouncer`. Returns `None` if it is not installed, unless
    /// `FETCH_HIVE_REQUIRE_POSTGRES` is set.
    pub fn start(server: &Postgres) -> Option<Self> {
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().map(Path::new).find(|path| path.exists());
        let Some(program) = program else {
            assert!(std::env::var_os("FETCH_HIVE_REQUIRE_POSTGRES").is_none(), "PgBouncer was not found");
            report_skipped("PgBouncer");
            return None;
        };
        let (directory, port) = (Directory::new(), free_port());
        let users = directory.0.join("users.txt");
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = directory.0.join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = 2\nunix_socket_dir =\n",
            server.port,
            users.display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = command_as_postgres(program, Path::new("/"));
        let process = command.arg("-q").arg(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = std::time::Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed().as_secs() < 10, "PgBouncer did not start");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Some(Self { process, _directory: directory, port })
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable&listen=false", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // `runuser` passes the signal on to PgBouncer.
        drop(Command::new("kill").arg(self.process.id().to_string()).status());
        drop(self.process.wait());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(self.data()).args(["-w", "-m", "immediate", "stop"]);
        drop(command.stdout(Stdio::null()).stderr(Stdio::null()).status());
    }
}

/// Reports the current test as skipped. The test runner does not capture what is written directly.
fn report_skipped(missing: &str) {
    use std::io::Write;
    let thread = std::thread::current();
    writeln!(std::io::stderr(), "skipped {}: {missing} was not found", thread.name().unwrap_or_default()).unwrap();
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
