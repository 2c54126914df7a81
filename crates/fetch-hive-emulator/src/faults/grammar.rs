//! The text form of faults, for the command line, the configuration file, the header
//! `x-fetch-hive-fault` and `/_emulator/faults`.

use std::str::FromStr;
use std::time::Duration;

use crate::faults::error::{FaultError, invalid};
use crate::faults::fault::{Action, Fault};

const ACTIONS: &str = "a fault starts with status=CODE, delay=MS, hang, close, reset, garbage, cut-head, go-away, \
                       go-away-processed, reset-stream=CODE, raw=BYTES, reset-connection, silent-connection, \
                       wrong-certificate-name, expired-certificate, unknown-issuer, callback-early, callback-late=MS, \
                       callback-redeliver=N, callback-reorder, callback-corrupt, callback-bad-signature, \
                       callback-unsigned or callback-lost";

const CONDITIONS: &str = "the terms after the first one are operation=ID, nth=N, every=N, offset=N, times=N and \
                          chance=0.0-1.0; for a status also body=TEXT, body-spaces=N, header=NAME:VALUE, \
                          cut-after=BYTES, reset-after=BYTES and stall-after=BYTES; for a request also after-run; for a \
                          callback also event=TYPE and first-attempts=N";

/// The largest body that `body-spaces` accepts, in bytes.
const MAX_BODY_SPACES: usize = 1 << 30;

/// Parses a fault from terms that are separated by spaces. The first term is the action.
///
/// Actions for requests: `status=CODE` (with `body=TEXT` or `body-spaces=N`, `header=NAME:VALUE`,
/// and `cut-after=BYTES`, `reset-after=BYTES` or `stall-after=BYTES`), `raw=BYTES`, `delay=MS`,
/// `hang`, `close`, `reset`, `garbage`, `cut-head`, `go-away`, `go-away-processed` and
/// `reset-stream=CODE`. All of them accept `after-run`. In a text value, `_` is a space, and `%`
/// with two hexadecimal digits is any byte, so `%5F` is an underscore.
///
/// Actions for connections: `reset-connection`, `silent-connection`, `wrong-certificate-name`,
/// `expired-certificate` and `unknown-issuer`.
///
/// Actions for callbacks: `callback-early`, `callback-late=MS`, `callback-redeliver=N`,
/// `callback-reorder`, `callback-corrupt`, `callback-bad-signature`, `callback-unsigned` and
/// `callback-lost`. All of them except `callback-early` accept `event=TYPE`. `callback-corrupt`,
/// `callback-bad-signature` and `callback-unsigned` accept `first-attempts=N`.
///
/// All actions accept `nth=N`, `every=N`, `offset=N`, `times=N` and `chance=0.0-1.0`. All actions
/// except those for connections accept `operation=ID`.
impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut terms = text.split_whitespace();
        let first = terms.next().unwrap_or_default();
        let mut fault = parse_action(first)?;
        for term in terms {
            fault = apply_term(fault, term)?;
        }
        fault.validate()?;
        Ok(fault)
    }
}

fn parse_action(term: &str) -> Result<Fault, FaultError> {
    let (name, value) = term.split_once('=').unwrap_or((term, ""));
    if let ("raw", Some((_, bytes))) = (name, term.split_once('=')) {
        return Ok(Fault::raw(unescape(bytes)));
    }
    let milliseconds = || number(term, value).map(Duration::from_millis);
    let fault = match name {
        "status" => match number(term, value)? {
            status @ 100..=999 => Fault::status(status),
            _ => return invalid(term, "a status is a number from 100 to 999"),
        },
        "delay" => Fault::delay(milliseconds()?),
        "reset-stream" => Fault::reset_stream(number(term, value)?),
        "callback-late" => Fault::callback_late(milliseconds()?),
        "callback-redeliver" => Fault::callback_redeliver(number(term, value)?),
        _ if term.contains('=') => return invalid(term, ACTIONS),
        "hang" => Fault::hang(),
        "close" => Fault::close(),
        "reset" => Fault::reset(),
        "garbage" => Fault::garbage(),
        "cut-head" => Fault::cut_head(),
        "go-away" => Fault::go_away(false),
        "go-away-processed" => Fault::go_away(true),
        "reset-connection" => Fault::reset_connection(),
        "silent-connection" => Fault::silent_connection(),
        "wrong-certificate-name" => Fault::wrong_certificate_name(),
        "expired-certificate" => Fault::expired_certificate(),
        "unknown-issuer" => Fault::unknown_issuer(),
        "callback-early" => Fault::callback_early(),
        "callback-reorder" => Fault::callback_reorder(),
        "callback-corrupt" => Fault::callback_corrupt(),
        "callback-bad-signature" => Fault::callback_bad_signature(),
        "callback-unsigned" => Fault::callback_unsigned(),
        "callback-lost" => Fault::callback_lost(),
        _ => return invalid(term, ACTIONS),
    };
    Ok(fault)
}

