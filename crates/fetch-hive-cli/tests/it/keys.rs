//! The sources of the key.

use std::io::Write as _;
use std::process::Stdio;

use crate::support::{KEY, Printed, Sandbox};

/// Runs `auth login --with-key`.
fn login(sandbox: &Sandbox, arguments: &[&str], key: &str) -> Printed {
    let mut command = sandbox.command(&[&["auth", "login", "--with-key"], arguments].concat());
    command.env_remove("FETCH_HIVE_API_KEY").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(key.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

fn status(sandbox: &Sandbox, arguments: &[&str]) -> Printed {
    let mut command = sandbox.command(&[&["auth", "status", "--output", "text"], arguments].concat());
    command.env_remove("FETCH_HIVE_API_KEY").output().unwrap().into()
}

#[test]
fn status_names_the_source_and_the_last_four_characters() {
    let sandbox = Sandbox::new();
    let printed = sandbox.run(&["auth", "status", "--output", "text"]);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    assert!(printed.stdout.contains("the environment variable FETCH_HIVE_API_KEY"), "{}", printed.stdout);
    assert!(printed.stdout.contains("…last") && !printed.stdout.contains(KEY), "{}", printed.stdout);
    let mut other = sandbox.command(&["auth", "status", "--key-env", "OTHER", "--output", "text"]);
    let other = Printed::from(other.env("OTHER", "fhk_other_0123456789").output().unwrap());
    assert!(other.stdout.contains("variable OTHER") && other.stdout.contains("…6789"), "{}", other.stdout);
}

#[test]
fn stored_key_is_private_and_can_be_deleted() {
    let sandbox = Sandbox::new();
    let stored = login(&sandbox, &[], &format!("{KEY}\n"));
    assert_eq!(stored.code, Some(0), "{}", stored.stderr);
    assert!(!stored.stderr.contains(KEY));
    let file = sandbox.folder.path().join("home/.config/fetch-hive/keys/default");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), KEY);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let shown = status(&sandbox, &[]);
    assert!(shown.code == Some(0) && shown.stdout.contains("the profile default"), "{shown:?}");
    let mut logout = sandbox.command(&["auth", "logout"]);
    assert!(logout.output().unwrap().status.success());
    assert!(!file.exists());
    assert_eq!(status(&sandbox, &[]).code, Some(4));
}

#[test]
fn key_of_the_environment_does_not_go_to_the_base_url_of_a_profile() {
    let sandbox = Sandbox::new();
    assert_eq!(login(&sandbox, &[], KEY).code, Some(0));
    let target = |arguments: &[&str]| {
        let mut command = sandbox.command(&[&["api", "GET", "/public/models", "--dry-run"], arguments].concat());
        let printed = Printed::from(command.env_remove("FETCH_HIVE_BASE_URL").output().unwrap());
        printed.stdout.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(target(&[]), "GET https://api.fetchhive.com/v1/public/models");
    let of_profile = format!("GET {}/public/models", sandbox.emulator.base_url());
    assert_eq!(target(&["--profile", "default"]), of_profile);
}

#[test]
fn invalid_key_is_not_stored() {
    let sandbox = Sandbox::new();
    let refused = login(&sandbox, &[], "fhk_invalid");
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing was stored"), "{}", refused.stderr);
    assert!(!sandbox.folder.path().join("home/.config/fetch-hive/config.toml").exists());
}

#[test]
fn profile_can_name_a_command_that_prints_the_key() {
    let sandbox = Sandbox::new();
    let stored = sandbox.run(&["auth", "login", "--profile", "work", "--key-command", &format!("echo {KEY}")]);
    assert_eq!(stored.code, Some(0), "{}", stored.stderr);
    let shown = status(&sandbox, &["--profile", "work"]);
    assert!(shown.stdout.contains("the key_command of the profile work"), "{shown:?}");
    let unknown = status(&sandbox, &["--profile", "other"]);
    assert_eq!(unknown.code, Some(4));
    assert!(unknown.stderr.contains("known profiles: work"), "{}", unknown.stderr);
}
