//! A PostgreSQL server with its own data in a temporary folder.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A temporary folder that is removed when it is dropped.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// Creates a folder.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created.
    pub fn new() -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("fetch-hive-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running server that is stopped when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    directory: Directory,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Starts a server with an empty database. Returns `None` if PostgreSQL is not installed.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not start.
    pub fn start() -> io::Result<Option<Self>> {
        let Some(server) = Self::install()? else { return Ok(None) };
        server.initialize()?;
        server.restart()?;
        Ok(Some(server))
    }

    /// Prepares the folder of a server. Returns `None` if PostgreSQL is not installed.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created.
    pub fn install() -> io::Result<Option<Self>> {
        let Some(programs) = find_programs() else { return Ok(None) };
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { directory: Directory::new()?, programs, port };
        // The server refuses to run as root.
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(server.folder()))?;
        }
        Ok(Some(server))
    }

    /// Creates an empty database.
    ///
    /// # Errors
    ///
    /// Returns an error if `initdb` fails.
    pub fn initialize(&self) -> io::Result<()> {
        let mut initdb = self.command("initdb");
        run(initdb.arg("-D").arg(self.data()).args(["-U", "postgres", "-A", "trust", "--no-sync"]))
    }

    /// Starts the server, and stops it first if it is running.
    ///
    /// # Errors
    ///
    /// Returns an error if the server does not start.
    pub fn restart(&self) -> io::Result<()> {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -k {}", self.port, self.folder().display());
        let mut command = self.command("pg_ctl");
        command.arg("-D").arg(self.data()).arg("-l").arg(self.folder().join("log"));
        run(command.args(["-w", "-m", "fast", "-o", &options, "restart"]))
    }

    /// Stops the server in a mode such as `immediate`, which is a crash.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is not running.
    pub fn stop(&self, mode: &str) -> io::Result<()> {
        run(self.command("pg_ctl").arg("-D").arg(self.data()).args(["-w", "-m", mode, "stop"]))
    }

    /// Returns the URL of the database.
    pub fn url(&self) -> String {
        self.url_with("sslmode=disable")
    }

    /// Returns the URL of the database with other parameters.
    pub fn url_with(&self, parameters: &str) -> String {
        format!("postgres://postgres@localhost:{}/postgres?hostaddr=127.0.0.1&{parameters}", self.port)
    }

    /// Starts a standby of this server with a copy of its data.
    ///
    /// # Errors
    ///
    /// Returns an error if PostgreSQL is not installed, or if the standby does not start.
    pub fn start_standby(&self) -> io::Result<Self> {
        let standby = Self::install()?.ok_or_else(|| io::Error::other("PostgreSQL is not installed"))?;
        let mut backup = standby.command("pg_basebackup");
        backup.args(["-h", "127.0.0.1", "-U", "postgres", "-R", "-c", "fast", "-p"]).arg(self.port.to_string());
        run(backup.arg("-D").arg(standby.data()))?;
        standby.restart()?;
        Ok(standby)
    }

    /// Makes a standby the primary server.
    ///
    /// # Errors
    ///
    /// Returns an error if the server is not a running standby.
    pub fn promote(&self) -> io::Result<()> {
        run(self.command("pg_ctl").arg("-D").arg(self.data()).args(["-w", "promote"]))
    }

    /// Returns the result of a query as text.
    ///
    /// # Errors
    ///
    /// Returns an error if the query fails.
    pub fn query(&self, sql: &str) -> io::Result<String> {
        let mut psql = self.command("psql");
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &self.port.to_string(), "-Atc", sql]);
        let output = psql.output()?;
        if !output.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Returns the port of the server.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of the server.
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the folder of the data.
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// Returns a command of PostgreSQL that runs as the user of the server.
    pub fn command(&self, program: &str) -> Command {
        as_postgres(&self.programs.join(program), self.folder())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.stop("immediate");
    }
}

/// Returns a command that runs in a folder as a user other than root.
pub fn as_postgres(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(if is_root() { Path::new("runuser") } else { program });
    if is_root() {
        command.args(["-u", "postgres", "--"]).arg(program);
    }
    command.current_dir(folder);
    command
}

/// Runs a command without its output.
///
/// # Errors
///
/// Returns an error if the command fails.
pub fn run(command: &mut Command) -> io::Result<()> {
    // A pipe that the server inherits would stay open.
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

/// Returns whether this process runs as root.
pub fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn find_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<_> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| folder.join("initdb").exists())
}
