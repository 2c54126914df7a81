use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use crate::faults::callback::CallbackFault;
use crate::faults::fault::{Action, ConnectionFault, Fault};
use crate::http::takeover::ConnectionEnd;

/// The bytes with a special meaning in a value: `_` is a space, and `%` starts a byte in hex.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'_').add(b'%');

/// The length above which a body of spaces is written as `body-spaces=N`.
const MAX_SPACES: usize = 64;

struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        percent_encode(self.0, ESCAPED).try_for_each(|part| f.write_str(if part == "%20" { "_" } else { part }))
    }
}

/// Formats the fault as text that parses into the same fault.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Response { status, headers, body, cut } => {
                write!(f, "status={}", status.as_u16())?;
                for (name, value) in headers {
                    write!(f, " header={name}:{}", Escaped(value.as_bytes()))?;
                }
                if body.len() > MAX_SPACES && body.iter().all(|byte| *byte == b' ') {
                    write!(f, " body-spaces={}", body.len())?;
                } else if !body.is_empty() {
                    write!(f, " body={}", Escaped(body))?;
                }
                fmt_cut(*cut, f)?;
            }
            Action::Raw(bytes, end) if *end != ConnectionEnd::Reset => write!(f, "raw={}", Escaped(bytes))?,
            _ => self.fmt_action(f)?,
        }
        self.fmt_selection(f)
    }
}

/// The action of a fault without headers and bodies, for logs and errors.
pub(crate) struct ActionText<'a>(pub(crate) &'a Fault);

impl fmt::Display for ActionText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_action(f)
    }
}

impl fmt::Display for ConnectionFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "reset-connection",
            Self::Silent => "silent-connection",
            Self::WrongName => "wrong-certificate-name",
            Self::Expired => "expired-certificate",
            Self::UnknownIssuer => "unknown-issuer",
        })
    }
}

impl fmt::Display for CallbackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Early => f.write_str("callback-early"),
            Self::Late(delay) => write!(f, "callback-late={}", delay.as_millis()),
            Self::Redeliver(times) => write!(f, "callback-redeliver={times}"),
            Self::Reorder => f.write_str("callback-reorder"),
            Self::Corrupt => f.write_str("callback-corrupt"),
            Self::BadSignature => f.write_str("callback-bad-signature"),
            Self::Unsigned => f.write_str("callback-unsigned"),
            Self::Lost => f.write_str("callback-lost"),
        }
    }
}

fn fmt_cut(cut: Option<(usize, ConnectionEnd)>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match cut {
        Some((bytes, ConnectionEnd::Close)) => write!(f, " cut-after={bytes}"),
        Some((bytes, ConnectionEnd::Reset)) => write!(f, " reset-after={bytes}"),
        Some((bytes, ConnectionEnd::Hang)) => write!(f, " stall-after={bytes}"),
        None => Ok(()),
    }
}

impl Fault {
    fn fmt_action(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Response { status, cut, .. } => {
                write!(f, "status={}", status.as_u16())?;
                fmt_cut(*cut, f)
            }
            Action::Delay(delay) => write!(f, "delay={}", delay.as_millis()),
            Action::Hang => f.write_str("hang"),
            Action::Close => f.write_str("close"),
            Action::ResetStream(error_code) => write!(f, "reset-stream={error_code}"),
            Action::Raw(_, ConnectionEnd::Reset) => f.write_str("reset"),
            Action::Raw(..) => f.write_str("raw"),
            Action::Connection(fault) => write!(f, "{fault}"),
            Action::Callback(fault) => write!(f, "{fault}"),
        }
    }

    fn fmt_selection(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.after_run {
            f.write_str(" after-run")?;
        }
        for (name, text) in [("operation", &self.operation), ("event", &self.event_type)] {
            if let Some(text) = text {
                write!(f, " {name}={text}")?;
            }
        }
        let numbers = [
            ("first-attempts", (self.attempts != u32::MAX).then_some(self.attempts.into())),
            ("nth", self.nth),
            ("every", (self.every != 1).then_some(self.every)),
            ("offset", (self.offset != 0).then_some(self.offset)),
            ("times", (self.times != u64::MAX).then_some(self.times)),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                write!(f, " {name}={number}")?;
            }
        }
        self.chance.map_or(Ok(()), |chance| write!(f, " chance={chance}"))
    }
}
