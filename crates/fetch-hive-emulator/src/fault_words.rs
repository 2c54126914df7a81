//! Faults in words: for the command, files, the header `x-fetch-hive-fault`, and `/_emulator/faults`.

use std::str::FromStr;
use std::time::Duration;

use crate::Fault;
use crate::fault::Action;
use crate::operations;

/// Why a fault in words is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no word of a fault: {reason}")]
pub struct FaultError {
    word: String,
    reason: &'static str,
}

const KINDS: &str = "it begins with status=CODE, delay=MS, hang, close, reset, garbage, cut-head, go-away, go-away-processed, \
                     reset-stream=REASON, raw=BYTES, reset-connection, silent-connection, wrong-certificate-name, expired-certificate, \
                     unknown-issuer, callback-early, callback-late=MS, callback-repeat=N, callback-reorder, callback-corrupt, \
                     callback-missign, callback-unsigned or callback-lost";

const SELECTION: &str = "after what goes wrong come operation=ID, nth=N, every=N, offset=N, times=N, chance=FROM_0_TO_1; for a status \
                         body=TEXT, body-blanks=N, header=NAME:VALUE, cut-after=BYTES, reset-after=BYTES, stall-after=BYTES; for a request after-run; \
                         for a callback event=TYPE, first-tries=N";

/// Words with blanks between them: what goes wrong, then what narrows it.
///
/// Requests: `status=CODE` takes `body=TEXT` or `body-blanks=N`, and `header=NAME:VALUE`, and `cut-after=BYTES`, `reset-after=BYTES` or
/// `stall-after=BYTES`; in texts `_` stands for a blank, and `%` with two hex digits for any byte (`%5F` for `_`); `raw=BYTES` answers with
/// these alone, written so; `delay=MS`, `hang`, `close`, `reset`, `garbage`, `cut-head`, `go-away`, `go-away-processed`,
/// `reset-stream=REASON`. All take `after-run`.
///
/// Connections: `reset-connection`, `silent-connection`, `wrong-certificate-name`, `expired-certificate`, `unknown-issuer`.
///
/// Callbacks: `callback-early`, `callback-late=MS`, `callback-repeat=N`, `callback-reorder`, `callback-corrupt`, `callback-missign`,
/// `callback-unsigned`, `callback-lost`. All take `event=TYPE` and `first-tries=N`.
///
/// All of them take `nth=N`, `every=N`, `offset=N`, `times=N` and `chance=FROM_0_TO_1`; all but connections `operation=ID`.
impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut words = text.split_whitespace();
        let first = words.next().unwrap_or_default();
        let mut fault = kind(first)?;
        for word in words {
            fault = narrow(fault, word)?;
        }
        Ok(fault)
    }
}

fn kind(word: &str) -> Result<Fault, FaultError> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    if let ("raw", Some((_, bytes))) = (name, word.split_once('=')) {
        return Ok(Fault::raw(bytes_of(bytes)));
    }
    let milliseconds = || number(word, value).map(Duration::from_millis);
    let fault = match name {
        "status" => match number(word, value)? {
            status @ 100..=999 => Fault::status(status),
            _ => return wrong(word, "a status has three digits"),
        },
        "delay" => Fault::delay(milliseconds()?),
        "reset-stream" => Fault::reset_stream(number(word, value)?),
        "callback-late" => Fault::callback_late(milliseconds()?),
        "callback-repeat" => Fault::callback_repeat(number(word, value)?),
        _ if word.contains('=') => return wrong(word, KINDS),
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
        "callback-missign" => Fault::callback_missign(),
        "callback-unsigned" => Fault::callback_unsigned(),
        "callback-lost" => Fault::callback_lost(),
        _ => return wrong(word, KINDS),
    };
    Ok(fault)
}

fn narrow(fault: Fault, word: &str) -> Result<Fault, FaultError> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    // A word that would change nothing is a mistake.
    let misplaced = match (name, &fault.action) {
        ("body" | "body-blanks" | "header" | "cut-after" | "reset-after" | "stall-after", action) => {
            (!matches!(action, Action::Reply { .. })).then_some("only a status takes it")
        }
        ("operation", Action::Connection(_)) => Some("a connection is of no operation"),
        ("after-run", Action::Connection(_) | Action::Callback(_)) => Some("only a fault of a request takes it"),
        ("event" | "first-tries", action) => {
            (!matches!(action, Action::Callback(_))).then_some("only a fault of callbacks takes it")
        }
        _ => None,
    };
    if let Some(reason) = misplaced {
        return wrong(word, reason);
    }
    Ok(match name {
        "body" => fault.body(bytes_of(value)),
        "body-blanks" => match number(word, value)? {
            count if count <= MOST_BLANKS => fault.body(vec![b' '; count]),
            _ => return wrong(word, "that is more than a GiB"),
        },
        "header" => match value.split_once(':') {
            Some((name, value)) => fault.header(name, String::from_utf8_lossy(&bytes_of(value))),
            None => return wrong(word, "a header is NAME:VALUE"),
        },
        "cut-after" => fault.cut_after(number(word, value)?),
        "reset-after" => fault.reset_after(number(word, value)?),
        "stall-after" => fault.stall_after(number(word, value)?),
        "operation" if operations::exists(value) => fault.operation(value),
        "operation" => return wrong(word, "the contract has no operation of that name; one is invokeWorkflow"),
        "event" => fault.event_type(value),
        "first-tries" => fault.first_tries(number(word, value)?),
        "nth" => fault.nth(counted(word, value)?),
        "every" => fault.every(counted(word, value)?),
        "offset" => fault.offset(number(word, value)?),
        "times" => fault.times(number(word, value)?),
        "chance" => match number(word, value)? {
            chance if (0.0..=1.0).contains(&chance) => fault.chance(chance),
            _ => return wrong(word, "a chance is from 0 to 1"),
        },
        "after-run" if value.is_empty() => fault.after_run(),
        _ => return wrong(word, SELECTION),
    })
}

/// What a body may have of them.
const MOST_BLANKS: usize = 1 << 30;

/// The bytes of a value: `_` stands for a blank, and `%` with two digits for any byte.
fn bytes_of(value: &str) -> Vec<u8> {
    percent_encoding::percent_decode_str(&value.replace('_', " ")).collect()
}

fn counted(word: &str, value: &str) -> Result<u64, FaultError> {
    match number(word, value)? {
        0 => wrong(word, "it is counted from 1"),
        count => Ok(count),
    }
}

fn number<T: FromStr>(word: &str, value: &str) -> Result<T, FaultError> {
    value.parse().or_else(|_| wrong(word, "it needs a number"))
}

fn wrong<T>(word: &str, reason: &'static str) -> Result<T, FaultError> {
    Err(FaultError { word: word.to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_the_same_fault_as_calls() {
        for (words, fault) in [
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
                "callback-missign event=agent.completed first-tries=2",
                Fault::callback_missign().event_type("agent.completed").first_tries(2),
            ),
            ("callback-repeat=1", Fault::callback_repeat(1)),
        ] {
            assert_eq!(format!("{:?}", words.parse::<Fault>().unwrap()), format!("{fault:?}"), "{words}");
        }
        for words in [
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
            assert!(words.parse::<Fault>().is_err(), "{words}");
        }
    }
}
