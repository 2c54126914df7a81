use std::sync::Arc;
use std::time::Duration;

use fetch_hive_core::callback::Delivery;
use fetch_hive_core::types::{CallbackEventType, RunStatus};

use super::outcome::Outcome;
use crate::clock::{Clock, Stopwatch};

/// A report of one delivery, for logs and metrics.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DeliveryReport<'a> {
    /// The outcome, which determines the response status.
    pub outcome: &'a Outcome,
    /// The type of the event, if the delivery was verified.
    pub event_type: Option<&'a CallbackEventType>,
    /// The run status in the event, if the delivery was verified.
    pub run_status: Option<&'a RunStatus>,
    /// The time from the receipt of the request until its response is ready, including the time in
    /// your handler, or `None` if the receiver has no [clock](super::Receiver::clock).
    pub duration: Option<Duration>,
}

pub(super) type DeliveryHook = dyn Fn(DeliveryReport<'_>) + Send + Sync;

/// A delivery that has not been reported yet.
pub(crate) struct DeliveryTelemetry {
    /// The hook, and the time at which the delivery started.
    hook: Option<(Arc<DeliveryHook>, Option<Stopwatch>)>,
    event_type: Option<CallbackEventType>,
    run_status: Option<RunStatus>,
}

impl DeliveryTelemetry {
    pub(super) fn start(hook: Option<&Arc<DeliveryHook>>, clock: Option<&dyn Clock>) -> Self {
        let hook = hook.map(|hook| (Arc::clone(hook), clock.map(Stopwatch::start)));
        Self { hook, event_type: None, run_status: None }
    }

    /// Records the event type and the run status of a verified delivery.
    pub(super) fn verified(&mut self, delivery: &Delivery) {
        if self.hook.is_some() {
            self.event_type.clone_from(&delivery.event.event_type);
            self.run_status = delivery.event.run_status();
        }
    }

    pub(super) fn end(&self, outcome: &Outcome, clock: Option<&dyn Clock>) {
        let Some((hook, started)) = &self.hook else { return };
        let (event_type, run_status) = (self.event_type.as_ref(), self.run_status.as_ref());
        let duration = started.zip(clock).map(|(started, clock)| started.elapsed(clock));
        hook(DeliveryReport { outcome, event_type, run_status, duration });
    }
}
