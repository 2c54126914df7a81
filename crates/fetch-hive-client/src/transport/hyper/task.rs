use std::future::Future;
use std::pin::Pin;

use hyper::rt::Executor;
use tokio::task::JoinHandle;

/// Spawns a task.
///
/// The type of the future is erased, because tokio's code for a task is compiled once per type.
pub(super) fn spawn<T: Send + 'static>(task: Pin<Box<dyn Future<Output = T> + Send>>) -> JoinHandle<T> {
    tokio::spawn(task)
}

/// Spawns the tasks of an HTTP/2 connection.
///
/// All of them have the size of the largest one, which is moved several times while it is spawned,
/// so each is boxed first.
#[derive(Clone)]
pub(super) struct BoxingExecutor;

impl<F> Executor<F> for BoxingExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        spawn(Box::pin(task));
    }
}
