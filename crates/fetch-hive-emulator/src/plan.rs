use std::str::FromStr;

/// A plan, by its limits (contract, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One run at a time.
    Lite,
    /// Three runs at a time.
    Starter,
    /// Five runs at a time.
    Pro,
}

impl Plan {
    /// Runs at a time, and calls a day. No source names the calls: those numbers are unconfirmed.
    pub(crate) fn limits(self) -> (usize, u64) {
        match self {
            Self::Lite => (1, 1_000),
            Self::Starter => (3, 10_000),
            Self::Pro => (5, 50_000),
        }
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "lite" => Ok(Self::Lite),
            "starter" => Ok(Self::Starter),
            "pro" => Ok(Self::Pro),
            _ => Err(format!("there is no plan {name}: lite, starter or pro")),
        }
    }
}
