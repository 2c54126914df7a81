//! `fetch-hive auth`.

use std::io::IsTerminal as _;
use std::path::Path;

use clap::{Args, Subcommand};
use fetch_hive_client::Client;
use fetch_hive_client::types::ApiKey;
use serde_json::json;

use crate::config::{Config, Profile, write_private};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::{Failure, Result};
use crate::inputs;
use crate::keys::{KeySource, key_file, masked};
use crate::table::Shape;
use crate::terminal;

/// The name of the profile without `--profile`.
const DEFAULT_PROFILE: &str = "default";

const ABOUT_KEYS: &str = "\
A key is never an argument, because other users can see the arguments of a process. The sources are,
in this order:
  --key-env NAME        the environment variable NAME
  --profile NAME        the profile NAME, also from FETCH_HIVE_PROFILE
  FETCH_HIVE_API_KEY    the environment variable
  the default profile   the first profile that was stored";

#[derive(Debug, Subcommand)]
#[command(after_help = ABOUT_KEYS)]
pub(crate) enum Auth {
    /// Store a key in a file of mode 0600 or in the keyring, or a command that prints the key
    #[command(after_help = ABOUT_KEYS)]
    Login(Login),
    /// Show which key is used, and check it with a free call
    #[command(before_help = "Examples:\n  fetch-hive auth status\n  fetch-hive auth status --offline --profile work")]
    Status {
        /// Do not call the service
        #[arg(long)]
        offline: bool,
    },
    /// Delete the profile and its stored key
    #[command(before_help = "Examples:\n  fetch-hive auth logout --profile work")]
    Logout,
}

const EXAMPLES: &str = "\
Examples:
  fetch-hive auth login
  fetch-hive auth login --profile work --key-command \"pass show fetch-hive\" --workspace ws_1
  fetch-hive auth login --keyring
  fetch-hive auth login --with-key < key.txt";

#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Login {
    /// A shell command that prints the key, such as that of a password manager
    #[arg(long, value_name = "COMMAND")]
    key_command: Option<String>,
    /// Read the key from standard input
    #[arg(long, conflicts_with = "key_command")]
    with_key: bool,
    /// Store the key in the keyring of the operating system instead of a file
    #[cfg(feature = "keyring")]
    #[arg(long, conflicts_with = "key_command")]
    keyring: bool,
    /// Do not check the key with a free call
    #[arg(long)]
    offline: bool,
}

pub(crate) async fn execute(command: Auth, context: &Context) -> Result<()> {
    match command {
        Auth::Login(login) => self::login(login, context).await,
        Auth::Status { offline } => status(offline, context).await,
        Auth::Logout => logout(context),
    }
}

fn profile_name(context: &Context) -> String {
    let config = &context.config;
    let name = context.globals.profile.as_ref().or(config.default_profile.as_ref());
    name.cloned().unwrap_or_else(|| DEFAULT_PROFILE.to_owned())
}

async fn login(login: Login, context: &Context) -> Result<()> {
    let name = profile_name(context);
    let file = key_file(&name)?;
    let key = match &login.key_command {
        Some(command) => KeySource::Command { profile: name.clone(), command: command.clone() }.read()?,
        None => read_key(login.with_key, context)?,
    };
    let mut profile = Profile {
        base_url: context.globals.base_url.clone(),
        workspace: context.globals.workspace.clone(),
        ..Profile::default()
    };
    if !login.offline {
        check(&key, profile.base_url.as_deref(), context).await?;
    }
    #[cfg(feature = "keyring")]
    if login.keyring {
        crate::keyring::store(&name, &key)?;
        profile.keyring = true;
    }
    let has_command = login.key_command.is_some();
    if has_command {
        profile.key_command = login.key_command;
    } else if !profile.keyring {
        write_private(&file, key.expose().as_bytes())?;
        profile.key_file = Some(file);
    }
    let (is_in_keyring, is_in_file) = (profile.keyring, profile.key_file.is_some());
    let mut config = context.config.clone();
    let previous = config.profiles.insert(name.clone(), profile);
    config.default_profile.get_or_insert_with(|| name.clone());
    config.save()?;
    // The key must not stay where the profile no longer reads it.
    if previous.is_some_and(|previous| previous.keyring) && !is_in_keyring {
        delete_from_keyring(&name)?;
    }
    if !is_in_file {
        delete_file(&name)?;
    }
    let stored = if has_command { "the command that prints the key" } else { "the key" };
    context.out.note(&format!("stored {stored} {} as the profile {name}", masked(&key)));
    Ok(())
}

