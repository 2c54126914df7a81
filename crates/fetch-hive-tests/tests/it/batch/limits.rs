use std::time::Duration;

use fetch_hive_batch::{Batch, End, Mapping, RowStatus, Stop};
use fetch_hive_client::Client;
use fetch_hive_emulator::{Deployment, Fault};

use super::{SECOND, Setup, count};

fn paused(end: &End) -> &str {
    match end {
        End::Paused { reason } => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn wrong_key_pauses_before_anything_is_charged() {
    let setup = Setup::start(|emulator| emulator.api_key("fhk_right")).await;
    let batch = setup.batch(5).await;
    let end = setup.worker(&batch).run(&Stop::new()).await.unwrap();
    assert!(paused(&end).contains("401"), "{end}");
    assert_eq!((setup.runs(), count(&batch, RowStatus::Ready).await), (0, 5));

    let base_url = setup.emulator.base_url();
    let client = Client::builder().api_key("fhk_right").base_url(base_url).allow_plain_http().build().unwrap();
    batch.resume().await.unwrap();
    let limiter = setup.store.run_limiter("plan", 3);
    assert_eq!(batch.worker(&client, &limiter).run(&Stop::new()).await.unwrap(), End::Finished);
    assert_eq!(setup.runs(), 5);
}

#[tokio::test]
async fn missing_deployment_pauses() {
    let setup = Setup::start(|emulator| {
        emulator.fault(Fault::status(404).body(r#"{"error":"Deployment not found","error_code":"not_found"}"#))
    })
    .await;
    let batch = setup.batch_of(3, &Mapping::workflow("missing").columns(["text"])).await;
    let end = setup.worker(&batch).run(&Stop::new()).await.unwrap();
    assert!(paused(&end).contains("404"), "{end}");
    assert_eq!(count(&batch, RowStatus::Ready).await, 3);
}

#[tokio::test]
async fn breaker_pauses_after_three_failures() {
    let setup = Setup::start(|emulator| {
        emulator.fault(Fault::status(500).body(r#"{"error":"boom","error_code":"internal_server_error"}"#))
    })
    .await;
    let batch = setup.batch(50).await;
    let end = setup.worker(&batch).run(&Stop::new()).await.unwrap();
    assert_eq!(paused(&end), "the first 3 rows are failed or unknown; check them, then resume");
    // Rows that were already sent may fail, too.
    let failed = count(&batch, RowStatus::Failed).await;
    assert!((3..=5).contains(&failed), "{failed}");
}

#[tokio::test]
async fn runs_and_tokens_are_limited() {
    let setup = Setup::start(|emulator| emulator).await;
    let batch = setup.batch(10).await;
    let end = setup.worker(&batch).max_runs(4).run(&Stop::new()).await.unwrap();
    assert_eq!(paused(&end), "the limit of 4 runs is reached (max_runs); raise it, then resume");
    assert_eq!(setup.runs(), 4);

    batch.resume().await.unwrap();
    let stop = Stop::new();
    let worker = setup.worker(&batch).max_runs_per_day(6);
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(&stop).await }
    });
    tokio::time::sleep(SECOND).await;
    assert_eq!(setup.runs(), 6, "the rest waits for the next day");
    stop.request();
    assert_eq!(running.await.unwrap().unwrap(), End::Stopped);
}

#[tokio::test]
async fn sample_runs_a_few_rows_and_extrapolates() {
    let setup = Setup::start(|emulator| emulator).await;
    let batch = setup.batch(10).await;
    let end = setup.worker(&batch).stop_after(4).run(&Stop::new()).await.unwrap();
    assert_eq!((end, setup.runs()), (End::Stopped, 4));
    let sample = batch.sample(3).await.unwrap().unwrap();
    assert_eq!((sample.rows, sample.remaining_rows), (4, 6));
}

#[tokio::test]
async fn refusals_return_the_row_and_are_not_charged() {
    // The service allows one run, and the limiter three.
    let setup =
        Setup::start(|emulator| emulator.concurrency(1).deployment(Deployment::workflow("summarise").delay_ms(50)))
            .await;
    let batch = setup.batch(6).await;
    let worker = setup.worker(&batch);
    let end = tokio::time::timeout(60 * SECOND, worker.run(&Stop::new())).await.unwrap().unwrap();
    assert_eq!(end, End::Finished);
    assert_eq!((setup.runs(), count(&batch, RowStatus::Succeeded).await), (6, 6));
}

#[tokio::test]
async fn unreachable_service_delays_the_batch() {
    let setup = Setup::start(|emulator| emulator).await;
    let batch = setup.batch(2).await;
    // A port on which nothing listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::builder().api_key("fhk_test").base_url(format!("http://127.0.0.1:{port}/v1")).build().unwrap();
    let limiter = setup.store.run_limiter("plan", 3);
    let stop = Stop::new();
    let worker = batch.worker(&client, &limiter).spill_folder(&setup.folder);
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(&stop).await }
    });
    tokio::time::sleep(3 * SECOND).await;
    stop.request();
    assert_eq!(running.await.unwrap().unwrap(), End::Stopped);
    let progress = batch.progress().await.unwrap();
    assert_eq!((progress.count(RowStatus::Ready), progress.runs), (2, 0));
    let attempts = setup.store.batches().attempts(batch.id(), None).await.unwrap();
    assert!((1..=6).contains(&attempts.len()), "the delay grows: {} attempts", attempts.len());

    batch.resume().await.unwrap();
    assert_eq!(setup.worker(&batch).run(&Stop::new()).await.unwrap(), End::Finished);
}

#[tokio::test]
async fn daily_cap_pauses_until_the_reset() {
    let setup = Setup::start(|emulator| emulator.daily_cap(3)).await;
    let batch = setup.batch(6).await;
    let stop = Stop::new();
    let until = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = std::sync::Arc::clone(&until);
    let worker = setup.worker(&batch).on_progress(Duration::from_millis(50), move |progress| {
        if progress.paused_until.is_some() {
            *seen.lock().unwrap() = progress.paused_until;
        }
    });
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { worker.run(&stop).await }
    });
    tokio::time::sleep(SECOND).await;
    assert_eq!((setup.runs(), count(&batch, RowStatus::Ready).await), (3, 3));
    let requests = setup.emulator.requests().len();
    assert!(requests <= 6, "the cap is not retried: {requests} requests");
    assert!(until.lock().unwrap().is_some());
    stop.request();
    assert_eq!(running.await.unwrap().unwrap(), End::Stopped);
}

#[tokio::test]
async fn mapping_errors_are_reported_before_anything_is_sent() {
    let setup = Setup::start(|emulator| emulator).await;
    let mapping = Mapping::workflow("summarise").template("text", "{{ missing }}");
    let error = Batch::create(&setup.store, "reviews", super::rows(2), &mapping).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
    assert_eq!(setup.runs(), 0);
}
