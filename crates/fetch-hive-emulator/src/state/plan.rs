use std::str::FromStr;

/// A plan of the service, with its limits.
///
/// The numbers of concurrent runs are from the service's documentation. The daily caps are
/// *unconfirmed*, because no source states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One concurrent run and 1,000 calls a day.
    Lite,
    /// Three concurrent runs and 10,000 calls a day.
    Starter,
    /// Five concurrent runs and 50,000 calls a day.
    Pro,
}

impl Plan {
    /// Returns the number of concurrent runs and the number of calls a day.
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
            _ => Err(format!("unknown plan {name:?}; use lite, starter or pro")),
        }
    }
}