fn apply_term(fault: Fault, term: &str) -> Result<Fault, FaultError> {
    let (name, value) = term.split_once('=').unwrap_or((term, ""));
    // A term without an effect is a mistake.
    let misplaced = match (name, &fault.action) {
        ("body" | "body-spaces" | "header" | "cut-after" | "reset-after" | "stall-after", action) => {
            (!matches!(action, Action::Response { .. })).then_some("only a fault that starts with status= accepts it")
        }
        ("after-run", Action::Connection(_) | Action::Callback(_)) => Some("only a fault of requests accepts it"),
        ("event" | "first-attempts", action) => {
            (!matches!(action, Action::Callback(_))).then_some("only a fault of callbacks accepts it")
        }
        _ => None,
    };
    if let Some(reason) = misplaced {
        return invalid(term, reason);
    }
    Ok(match name {
        "body" => fault.body(unescape(value)),
        "body-spaces" => match number(term, value)? {
            count if count <= MAX_BODY_SPACES => fault.body(vec![b' '; count]),
            _ => return invalid(term, "the limit is 1 GiB"),
        },
        "header" => match value.split_once(':') {
            Some((name, value)) => fault.header(name, String::from_utf8_lossy(&unescape(value))),
            None => return invalid(term, "a header has the form header=NAME:VALUE"),
        },
        "cut-after" => fault.cut_after(number(term, value)?),
        "reset-after" => fault.reset_after(number(term, value)?),
        "stall-after" => fault.stall_after(number(term, value)?),
        "operation" => fault.operation(value),
        "event" => fault.event_type(value),
        "first-attempts" => fault.first_attempts(number(term, value)?),
        "nth" => fault.nth(positive(term, value)?),
        "every" => fault.every(positive(term, value)?),
        "offset" => fault.offset(number(term, value)?),
        "times" => fault.times(number(term, value)?),
        "chance" => match number(term, value)? {
            chance if (0.0..=1.0).contains(&chance) => fault.chance(chance),
            _ => return invalid(term, "a chance is a number from 0.0 to 1.0"),
        },
        "after-run" if value.is_empty() => fault.after_run(),
        _ => return invalid(term, CONDITIONS),
    })
}

fn unescape(value: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(&value.replace('_', " ")).collect()
}

fn positive(term: &str, value: &str) -> Result<u64, FaultError> {
    match number(term, value)? {
        0 => invalid(term, "the smallest value is 1"),
        count => Ok(count),
    }
}

fn number<T: FromStr>(term: &str, value: &str) -> Result<T, FaultError> {
    value.parse().or_else(|_| invalid(term, "the value must be a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_methods_define_the_same_fault() {
        for (text, fault) in [
            ("reset after-run", Fault::reset().after_run()),
            (
                "status=503 header=retry-after:2 body=not_now cut-after=3 operation=invokeAgent nth=2 chance=0.5",
                Fault::status(503)
                    .header("retry-after", "2")
                    .body("not now")
                    .cut_after(3)
                    .operation("invokeAgent")
                    .nth(2)
                    .chance(0.5),
            ),
            (" go-away ", Fault::go_away(false)),
            ("expired-certificate times=3", Fault::expired_certificate().times(3)),
            (
                "callback-late=2000 every=50 offset=3 operation=triggerWorkflow",
                Fault::callback_late(Duration::from_secs(2)).every(50).offset(3).operation("triggerWorkflow"),
            ),
            (
                "callback-bad-signature event=agent.completed first-attempts=2",
                Fault::callback_bad_signature().event_type("agent.completed").first_attempts(2),
            ),
            ("callback-redeliver=1", Fault::callback_redeliver(1)),
        ] {
            assert_eq!(format!("{:?}", text.parse::<Fault>().unwrap()), format!("{fault:?}"), "{text}");
        }
    }

    #[test]
    fn invalid_text_is_rejected() {
        for text in [
            "",
            "nonsense",
            "status=",
            "status=9",
            "delay=x",
            "close nth",
            "close nth=0",
            "close x=1",
            "close=1",
            "close body=x",
            "close chance=2",
            "close event=a",
            "close operation=invokeWorkflows",
            "status=200 header=x",
            "unknown-issuer operation=invokeWorkflow",
            "callback-late",
            "callback-lost after-run",
            "callback-lost every=0",
            "callback-lost cut-after=1",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
