use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in time in RFC 3339 form, such as `2026-05-26T09:30:00Z`.
///
/// The text of the service is kept unchanged. The features `chrono` and `time` add conversions to
/// the types of these crates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(String);

impl Timestamp {
    /// Returns the text that the service sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Converts the timestamp to a type of the `chrono` crate.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not in RFC 3339 form.
    #[cfg(feature = "chrono")]
    pub fn to_chrono(&self) -> Result<chrono::DateTime<chrono::FixedOffset>, chrono::ParseError> {
        chrono::DateTime::parse_from_rfc3339(&self.0)
    }

    /// Converts the timestamp to a type of the `time` crate.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not in RFC 3339 form.
    #[cfg(feature = "time")]
    pub fn to_time(&self) -> Result<time::OffsetDateTime, time::error::Parse> {
        time::OffsetDateTime::parse(&self.0, &time::format_description::well_known::Rfc3339)
    }
}

impl From<&str> for Timestamp {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Timestamp {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(any(feature = "chrono", feature = "time"))]
    #[test]
    fn only_rfc_3339_is_converted() {
        let noon = super::Timestamp::from("2026-05-26T12:00:00+02:00");
        let other = super::Timestamp::from("yesterday");
        #[cfg(feature = "chrono")]
        assert!(noon.to_chrono().unwrap().timestamp() == 1_779_789_600 && other.to_chrono().is_err());
        #[cfg(feature = "time")]
        assert!(noon.to_time().unwrap().unix_timestamp() == 1_779_789_600 && other.to_time().is_err());
    }
}
