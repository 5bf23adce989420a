//! What the user has redacted beside the secrets that always are: patterns of their own, and what identifies people.

use super::Builder;
use crate::config::ContentRedaction;
use crate::error::Error;
use crate::policy::{Custom, Rules};

/// What was asked for, not yet looked at.
#[derive(Default)]
pub(super) struct Redaction {
    patterns: Vec<String>,
    personal: bool,
}

impl Redaction {
    /// The rules to be kept to, with what the files of settings ask for; the first pattern that cannot be used is the error.
    pub(super) fn rules(&self, settings: ContentRedaction) -> Result<Rules, Error> {
        let custom = self.patterns.iter().map(|pattern| Custom::new(pattern));
        Ok(Rules {
            personal: self.personal || settings == ContentRedaction::Pii,
            custom: custom.collect::<Result<_, _>>()?,
        })
    }
}

impl Builder {
    /// Redacts what a pattern of your own matches, beside the secrets that are always redacted: in the syntax of the
    /// `regex` crate, and where it has groups, its first one. May be called several times.
    /// [`Redactor::pattern`](crate::Redactor::pattern) shows what a pattern does.
    ///
    /// ```
    /// let builder = hermes::builder().redact_pattern(r"\bACME-\d{6}\b");
    /// # drop(builder);
    /// ```
    pub fn redact_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.redaction.patterns.push(pattern.into());
        self
    }

    /// Whether what identifies people is redacted in content and in texts of errors as well: e-mail addresses, telephone
    /// numbers, cards, IBANs, IP addresses, social security numbers, UUIDs. Default: no.
    pub fn redact_personal_data(mut self, redact: bool) -> Self {
        self.redaction.personal = redact;
        self
    }
}
