//! Databases for the tests.
#![allow(dead_code, unreachable_pub, clippy::panic, clippy::unwrap_used, reason = "shared by several test programs")]

pub mod history;
pub mod limiter;
#[path = "../../../../examples/replicas/src/postgres.rs"]
pub mod postgres;
pub mod purge;
#[path = "../../../fetch-hive-tests/src/relay.rs"]
pub mod relay;
#[path = "../../../fetch-hive-tests/src/skip.rs"]
mod skip;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fetch_hive_store::Store;
use fetch_hive_testing::stores;
pub use postgres::Directory;
use postgres::{Postgres, as_postgres, is_root, run};
#[allow(unused_imports, reason = "only for PostgreSQL")]
pub use relay::SilentRelay;
pub use skip::report_skipped;

/// Runs the conformance kit on two handles to the same state.
pub async fn check_conformance(first: &Store, second: &Store) {
    let report = stores::check_pending_runs(&first.pending_runs(), &second.pending_runs()).await;
    assert!(report.is_success(), "{report}");
    let report = stores::check_dedup_store(&first.dedup(), &second.dedup()).await;
    assert!(report.is_success(), "{report}");
    let report = stores::check_run_limiter(first.run_limiter("plan", 2), second.run_limiter("plan", 2)).await;
    assert!(report.is_success(), "{report}");
}

/// Starts a server. Returns `None` if PostgreSQL is not installed, unless
/// `FETCH_HIVE_REQUIRE_PROGRAMS` is set.
pub fn start_postgres() -> Option<Postgres> {
    let server = Postgres::start().unwrap();
    if server.is_none() {
        report_missing("initdb of PostgreSQL");
    }
    server
}

/// Starts a server that also accepts TLS, with a certificate for `localhost` in `root.crt`.
pub fn start_postgres_with_tls() -> Option<Postgres> {
    let Some(server) = Postgres::install().unwrap() else {
        report_missing("initdb of PostgreSQL");
        return None;
    };
    server.initialize().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(root_certificate(&server), certificate.pem()).unwrap();
    let data = server.data();
    std::fs::copy(root_certificate(&server), data.join("server.crt")).unwrap();
    std::fs::write(data.join("server.key"), key.serialize_pem()).unwrap();
    std::fs::set_permissions(data.join("server.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(data.join("postgresql.auto.conf"), "ssl = on\n").unwrap();
    if is_root() {
        run(Command::new("chown").arg("-R").arg("postgres").arg(&data)).unwrap();
    }
    server.restart().unwrap();
    Some(server)
}

pub fn root_certificate(server: &Postgres) -> PathBuf {
    server.folder().join("root.crt")
}

/// PgBouncer in transaction mode in front of a server.
pub struct PgBouncer {
    process: Child,
    _directory: Directory,
    port: u16,
}

impl PgBouncer {
    /// Starts PgBouncer. Returns `None` if it is not installed, unless
    /// `FETCH_HIVE_REQUIRE_PROGRAMS` is set.
    pub fn start(server: &Postgres) -> Option<Self> {
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().map(Path::new).find(|path| path.exists());
        let Some(program) = program else {
            report_missing("PgBouncer");
            return None;
        };
        let (directory, port) = (Directory::new().unwrap(), free_port());
        let users = directory.path().join("users.txt");
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let settings = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\npostgres = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = 2\nunix_socket_dir =\n",
            server.port(),
            users.display()
        );
        std::fs::write(&settings, text).unwrap();
        let mut command = as_postgres(program, Path::new("/"));
        let process = command.arg("-q").arg(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed().as_secs() < 10, "PgBouncer did not start");
            std::thread::sleep(Duration::from_millis(20));
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

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Fails if all programs are required, and reports the current test as skipped otherwise.
fn report_missing(program: &str) {
    assert!(std::env::var_os("FETCH_HIVE_REQUIRE_PROGRAMS").is_none(), "{program} was not found");
    report_skipped(program);
}
