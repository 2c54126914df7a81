//! What every command shares: the options, the client, the output and the store.

use std::path::PathBuf;
use std::time::Duration;

use fetch_hive_client::Client;
use fetch_hive_store::Store;
use tokio::sync::OnceCell;

use crate::config::{Config, Profile, create_private_dir, data_dir};
use crate::failure::{Failure, Result};
use crate::keys::{KeySource, LazyKey};
use crate::options::Globals;
use crate::output::Output;
use crate::text;

/// How long a run may take without `--timeout`, as the service's documentation suggests.
pub(crate) const RUN_TIMEOUT: Duration = Duration::from_secs(600);

/// What the command adds to the user agent of the library.
pub(crate) const USER_AGENT: &str = concat!("fetch-hive-cli/", env!("CARGO_PKG_VERSION"));

/// The options, the client, the output and the store of a command.
pub(crate) struct Context {
    pub(crate) globals: Globals,
    pub(crate) config: Config,
    pub(crate) out: Output,
    key_source: KeySource,
    client: OnceCell<Client>,
    store: OnceCell<Store>,
    #[cfg(feature = "emulator")]
    emulator: OnceCell<fetch_hive_emulator::Emulator>,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Result<Self> {
        let config = Config::load()?;
        let out = Output::new(&globals)?;
        Ok(Self {
            key_source: KeySource::Missing,
            client: OnceCell::new(),
            store: OnceCell::new(),
            #[cfg(feature = "emulator")]
            emulator: OnceCell::new(),
            globals,
            config,
            out,
        }
        .with_key_source())
    }

    /// Selects the key source. An unknown profile is reported when the key is needed.
    fn with_key_source(mut self) -> Self {
        self.key_source = KeySource::select(&self.globals, &self.config, self.emulates()).unwrap_or(KeySource::Missing);
        self
    }

    /// Returns where the key comes from.
    pub(crate) fn key_source(&self) -> Result<KeySource> {
        KeySource::select(&self.globals, &self.config, self.emulates())
    }

    /// Returns whether the embedded emulator is used instead of the service.
    #[cfg_attr(not(feature = "emulator"), allow(clippy::unused_self, reason = "there is no option"))]
    pub(crate) fn emulates(&self) -> bool {
        #[cfg(feature = "emulator")]
        return self.globals.emulate.is_some();
        #[cfg(not(feature = "emulator"))]
        false
    }

    /// Returns the profile in use, if there is one.
    ///
    /// The default profile is not used with a key from the environment, because that key must not
    /// go to the base URL of the profile.
    pub(crate) fn profile(&self) -> Result<Option<&Profile>> {
        let is_other_key = matches!(self.key_source, KeySource::Variable(_));
        if self.globals.profile.is_none() && is_other_key {
            return Ok(None);
        }
        match self.globals.profile.as_ref().or(self.config.default_profile.as_ref()) {
            Some(name) => self.config.profile(name).map(Some),
            None => Ok(None),
        }
    }

    /// Returns the base URL, or `None` for the service.
    #[cfg_attr(not(feature = "emulator"), allow(clippy::unused_async, reason = "the emulator is started"))]
    pub(crate) async fn base_url(&self) -> Result<Option<String>> {
        #[cfg(feature = "emulator")]
        if self.emulates() {
            return Ok(Some(self.emulator().await?.base_url()));
        }
        if let Some(url) = &self.globals.base_url {
            return Ok(Some(url.clone()));
        }
        Ok(self.profile()?.and_then(|profile| profile.base_url.clone()))
    }

    /// Returns the client.
    pub(crate) async fn client(&self) -> Result<&Client> {
        self.client.get_or_try_init(|| self.build_client()).await
    }

