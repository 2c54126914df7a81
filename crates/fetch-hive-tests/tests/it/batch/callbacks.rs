use std::time::Duration;

use fetch_hive_batch::{End, Mapping, RowStatus, Stop};
use fetch_hive_client::callback::Receiver;
use fetch_hive_emulator::{Deployment, Fault};
use fetch_hive_tests::{CallbackListener, CallbackServer};

use super::{SECOND, Setup, count};

/// Starts a server that passes callbacks to a receiver of the store.
async fn receiver(setup: &Setup) -> (CallbackServer, Receiver) {
    let listener = CallbackListener::bind_any().await.unwrap();
    let receiver = setup.store.receiver(&listener.url());
    let server = listener.serve(receiver.clone(), |_| async { Ok(()) });
    (server, receiver)
}

#[tokio::test]
async fn events_settle_rows_and_free_their_slots() {
    let setup = Setup::start(|emulator| {
        emulator
            .deployment(Deployment::workflow("summarise").delay_ms(50))
            .fault(Fault::callback_early().every(3))
            .fault(Fault::callback_redeliver(1).every(2))
    })
    .await;
    let (_server, receiver) = receiver(&setup).await;
    let batch = setup.batch(12).await;
    let worker = setup.worker(&batch).callbacks(receiver);
    let end = tokio::time::timeout(60 * SECOND, worker.run(&Stop::new())).await.unwrap().unwrap();
    assert_eq!(end, End::Finished);
    assert_eq!((setup.runs(), count(&batch, RowStatus::Succeeded).await), (12, 12));
    assert!(setup.emulator.max_concurrent_runs() <= 3, "a run keeps its slot until its event");
    let rows = batch.rows(RowStatus::Succeeded, 0, 1).await.unwrap();
    assert!(rows[0].result.output.is_some());
}

#[tokio::test]
async fn event_settles_a_row_whose_202_was_lost() {
    let setup = Setup::start(|emulator| {
        emulator
            .deployment(Deployment::workflow("summarise").delay_ms(300))
            .delivery(100, Duration::from_millis(100))
            .fault(Fault::close().after_run().operation("invokeWorkflow").nth(4))
    })
    .await;
    let (_server, receiver) = receiver(&setup).await;
    let batch = setup.batch(6).await;
    // The secret of the deployment is learned from the other responses.
    let worker = setup.worker(&batch).callbacks(receiver.clone());
    let end = tokio::time::timeout(60 * SECOND, worker.run(&Stop::new())).await.unwrap().unwrap();
    assert_eq!(end, End::Finished);
    // The event may arrive after the other rows have ended, so the batch is run again.
    for _ in 0..200 {
        if count(&batch, RowStatus::Succeeded).await == 6 {
            break;
        }
        setup.worker(&batch).callbacks(receiver.clone()).run(&Stop::new()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((setup.runs(), count(&batch, RowStatus::Succeeded).await), (6, 6));
}

#[tokio::test]
async fn row_without_an_event_is_looked_up_in_the_end() {
    let setup =
        Setup::start(|emulator| emulator.deployment(Deployment::workflow("summarise")).fault(Fault::callback_lost()))
            .await;
    let (_server, receiver) = receiver(&setup).await;
    let batch = setup.batch(2).await;
    let worker = setup.worker(&batch).callbacks(receiver).max_run_time(2 * SECOND).lease(SECOND);
    let end = tokio::time::timeout(60 * SECOND, worker.run(&Stop::new())).await.unwrap().unwrap();
    assert_eq!(end, End::Finished);
    let settled = count(&batch, RowStatus::Succeeded).await + count(&batch, RowStatus::Unknown).await;
    assert_eq!((setup.runs(), settled), (2, 2));
}

#[tokio::test]
async fn targets_without_callbacks_reject_a_receiver() {
    let setup = Setup::start(|emulator| emulator).await;
    let (_server, receiver) = receiver(&setup).await;
    let batch = setup.batch_of(1, &Mapping::prompt("tagline").columns(["text"])).await;
    let error = setup.worker(&batch).callbacks(receiver).run(&Stop::new()).await.unwrap_err();
    assert!(error.to_string().contains("no callbacks"), "{error}");
}
