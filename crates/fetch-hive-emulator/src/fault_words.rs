//! Faults in words: for the command, and for the header `x-fetch-hive-fault`.

use std::str::FromStr;
use std::time::Duration;

use crate::Fault;

/// Why a fault in words is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is no word of a fault: {reason}")]
pub struct FaultError {
    word: String,
    reason: &'static str,
}

const KINDS: &str = "it begins with status=CODE, delay=MS, hang, close, reset, garbage, cut-head, go-away, go-away-processed, \
                     reset-stream=REASON, reset-connection, silent-connection, wrong-certificate-name, expired-certificate or \
                     unknown-issuer";

/// Words with blanks between them: what goes wrong, then what narrows it.
///
/// `status=CODE` takes `body=TEXT` and `header=NAME:VALUE`, in which `_` stands for a blank, and `cut-after=BYTES`, `reset-after=BYTES` or
/// `stall-after=BYTES`; `delay=MS`, `hang`, `close`, `reset`, `garbage`, `cut-head`, `go-away`, `go-away-processed`, `reset-stream=REASON`;
/// for connections `reset-connection`, `silent-connection`, `wrong-certificate-name`, `expired-certificate`, `unknown-issuer`. All take
/// `operation=ID`, `nth=N`, `chance=FROM_0_TO_1` and `after-run`.
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
    Ok(match name {
        "status" => match number(word, value)? {
            status @ 100..=999 => Fault::status(status),
            _ => return wrong(word, "a status has three digits"),
        },
        "delay" => Fault::delay(Duration::from_millis(number(word, value)?)),
        "hang" => Fault::hang(),
        "close" => Fault::close(),
        "reset" => Fault::reset(),
        "garbage" => Fault::garbage(),
        "cut-head" => Fault::cut_head(),
        "go-away" => Fault::go_away(false),
        "go-away-processed" => Fault::go_away(true),
        "reset-stream" => Fault::reset_stream(number(word, value)?),
        "reset-connection" => Fault::reset_connection(),
        "silent-connection" => Fault::silent_connection(),
        "wrong-certificate-name" => Fault::wrong_certificate_name(),
        "expired-certificate" => Fault::expired_certificate(),
        "unknown-issuer" => Fault::unknown_issuer(),
        _ => return wrong(word, KINDS),
    })
}

fn narrow(fault: Fault, word: &str) -> Result<Fault, FaultError> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    Ok(match name {
        "body" => fault.body(value.replace('_', " ")),
        "header" => match value.split_once(':') {
            Some((name, value)) => fault.header(name, value.replace('_', " ")),
            None => return wrong(word, "a header is NAME:VALUE"),
        },
        "cut-after" => fault.cut_after(number(word, value)?),
        "reset-after" => fault.reset_after(number(word, value)?),
        "stall-after" => fault.stall_after(number(word, value)?),
        "operation" => fault.operation(value),
        "nth" => fault.nth(number(word, value)?),
        "chance" => fault.chance(number(word, value)?),
        "after-run" => fault.after_run(),
        _ => return wrong(word, "see the words of Fault"),
    })
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
            ("expired-certificate", Fault::expired_certificate()),
        ] {
            assert_eq!(format!("{:?}", words.parse::<Fault>().unwrap()), format!("{fault:?}"), "{words}");
        }
        for words in ["", "nonsense", "status=", "status=9", "delay=x", "close nth", "close x=1", "status=200 header=x"]
        {
            assert!(words.parse::<Fault>().is_err(), "{words}");
        }
    }
}