    async fn build_client(&self) -> Result<Client> {
        self.key_source()?;
        let mut builder = Client::builder().credentials(LazyKey::new(self.key_source.clone())).user_agent(USER_AGENT);
        if let Some(url) = self.base_url().await? {
            builder = builder.base_url(url);
        }
        if let Some(timeout) = self.globals.timeout {
            builder = builder.timeout(timeout);
        }
        if self.out.verbose {
            let out = self.out.clone();
            builder = builder.on_attempt(move |report| {
                let status = report.status.map_or_else(String::new, |status| format!(" {}", status.as_u16()));
                // The type of an error response is its status.
                let error = report.error_type.filter(|error| !status.ends_with(error));
                let error = error.map_or_else(String::new, |error| format!(" ({error})"));
                let attempt = match report.attempt {
                    1 => String::new(),
                    attempt => format!(", attempt {attempt}"),
                };
                let (method, name) = (&report.operation.method, report.operation.name);
                let duration = text::duration(report.duration);
                out.detail(&format!("{method} {name}:{status}{error} in {duration}{attempt}"));
            });
        }
        Ok(builder.build()?)
    }

    /// Returns the time that a run may take.
    pub(crate) fn run_timeout(&self) -> Duration {
        self.globals.timeout.unwrap_or(RUN_TIMEOUT)
    }

    /// Returns the embedded emulator, and starts it if necessary.
    #[cfg(feature = "emulator")]
    pub(crate) async fn emulator(&self) -> Result<&fetch_hive_emulator::Emulator> {
        self.emulator
            .get_or_try_init(|| async {
                let mut builder = fetch_hive_emulator::Emulator::builder();
                if let Some(file) = self.globals.emulate.as_ref().filter(|file| !file.is_empty()) {
                    builder = builder.config(file);
                }
                let started = builder.start().await;
                let emulator = started.map_err(|error| {
                    Failure::usage(format!("cannot start the emulator: {}", crate::failure::chain_lines(&error)))
                        .next("`fetch-hive emulator --help` shows the format of the file")
                })?;
                self.out.note("emulated: nothing is sent to the service, and nothing is charged");
                Ok(emulator)
            })
            .await
    }

    /// Returns the workspace: `--workspace`, then that of the profile.
    pub(crate) fn workspace(&self) -> Result<String> {
        if let Some(workspace) = &self.globals.workspace {
            return Ok(workspace.clone());
        }
        if let Some(workspace) = self.profile()?.and_then(|profile| profile.workspace.clone()) {
            return Ok(workspace);
        }
        #[cfg(feature = "emulator")]
        if self.emulates() {
            return Ok(fetch_hive_emulator::DEFAULT_WORKSPACE.to_owned());
        }
        Err(Failure::usage("no workspace").next(
            "pass `--workspace ID`, set FETCH_HIVE_WORKSPACE, or store it with `fetch-hive auth login --workspace ID`",
        ))
    }

    /// Returns what a command that needs the workspace must add: nothing if one is configured.
    pub(crate) fn workspace_option(&self) -> &'static str {
        if self.workspace().is_ok() { "" } else { " --workspace ID" }
    }

    /// Returns the store, and creates it if necessary.
    pub(crate) async fn store(&self) -> Result<&Store> {
        self.store.get_or_try_init(|| self.open_store()).await
    }

    async fn open_store(&self) -> Result<Store> {
        let target = self.globals.store.as_deref().unwrap_or_default();
        let failed = |error: fetch_hive_store::StoreError| {
            Failure::other(crate::redact::argument(&crate::failure::chain(&error)))
                .next("pass another `--store PATH`, or `--no-history`")
        };
        if target.starts_with("postgres://") || target.starts_with("postgresql://") {
            #[cfg(feature = "postgres")]
            return Store::connect(target).await.map_err(failed);
            #[cfg(not(feature = "postgres"))]
            return Err(Failure::usage("this build has no PostgreSQL").next("pass a path to `--store`"));
        }
        let path = if target.is_empty() { data_dir()?.join("store.db") } else { PathBuf::from(target) };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_private_dir(folder).map_err(|error| Failure::file("create", folder, &error))?;
        }
        Store::open(path).await.map_err(failed)
    }

    /// Returns whether commands are recorded. An emulated run is not, unless a store is named.
    pub(crate) fn records_history(&self) -> bool {
        let is_enabled = !self.globals.no_history && self.config.history != Some(false);
        is_enabled && (self.globals.store.is_some() || !self.emulates())
    }
}
