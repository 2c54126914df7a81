use std::time::Duration;

/// The settings that do not change while an emulator runs.
#[derive(Clone)]
#[allow(clippy::struct_excessive_bools, reason = "each flag is independent")]
pub(crate) struct Settings {
    /// The only accepted API key, or `None` to accept any key.
    pub(crate) api_key: Option<String>,
    /// The ids of the existing workspaces. If the list is empty, any id is accepted.
    pub(crate) workspaces: Vec<String>,
    pub(crate) daily_cap: Option<u64>,
    /// The time for which a new knowledge base item is pending.
    pub(crate) indexing: Duration,
    pub(crate) asset_link_lifetime: Duration,
    /// Whether a request may inject faults by its `x-fetch-hive-fault` headers.
    pub(crate) fault_header: bool,
    pub(crate) delivery_attempts: u32,
    pub(crate) delivery_backoff: Duration,
    pub(crate) private_callbacks: bool,
    pub(crate) loopback_callbacks_only: bool,
    #[cfg(feature = "page")]
    pub(crate) page: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_key: None,
            workspaces: Vec::new(),
            daily_cap: None,
            indexing: Duration::ZERO,
            asset_link_lifetime: Duration::from_secs(60 * 60),
            fault_header: false,
            delivery_attempts: 5,
            delivery_backoff: Duration::from_millis(200),
            private_callbacks: false,
            loopback_callbacks_only: false,
            #[cfg(feature = "page")]
            page: false,
        }
    }
}
