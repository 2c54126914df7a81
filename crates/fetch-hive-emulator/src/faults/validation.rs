//! Checks that a fault can apply at all.

use crate::config::suggestion::suggest;
use crate::faults::callback::CallbackFault;
use crate::faults::display::ActionText;
use crate::faults::error::{FaultError, invalid};
use crate::faults::fault::{Action, ConnectionFault, Fault};
use crate::http::takeover::ConnectionEnd;
use crate::operations::table;

/// The operations that start runs with callbacks, and the types of their events.
const CALLBACK_EVENTS: [(&[&str], &[&str]); 4] = [
    (&["invokeWorkflow", "triggerWorkflow"], &["workflow.completed", "workflow.failed"]),
    (&["triggerPrompt"], &["prompt.completed", "prompt.failed"]),
    (&["invokeAgent", "triggerAgent"], &["agent.completed", "agent.failed", "agent.delegation.completed"]),
    (&["invokeHiveAgent"], &["hive_agent.completed", "hive_agent.failed"]),
];

impl Fault {
    /// Checks everything that does not depend on where the fault is set.
    pub(crate) fn validate(&self) -> Result<(), FaultError> {
        self.check_cut()?;
        self.check_operation()?;
        self.check_event_type()?;
        self.check_selection()
    }

    /// Checks a fault that is set for all requests of an emulator.
    pub(crate) fn validate_for_emulator(&self, tls: bool) -> Result<(), FaultError> {
        self.validate()?;
        let needs_tls = matches!(
            self.action,
            Action::Connection(ConnectionFault::WrongName | ConnectionFault::Expired | ConnectionFault::UnknownIssuer)
        );
        if needs_tls && !tls {
            return invalid(
                &ActionText(self).to_string(),
                "it never applies without TLS; start the emulator with --tls",
            );
        }
        Ok(())
    }

    /// Checks a fault that a request sets for itself.
    pub(crate) fn validate_for_request(&self) -> Result<(), FaultError> {
        self.validate()?;
        if matches!(self.action, Action::Connection(_)) {
            let reason = "it never applies, because the request already has its connection; set it with --fault";
            return invalid(&ActionText(self).to_string(), reason);
        }
        Ok(())
    }

    fn check_cut(&self) -> Result<(), FaultError> {
        let Action::Response { body, cut: Some((bytes, end)), .. } = &self.action else { return Ok(()) };
        if *bytes < body.len() {
            return Ok(());
        }
        let name = match end {
            ConnectionEnd::Close => "cut-after",
            ConnectionEnd::Reset => "reset-after",
            ConnectionEnd::Hang => "stall-after",
        };
        let length = body.len();
        let reason = format!("the body has only {length} bytes; set a longer one with body=TEXT or body-spaces=N");
        invalid(&format!("{name}={bytes}"), reason)
    }

    fn check_operation(&self) -> Result<(), FaultError> {
        let Some(operation) = &self.operation else { return Ok(()) };
        let term = format!("operation={operation}");
        if !table::exists(operation) {
            return invalid(&term, format!("there is no such operation; {}", suggest(operation, table::ids())));
        }
        match self.action {
            Action::Connection(_) => invalid(&term, "a connection has no operation"),
            Action::Callback(_) if events_of(operation).is_none() => {
                let operations = CALLBACK_EVENTS.iter().flat_map(|(operations, _)| *operations).copied();
                let operations: Vec<_> = operations.collect();
                invalid(&term, format!("this operation sends no callbacks; use one of {}", operations.join(", ")))
            }
            _ => Ok(()),
        }
    }

    fn check_event_type(&self) -> Result<(), FaultError> {
        let Some(event_type) = &self.event_type else { return Ok(()) };
        let term = format!("event={event_type}");
        if matches!(self.action, Action::Callback(CallbackFault::Early)) {
            return invalid(&term, "callback-early counts runs, not events; use operation=ID instead");
        }
        let events: Vec<&str> = match self.operation.as_deref().and_then(events_of) {
            Some(events) => events.to_vec(),
            None => CALLBACK_EVENTS.iter().flat_map(|(_, events)| *events).copied().collect(),
        };
        if events.contains(&event_type.as_str()) {
            return Ok(());
        }
        let sender = self.operation.as_deref().unwrap_or("the emulator");
        invalid(&term, format!("{sender} sends no such event; {}", suggest(event_type, events)))
    }

    fn check_selection(&self) -> Result<(), FaultError> {
        let never = "the fault never applies with 0";
        if self.times == 0 {
            return invalid("times=0", never);
        }
        if self.attempts == 0 {
            return invalid("first-attempts=0", never);
        }
        let has_attempts = matches!(
            self.action,
            Action::Callback(CallbackFault::Corrupt | CallbackFault::BadSignature | CallbackFault::Unsigned)
        );
        if self.attempts != u32::MAX && !has_attempts {
            let reason = "only callback-corrupt, callback-bad-signature and callback-unsigned accept it";
            return invalid(&format!("first-attempts={}", self.attempts), reason);
        }
        if self.nth == Some(0) {
            return invalid("nth=0", "the smallest value is 1");
        }
        match self.chance {
            Some(chance) if chance <= 0.0 => return invalid(&format!("chance={chance}"), never),
            Some(chance) if chance.is_nan() => return invalid("chance=NaN", "a chance is a number from 0.0 to 1.0"),
            _ => {}
        }
        match self.nth {
            Some(nth) if self.every != 1 || self.offset != 0 => {
                invalid(&format!("nth={nth}"), "it selects a single match; remove it, or remove every and offset")
            }
            _ => Ok(()),
        }
    }
}

/// Returns the event types of the runs that an operation starts.
fn events_of(operation: &str) -> Option<&'static [&'static str]> {
    CALLBACK_EVENTS.iter().find(|(operations, _)| operations.contains(&operation)).map(|(_, events)| *events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_that_can_never_apply_are_rejected() {
        for (fault, reason) in [
            (Fault::status(503).cut_after(3), "only 0 bytes"),
            (Fault::status(503).body("abc").stall_after(3), "only 3 bytes"),
            (Fault::close().operation("invokeWorkflows"), "did you mean invokeWorkflow?"),
            (Fault::callback_lost().operation("listModels"), "sends no callbacks"),
            (Fault::callback_lost().event_type("workflow.complete"), "did you mean workflow.completed?"),
            (Fault::callback_lost().event_type("agent.failed").operation("invokeWorkflow"), "sends no such event"),
            (Fault::callback_early().event_type("agent.failed"), "counts runs"),
            (Fault::callback_corrupt().first_attempts(0), "never applies"),
            (Fault::callback_lost().first_attempts(2), "accept it"),
            (Fault::close().times(0), "never applies"),
            (Fault::close().chance(0.0), "never applies"),
            (Fault::close().nth(2).every(3), "remove every"),
        ] {
            let error = fault.validate().unwrap_err().to_string();
            assert!(error.contains(reason), "{fault}: {error}");
        }
        assert!(Fault::expired_certificate().validate_for_emulator(false).is_err());
        assert!(Fault::expired_certificate().validate_for_emulator(true).is_ok());
        assert!(Fault::reset_connection().validate_for_request().is_err());
    }

    #[test]
    fn events_belong_to_operations_of_the_contract() {
        for (operations, _) in CALLBACK_EVENTS {
            assert!(operations.iter().all(|operation| table::exists(operation)), "{operations:?}");
        }
    }
}
