//! How spans, tools, turns, sessions and costs turned out: closed sets of words.

macro_rules! words {
    ($(#[$doc:meta])* $visibility:vis enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        $visibility enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// The word as it stands in the store and in attributes.
            #[must_use]
            $visibility const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The value that a word stands for.
            #[must_use]
            $visibility fn from_name(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// The state of a span.
    pub enum Status {
        /// Started, not ended.
        Running = "running",
        /// Ended without a failure.
        Ok = "ok",
        /// Failed.
        Error = "error",
        /// Its future was dropped before it was done.
        Cancelled = "cancelled",
        /// Its process died, or its session was dropped without an end.
        Interrupted = "interrupted",
    }
}

words! {
    /// Why a model or tool call failed, coarsely.
    ///
    /// Found from the status code, then the error's type, then its message (SPEC section 2).
    pub enum ErrorClass {
        /// The provider or tool took too long.
        ProviderTimeout = "provider_timeout",
        /// Too many requests, or a quota is used up.
        RateLimit = "rate_limit",
        /// Credentials missing, wrong or not enough.
        Auth = "auth",
        /// The provider could not be reached.
        Network = "network",
        /// The request does not fit the model's context.
        ContextOverflow = "context_overflow",
        /// The provider failed or refused the request.
        ProviderError = "provider_error",
        /// Given up by the caller.
        Cancelled = "cancelled",
        /// Nothing above.
        Unknown = "unknown",
    }
}

words! {
    /// What became of a tool call, as the model sees it.
    pub enum ResultClass {
        /// It did what it was asked.
        Ok = "ok",
        /// It failed.
        Error = "error",
        /// It took too long.
        Timeout = "timeout",
        /// It was not allowed to run.
        Blocked = "blocked",
    }
}

words! {
    /// Why a session ended.
    pub enum EndReason {
        /// It did what it was asked.
        Completed = "completed",
        /// It was stopped, or dropped without an end.
        Interrupted = "interrupted",
        /// It failed.
        Failed = "failed",
        /// A limit of steps, calls or cost was reached.
        MaxIterations = "max_iterations",
        /// It ran out of time.
        Timeout = "timeout",
    }
}

words! {
    /// How a turn or a model call ended.
    pub(crate) enum FinalStatus {
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
        Interrupted = "interrupted",
    }
}

words! {
    /// How sure a cost is. Ordered: the least sure of several is the greatest.
    pub(crate) enum CostStatus {
        /// Stated by the provider or the code.
        Known = "known",
        /// Covered by a plan: no money for this call.
        Included = "included",
        /// Computed from a price table.
        Estimated = "estimated",
        /// Nobody knows. Not zero.
        Unknown = "unknown",
    }
}

/// A word that is none of the class's becomes [`ResultClass::Error`].
impl From<&str> for ResultClass {
    fn from(word: &str) -> Self {
        ResultClass::from_name(word).unwrap_or(ResultClass::Error)
    }
}

/// A word that is none of the class's becomes [`ErrorClass::Unknown`].
impl From<&str> for ErrorClass {
    fn from(word: &str) -> Self {
        ErrorClass::from_name(word).unwrap_or(ErrorClass::Unknown)
    }
}

/// A word that is none of the reasons becomes [`EndReason::Failed`].
impl From<&str> for EndReason {
    fn from(word: &str) -> Self {
        EndReason::from_name(word).unwrap_or(EndReason::Failed)
    }
}

impl Status {
    /// Whether OTLP shows the span as failed. What somebody interrupted has not failed.
    pub(crate) const fn is_failure(self) -> bool {
        matches!(self, Status::Error | Status::Cancelled)
    }

    /// The word for a turn's or a model call's end.
    pub(crate) const fn final_status(self) -> FinalStatus {
        match self {
            Status::Running | Status::Ok => FinalStatus::Completed,
            Status::Error => FinalStatus::Failed,
            Status::Cancelled => FinalStatus::Cancelled,
            Status::Interrupted => FinalStatus::Interrupted,
        }
    }
}
