//! A key in the keyring of the operating system, which several processes share.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::{KEY, Printed, Sandbox, bin};

/// Starts a Secret Service with an unlocked keyring, and runs a script. Returns `None` if the
/// programs are not installed.
fn with_secret_service(sandbox: &Sandbox, script: &str) -> Option<Printed> {
    let is_installed = |name: &str| Command::new(name).arg("--version").output().is_ok_and(|out| out.status.success());
    if !is_installed("dbus-run-session") || !is_installed("gnome-keyring-daemon") {
        assert!(std::env::var_os("FETCH_HIVE_REQUIRE_PROGRAMS").is_none(), "gnome-keyring-daemon was not found");
        println!("skipped: the programs `dbus-run-session` and `gnome-keyring-daemon` are not installed");
        return None;
    }
    let start = "read -r key; printf %s password | gnome-keyring-daemon --unlock --components=secrets > /dev/null";
    let script = format!("{start}; set -e; fetch-hive() {{ '{}' \"$@\"; }}; {script}", bin());
    let mut session = Command::new("dbus-run-session");
    session.args(["--", "bash", "-c", &script]).env_clear().envs(sandbox.variables());
    session.env_remove("FETCH_HIVE_API_KEY").env("XDG_RUNTIME_DIR", sandbox.folder.path());
    let mut session = session.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    session.stdin.take().unwrap().write_all(format!("{KEY}\n").as_bytes()).unwrap();
    Some(session.wait_with_output().unwrap().into())
}

#[test]
fn key_in_the_keyring_is_read_by_other_processes_until_it_is_deleted() {
    let sandbox = Sandbox::new();
    let script = "fetch-hive auth login --keyring --with-key <<< \"$key\"
        fetch-hive auth status --jq '[.source, .key, .valid] | join(\": \")'
        cp $HOME/.config/fetch-hive/config.toml $HOME/saved
        fetch-hive auth logout
        cp $HOME/saved $HOME/.config/fetch-hive/config.toml
        fetch-hive auth status --offline || echo code $?";
    let Some(printed) = with_secret_service(&sandbox, script) else { return };
    let shown = "the keyring entry of the profile default: …last: yes\ncode 4\n";
    assert_eq!(printed.stdout, shown, "{}", printed.stderr);
    assert!(printed.stderr.contains("cannot read the key of the profile default in the keyring"), "{}", printed.stderr);
    let config = std::fs::read_to_string(sandbox.folder.path().join("home/.config/fetch-hive/config.toml")).unwrap();
    assert!(config.contains("keyring = true") && !config.contains(KEY), "{config}");
}

#[test]
fn key_moves_between_the_keyring_and_a_file() {
    let sandbox = Sandbox::new();
    let script = "fetch-hive auth login --with-key <<< \"$key\"
        ls $HOME/.config/fetch-hive/keys
        fetch-hive auth login --keyring --with-key <<< \"$key\"
        ls $HOME/.config/fetch-hive/keys
        cp $HOME/.config/fetch-hive/config.toml $HOME/saved
        fetch-hive auth login --with-key <<< \"$key\"
        cp $HOME/saved $HOME/.config/fetch-hive/config.toml
        fetch-hive auth status --offline || echo code $?";
    let Some(printed) = with_secret_service(&sandbox, script) else { return };
    assert_eq!(printed.stdout, "default\ncode 4\n", "{}", printed.stderr);
}

#[test]
fn missing_keyring_stores_nothing() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["auth", "login", "--keyring", "--with-key"]);
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent").stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(KEY.as_bytes()).unwrap();
    let printed = Printed::from(child.wait_with_output().unwrap());
    assert_eq!(printed.code, Some(4), "{}", printed.stderr);
    assert!(printed.stderr.contains("cannot store the key") && !printed.stderr.contains(KEY), "{}", printed.stderr);
    assert!(!sandbox.folder.path().join("home/.config/fetch-hive").exists());
}
