use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::{Action, Connecting, End, Fault};
use crate::callback_fault::Wrong;

/// What has another meaning in a word: `_` stands for a blank, `%` begins a byte in hex.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'_').add(b'%');

/// A body longer than this that is nothing but blanks is written as their number.
const MANY_BLANKS: usize = 64;

/// Bytes as they stand in a word.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        percent_encode(self.0, ESCAPED).try_for_each(|piece| f.write_str(if piece == "%20" { "_" } else { piece }))
    }
}

/// The words that make the same fault.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Reply { status, headers, body, cut } => {
                write!(f, "status={}", status.as_u16())?;
                for (name, value) in headers {
                    write!(f, " header={name}:{}", Escaped(value.as_bytes()))?;
                }
                if body.len() > MANY_BLANKS && body.iter().all(|byte| *byte == b' ') {
                    write!(f, " body-blanks={}", body.len())?;
                } else if !body.is_empty() {
                    write!(f, " body={}", Escaped(body))?;
                }
                match cut {
                    Some((bytes, End::Close)) => write!(f, " cut-after={bytes}")?,
                    Some((bytes, End::Reset)) => write!(f, " reset-after={bytes}")?,
                    Some((bytes, End::Hang)) => write!(f, " stall-after={bytes}")?,
                    None => {}
                }
            }
            Action::Delay(delay) => write!(f, "delay={}", delay.as_millis())?,
            Action::Hang => f.write_str("hang")?,
            Action::Close => f.write_str("close")?,
            Action::ResetStream(reason) => write!(f, "reset-stream={reason}")?,
            Action::Raw(bytes, End::Reset) if bytes.is_empty() => f.write_str("reset")?,
            Action::Raw(bytes, _) => write!(f, "raw={}", Escaped(bytes))?,
            Action::Connection(connecting) => f.write_str(match connecting {
                Connecting::Reset => "reset-connection",
                Connecting::Silent => "silent-connection",
                Connecting::WrongName => "wrong-certificate-name",
                Connecting::Expired => "expired-certificate",
                Connecting::Stranger => "unknown-issuer",
            })?,
            Action::Callback(wrong) => match wrong {
                Wrong::Early => f.write_str("callback-early")?,
                Wrong::Late(by) => write!(f, "callback-late={}", by.as_millis())?,
                Wrong::Repeat(times) => write!(f, "callback-repeat={times}")?,
                Wrong::Reorder => f.write_str("callback-reorder")?,
                Wrong::Corrupt => f.write_str("callback-corrupt")?,
                Wrong::Missign => f.write_str("callback-missign")?,
                Wrong::Unsigned => f.write_str("callback-unsigned")?,
                Wrong::Lost => f.write_str("callback-lost")?,
            },
        }
        self.selection(f)
    }
}

impl Fault {
    fn selection(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.after_run {
            f.write_str(" after-run")?;
        }
        let texts = [("operation", &self.operation), ("event", &self.event_type)];
        for (name, text) in texts.iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            write!(f, " {name}={text}")?;
        }
        let numbers = [
            ("first-tries", (self.tries != u32::MAX).then_some(self.tries.into())),
            ("nth", self.nth),
            ("every", (self.every != 1).then_some(self.every)),
            ("offset", (self.offset != 0).then_some(self.offset)),
            ("times", (self.times != u64::MAX).then_some(self.times)),
        ];
        for (name, number) in numbers.iter().filter_map(|(name, number)| Some((name, (*number)?))) {
            write!(f, " {name}={number}")?;
        }
        self.chance.map_or(Ok(()), |chance| write!(f, " chance={chance}"))
    }
}
