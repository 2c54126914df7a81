use std::time::Duration;

use fetch_hive_batch::{Batch, End, Error, Mapping, RowStatus, Stop};
use fetch_hive_emulator::Deployment;

use super::{SECOND, Setup, count, rows};

#[tokio::test]
async fn same_input_resumes_and_other_input_is_rejected() {
    let setup = Setup::start(|emulator| emulator).await;
    let mapping = Mapping::workflow("summarise").columns(["text"]);
    let batch = setup.batch_of(6, &mapping).await;
    setup.worker(&batch).stop_after(2).run(&Stop::new()).await.unwrap();

    let again = setup.batch_of(6, &mapping).await;
    assert_eq!(setup.worker(&again).run(&Stop::new()).await.unwrap(), End::Finished);
    assert_eq!(setup.worker(&again).run(&Stop::new()).await.unwrap(), End::Finished);
    assert_eq!(setup.runs(), 6);

    let other = Batch::create(&setup.store, "reviews", rows(7), &mapping).await.unwrap_err();
    assert!(matches!(other, Error::Different { .. }), "{other:?}");
    assert!(other.to_string().contains("the number of rows was 6 and is 7"), "{other}");
}

#[tokio::test]
async fn duplicate_ids_are_reported() {
    let setup = Setup::start(|emulator| emulator).await;
    let mapping = Mapping::workflow("summarise").columns(["text"]);
    let values = [serde_json::json!([1, "a"]), serde_json::json!([1, "b"])];
    let rows = fetch_hive_batch::Rows::from_iter(["id", "text"], values).unwrap();
    let error = Batch::builder("reviews").id_column("id").create(&setup.store, rows, &mapping).await.unwrap_err();
    assert!(error.to_string().contains("each id must be unique"), "{error}");
    let created = Batch::builder("reviews").id_column("id").create(&setup.store, self::rows(3), &mapping).await;
    assert!(created.is_ok(), "an incomplete batch is replaced: {created:?}");
}

#[tokio::test]
async fn first_stop_finishes_running_rows() {
    let setup = Setup::start(|emulator| emulator.deployment(Deployment::workflow("summarise").delay_ms(300))).await;
    let batch = setup.batch(10).await;
    let stop = Stop::new();
    let worker = setup.worker(&batch);
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(&stop).await }
    });
    while setup.runs() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.request();
    assert_eq!(running.await.unwrap().unwrap(), End::Stopped);
    assert_eq!((count(&batch, RowStatus::Succeeded).await, count(&batch, RowStatus::Ready).await), (3, 7));
}

#[tokio::test]
async fn second_stop_leaves_running_rows_unknown() {
    let setup = Setup::start(|emulator| emulator.deployment(Deployment::workflow("summarise").delay_ms(5_000))).await;
    let batch = setup.batch(10).await;
    let stop = Stop::new();
    let worker = setup.worker(&batch);
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(&stop).await }
    });
    while setup.emulator.requests().len() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.request();
    stop.request();
    let end = tokio::time::timeout(2 * SECOND, running).await.unwrap().unwrap().unwrap();
    assert_eq!(end, End::Stopped);
    let unknown = batch.rows(RowStatus::Unknown, 0, 10).await.unwrap();
    assert_eq!(unknown.len(), 3);
    assert!(unknown[0].result.error.as_deref().unwrap().contains("stopped before the response"));
}

#[tokio::test]
async fn two_workers_share_a_batch() {
    let setup = Setup::start(|emulator| emulator.deployment(Deployment::workflow("summarise").delay_ms(20))).await;
    let batch = setup.batch(40).await;
    let other_store = fetch_hive_store::Store::open(setup.folder.join("runs.db")).await.unwrap();
    let other = Batch::open(&other_store, "reviews").await.unwrap();
    let stop = Stop::new();
    let other_worker = other.worker(&setup.client, &other_store.run_limiter("plan", 3)).spill_folder(&setup.folder);
    let (first, second) = tokio::join!(setup.worker(&batch).run(&stop), other_worker.run(&stop));
    assert_eq!((first.unwrap(), second.unwrap()), (End::Finished, End::Finished));
    assert_eq!((setup.runs(), count(&batch, RowStatus::Succeeded).await), (40, 40));
    assert!(setup.emulator.max_concurrent_runs() <= 3);
}

#[tokio::test]
async fn row_of_a_vanished_worker_becomes_unknown() {
    let setup = Setup::start(|emulator| emulator).await;
    let batch = setup.batch(3).await;
    // A worker that disappears after its commit.
    let request = fetch_hive_store::batches::StartRequest::new("key", Duration::from_millis(300));
    let limiter = setup.store.run_limiter("plan", 3);
    let started = setup.store.batches().start(batch.id(), &limiter.for_batch(batch.id()), request).await.unwrap();
    assert!(matches!(started, fetch_hive_store::batches::Start::Started(_)), "{started:?}");

    let worker = setup.worker(&batch).lease(Duration::from_millis(300));
    let end = tokio::time::timeout(20 * SECOND, worker.run(&Stop::new())).await.unwrap().unwrap();
    assert_eq!(end, End::Finished);
    let unknown = batch.rows(RowStatus::Unknown, 0, 10).await.unwrap();
    assert_eq!((unknown.len(), setup.runs()), (1, 2));
    assert!(unknown[0].result.error.as_deref().unwrap().contains("its worker disappeared"));
}

#[tokio::test]
async fn paused_and_deleted_batches_are_reported() {
    let setup = Setup::start(|emulator| emulator).await;
    let batch = setup.batch(3).await;
    batch.pause("lunch").await.unwrap();
    let end = setup.worker(&batch).run(&Stop::new()).await.unwrap();
    assert_eq!(end, End::Paused { reason: "lunch".into() });
    assert_eq!(batch.paused().await.unwrap().as_deref(), Some("lunch"));
    let worker = setup.worker(&batch);
    batch.delete().await.unwrap();
    assert!(matches!(worker.run(&Stop::new()).await, Err(Error::NotFound { .. })));
    assert!(Batch::list(&setup.store).await.unwrap().is_empty());
}
