use std::fmt;

/// What a check demands of a transport.
macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident = $short:literal, $demand:literal;)+) => {
        /// One demand of the contract of [`Transport`](crate::Transport).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Check {
            $(#[doc = $demand] $name,)+
        }

        impl Check {
            /// All of them, in the order in which they run.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $short),+ }
            }

            /// What it demands, as a sentence.
            pub fn demand(self) -> &'static str {
                match self { $(Self::$name => $demand),+ }
            }
        }
    };
}

checks! {
    Statuses = "statuses", "Every status is a response, refusals and failures too.";
    Redirects = "redirects", "No redirect is followed.";
    HeadersFirst = "headers-first", "The head is handed over before the body has come.";
    Streaming = "streaming", "A piece of the body is handed over before the next has come.";
    LargeBody = "large-body", "A large body arrives whole.";
    CutBody = "cut-body", "A body that breaks off is an error, and not a shorter body.";
    EmptyBody = "empty-body", "204, 304 and bodies of no bytes end, and the next request works.";
    Informational = "informational", "1xx responses are passed over.";
    RepeatedHeaders = "repeated-headers", "Each value of a repeated header of the response is kept, in order.";
    Encoding = "encoding", "An encoding of the body that the transport asks for is undone.";
    RequestHead = "request-head", "Method, path, query and headers are sent as they are.";
    Upload = "upload", "The body of the request is sent byte for byte.";
    Cookies = "cookies", "No cookie is kept.";
    Concurrency = "concurrency", "Several requests are under way at once.";
    Refused = "refused", "A refused connection is an error that says that nothing was sent.";
    LostReply = "lost-reply", "A connection that fails after the request is an error that says that it may have been processed.";
    Repeats = "repeats", "Nothing is sent again.";
    ConnectLimit = "connect-limit", "The limit for a connection is kept, TLS included, and nothing was sent when it runs out.";
    DropRequest = "drop-request", "Dropping the future closes the connection.";
    DropBody = "drop-body", "Dropping the body closes the connection.";
    OwnLimits = "own-timeouts", "The timeouts are kept by the transport, which dropping does not end.";
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The transport does what is demanded.
    Passed,
    /// It does not; this is what it does.
    Failed(String),
    /// It was not run; this is why.
    Skipped(String),
    /// It does not, and is [known not to](super::Suite::known_to_fail).
    Known {
        /// What it does.
        what: String,
        /// Why.
        why: String,
    },
}

/// What came of all checks. `Display` prints a line for each.
#[derive(Clone, Debug)]
#[must_use = "a report says whether the transport passed"]
pub struct Report(pub(super) Vec<(Check, Outcome)>);

impl Report {
    /// Whether no check failed, but for those that are known to.
    pub fn is_passed(&self) -> bool {
        self.failures().next().is_none()
    }

    /// What came of each check, in order.
    pub fn outcomes(&self) -> impl Iterator<Item = (Check, &Outcome)> {
        self.0.iter().map(|(check, outcome)| (*check, outcome))
    }

    /// The checks that failed; those that are known to are none of them.
    pub fn failures(&self) -> impl Iterator<Item = Check> {
        self.outcomes().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).map(|(check, _)| check)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (check, outcome) in self.outcomes() {
            let name = check.name();
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {name:<17} {}", check.demand())?,
                Outcome::Failed(what) => writeln!(f, "FAILED   {name:<17} {} But: {what}", check.demand())?,
                Outcome::Skipped(why) => writeln!(f, "skipped  {name:<17} {why}")?,
                Outcome::Known { what, why } => {
                    writeln!(f, "known    {name:<17} {} But: {what} Known: {why}", check.demand())?;
                }
            }
        }
        let count = |wanted: fn(&Outcome) -> bool| self.outcomes().filter(|(_, outcome)| wanted(outcome)).count();
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            count(|outcome| *outcome == Outcome::Passed),
            count(|outcome| matches!(outcome, Outcome::Failed(_))),
            count(|outcome| matches!(outcome, Outcome::Skipped(_)))
        )?;
        match count(|outcome| matches!(outcome, Outcome::Known { .. })) {
            0 => Ok(()),
            known => write!(f, ", {known} known to fail"),
        }
    }
}
