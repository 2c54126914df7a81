use std::time::Duration;

use crate::Fault;
use crate::fault::Action;

/// What goes wrong with a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Early,
    Late(Duration),
    Repeat(u32),
    Reorder,
    Corrupt,
    Missign,
    Unsigned,
    Lost,
}

/// What goes wrong with the callbacks of runs. Several may meet one event.
impl Fault {
    fn callback(wrong: Wrong) -> Self {
        Self::new(Action::Callback(wrong))
    }

    /// The callback is delivered before the invocation is answered. Here the runs are counted as they are accepted.
    pub fn callback_early() -> Self {
        Self::callback(Wrong::Early)
    }

    /// The first try of the callback comes this much later.
    pub fn callback_late(by: Duration) -> Self {
        Self::callback(Wrong::Late(by))
    }

    /// The callback is delivered so many times more after a receiver has taken it.
    pub fn callback_repeat(times: u32) -> Self {
        Self::callback(Wrong::Repeat(times))
    }

    /// The callback waits until another was tried, or five seconds.
    pub fn callback_reorder() -> Self {
        Self::callback(Wrong::Reorder)
    }

    /// One bit of the callback's body is changed after it was signed.
    pub fn callback_corrupt() -> Self {
        Self::callback(Wrong::Corrupt)
    }

    /// The callback is signed with another secret.
    pub fn callback_missign() -> Self {
        Self::callback(Wrong::Missign)
    }

    /// The callback has no signature.
    pub fn callback_unsigned() -> Self {
        Self::callback(Wrong::Unsigned)
    }

    /// The callback is never delivered.
    pub fn callback_lost() -> Self {
        Self::callback(Wrong::Lost)
    }

    /// Of callbacks, only those of events of one type, such as `workflow.completed`; what comes [early](Self::callback_early) is not chosen
    /// by it.
    #[must_use]
    pub fn event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// Only for the first tries of each callback: what is corrupt, signed wrongly or not signed is right after them.
    #[must_use]
    pub fn first_tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }
}

/// What goes wrong with the callback of one event, and for how many tries.
#[derive(Debug)]
pub(crate) struct Plan(pub(crate) Vec<(Wrong, u32)>);

impl Plan {
    pub(crate) fn late(&self) -> Duration {
        let late = |wrong: &Wrong| if let Wrong::Late(by) = wrong { *by } else { Duration::ZERO };
        self.0.iter().map(|(wrong, _)| late(wrong)).fold(Duration::ZERO, Duration::saturating_add)
    }

    pub(crate) fn repeats(&self) -> u32 {
        let repeats = |wrong: &Wrong| if let Wrong::Repeat(times) = wrong { *times } else { 0 };
        self.0.iter().map(|(wrong, _)| repeats(wrong)).fold(0, u32::saturating_add)
    }

    pub(crate) fn does(&self, wanted: Wrong, attempt: u32) -> bool {
        self.0.iter().any(|(wrong, tries)| *wrong == wanted && attempt <= *tries)
    }
}
