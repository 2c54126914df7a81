use std::time::Duration;

/// A fault in the delivery of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallbackFault {
    Early,
    Late(Duration),
    Redeliver(u32),
    Reorder,
    Corrupt,
    BadSignature,
    Unsigned,
    Lost,
}

/// The faults that apply to the callback of one event.
///
/// Each fault applies to a number of delivery attempts, counted from the first attempt.
#[derive(Debug)]
pub(crate) struct CallbackFaults(pub(crate) Vec<(CallbackFault, u32)>);

impl CallbackFaults {
    /// Returns the total delay of the first attempt.
    pub(crate) fn delay(&self) -> Duration {
        let delay = |fault: &CallbackFault| if let CallbackFault::Late(by) = fault { *by } else { Duration::ZERO };
        self.0.iter().map(|(fault, _)| delay(fault)).fold(Duration::ZERO, Duration::saturating_add)
    }

    /// Returns how often an accepted callback is delivered again.
    pub(crate) fn redeliveries(&self) -> u32 {
        let times = |fault: &CallbackFault| if let CallbackFault::Redeliver(times) = fault { *times } else { 0 };
        self.0.iter().map(|(fault, _)| times(fault)).fold(0, u32::saturating_add)
    }

    pub(crate) fn contains(&self, wanted: CallbackFault, attempt: u32) -> bool {
        self.0.iter().any(|(fault, attempts)| *fault == wanted && attempt <= *attempts)
    }
}