fn delete_from_keyring(name: &str) -> Result<()> {
    #[cfg(feature = "keyring")]
    return crate::keyring::delete(name);
    #[cfg(not(feature = "keyring"))]
    Err(Failure::usage(format!("this build cannot delete the keyring entry of the profile {name}"))
        .next("install fetch-hive with the feature `keyring`"))
}

fn delete_file(name: &str) -> Result<()> {
    let file = key_file(name)?;
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::file("delete", &file, &error)),
        _ => Ok(()),
    }
}

fn read_key(with_key: bool, context: &Context) -> Result<ApiKey> {
    let text = if with_key || !std::io::stdin().is_terminal() {
        inputs::read_text(Path::new("-"))?
    } else if terminal::can_ask(&context.globals) {
        rpassword::prompt_password("API key (not shown): ")
            .map_err(|error| Failure::other(format!("cannot read the key: {error}")))?
    } else {
        return Err(Failure::usage("the key cannot be asked for").next("pipe it in with `--with-key`"));
    };
    ApiKey::new(text).map_err(|error| {
        Failure::new(Exit::Key, format!("the key is invalid: {error}"))
            .next("pipe the key in, such as `fetch-hive auth login --with-key < key.txt`")
    })
}

/// Checks a key with a free call. A network failure is only a warning.
async fn check(key: &ApiKey, base_url: Option<&str>, context: &Context) -> Result<()> {
    let mut builder = Client::builder().api_key(key.expose());
    if let Some(url) = base_url {
        builder = builder.base_url(url);
    }
    let checked = builder.build()?.models().await.map_err(Failure::from);
    match checked {
        Ok(_) => Ok(()),
        Err(failure) if failure.exit == Exit::Key => Err(Failure {
            next: Some("copy the key from the dashboard again; nothing was stored".to_owned()),
            ..failure
        }),
        Err(failure) => {
            context.out.warn(&format!("the key could not be checked: {failure}"));
            Ok(())
        }
    }
}

async fn status(offline: bool, context: &Context) -> Result<()> {
    let source = context.key_source()?;
    if source == KeySource::Missing {
        return Err(Failure::new(Exit::Key, "no API key")
            .next("set FETCH_HIVE_API_KEY, or store a key with `fetch-hive auth login`"));
    }
    let key = source.read()?;
    let mut status = json!({
        "source": source.to_string(),
        "key": masked(&key),
        "base_url": context.base_url().await?.unwrap_or_else(|| fetch_hive_client::BaseUrl::default().as_str().to_owned()),
        "workspace": context.workspace().ok(),
    });
    let checked = if offline { Ok(()) } else { context.client().await?.models().await.map(drop) };
    status["valid"] = match &checked {
        _ if offline => json!("not checked"),
        Ok(()) => json!("yes"),
        Err(_) => json!("no"),
    };
    context.out.response(Shape::Record("status"), status.to_string().as_bytes())?;
    checked.map_err(|error| {
        let is_refused = error.api().is_some_and(|api| matches!(api.status.as_u16(), 401 | 403));
        let failure = Failure::from(error);
        match (is_refused, &source) {
            (true, KeySource::Variable(name)) => failure.next(format!("set {name} to a valid key from the dashboard")),
            (true, _) => failure.next("store a valid key from the dashboard with `fetch-hive auth login`"),
            _ => failure,
        }
    })
}

fn logout(context: &Context) -> Result<()> {
    let name = profile_name(context);
    let mut config: Config = context.config.clone();
    let is_in_keyring = config.profile(&name)?.keyring;
    config.profiles.remove(&name);
    if config.default_profile.as_ref() == Some(&name) {
        config.default_profile = None;
    }
    if is_in_keyring {
        delete_from_keyring(&name)?;
    }
    delete_file(&name)?;
    config.save()?;
    context.out.note(&format!("deleted the profile {name}; the key stays valid until it is revoked in the dashboard"));
    Ok(())
}
