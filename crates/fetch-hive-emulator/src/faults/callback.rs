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

    /// Returns the end of a log line that names the faults of an attempt.
    pub(crate) fn log_suffix(&self, attempt: u32) -> String {
        let is_visible = |fault: CallbackFault, attempts: u32| match fault {
            CallbackFault::Late(_) | CallbackFault::Reorder => attempt == 1,
            CallbackFault::Redeliver(_) => true,
            _ => attempt <= attempts,
        };
        let visible = self.0.iter().filter(|(fault, attempts)| is_visible(*fault, *attempts));
        let names: Vec<String> = visible.map(|(fault, _)| fault.to_string()).collect();
        if names.is_empty() { String::new() } else { format!(" (fault {})", names.join(", ")) }
    }

    pub(crate) fn contains(&self, wanted: CallbackFault, attempt: u32) -> bool {
        self.0.iter().any(|(fault, attempts)| *fault == wanted && attempt <= *attempts)
    }
}
