//! A promoted standby that has not received the last transactions.

use std::net::Ipv4Addr;
use std::time::Duration;

use fetch_hive_batch::{Batch, End, Mapping, RowStatus, Stop};
use fetch_hive_client::Client;
use fetch_hive_emulator::{Deployment, Emulator};
use fetch_hive_store::Store;
use fetch_hive_tests::SilentRelay;
use replicas::postgres::Postgres;

use super::{SECOND, count, rows};

const ROWS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn lagging_standby_sends_nothing_twice() {
    let Some(primary) = Postgres::start().unwrap() else {
        assert!(std::env::var_os("FETCH_HIVE_REQUIRE_PROGRAMS").is_none(), "PostgreSQL was not found");
        return fetch_hive_tests::report_skipped("initdb of PostgreSQL");
    };
    let relay = SilentRelay::start((Ipv4Addr::LOCALHOST, primary.port()).into()).await.unwrap();
    let store = Store::connect(&relay.database_url()).await.unwrap();
    let emulator =
        Emulator::builder().deployment(Deployment::workflow("summarise").delay_ms(20)).start().await.unwrap();
    let client = Client::builder().api_key("fhk_test").base_url(emulator.base_url()).build().unwrap();
    let mapping = Mapping::workflow("summarise").columns(["text"]);
    let batch = Batch::create(&store, "reviews", rows(ROWS), &mapping).await.unwrap();
    let standby = primary.start_standby().unwrap();

    let limiter = store.run_limiter("plan", 3);
    let folder = primary.folder().join("spill");
    std::fs::create_dir(&folder).unwrap();
    let worker = batch.worker(&client, &limiter).spill_folder(&folder);
    let running = tokio::spawn(async move { worker.run(&Stop::new()).await });
    wait_for_runs(&emulator, 50).await;
    // From now on, the standby receives nothing.
    standby.query("ALTER SYSTEM SET primary_conninfo = ''").unwrap();
    standby.query("SELECT pg_reload_conf()").unwrap();
    let before = emulator.runs().len();
    wait_for_runs(&emulator, before + 50).await;
    primary.stop("immediate").unwrap();
    standby.promote().unwrap();
    relay.redirect((Ipv4Addr::LOCALHOST, standby.port()).into());

    let end = tokio::time::timeout(60 * SECOND, running).await.unwrap().unwrap().unwrap();
    let End::Paused { reason } = end else { panic!("{end}") };
    assert!(reason.contains("server changed"), "{reason}");
    // The worker has stored the results again that the standby had lost.
    let sent = emulator.runs().len();
    assert!(sent < ROWS, "the batch was not interrupted");
    let known = count(&batch, RowStatus::Succeeded).await + count(&batch, RowStatus::Unknown).await;
    assert_eq!(known, sent as u64);

    // Another worker sends nothing either before a person confirms.
    batch.resume().await.unwrap();
    let worker = || batch.worker(&client, &limiter).spill_folder(&folder);
    assert!(matches!(worker().run(&Stop::new()).await.unwrap(), End::Paused { .. }));
    assert_eq!(emulator.runs().len(), sent);

    store.confirm_server().await.unwrap();
    batch.resume().await.unwrap();
    let ended = tokio::time::timeout(60 * SECOND, worker().run(&Stop::new())).await.unwrap().unwrap();
    assert_eq!(ended, End::Finished);
    assert_eq!(emulator.runs().len(), ROWS, "no row was invoked twice");
}

async fn wait_for_runs(emulator: &Emulator, runs: usize) {
    while emulator.runs().len() < runs {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
