//! Judges a token that nobody drew by chance: by the place in which its name stands, and by how it is written.

use super::assignment::Name;
use super::sign::Sign;
use super::written::Written;

/// Where a name stands that may tell of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the query of an address.
    Query,
    /// Among the variables of an environment, in capitals.
    Environment,
    Anywhere,
}

impl Name<'_> {
    /// Where the name stands, for there are places in which hardly anything but a credential is named so.
    pub(super) fn place(&self, sign: &Sign<'_>) -> Place {
        let parted = self.text.get(self.end..sign.end);
        let is_tight = sign.byte == b'=' && matches!(parted, Some("=" | "%3D" | "%3d"));
        let is_environment = self.as_str().contains('_')
            && !self.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
        let before = self.before("&amp;".len());
        if is_tight && (before.ends_with(['?', '&']) || before == "&amp;") {
            Place::Query
        } else if is_environment && matches!(sign.byte, b'=' | b':' | b' ') {
            Place::Environment
        } else {
            Place::Anywhere
        }
    }

    /// Whether a token or a signature is one although nothing in it looks like chance: people choose some of them.
    pub(super) fn is_credential(&self, place: Place, sign: &Sign<'_>, value: Written) -> bool {
        let text = value.of(self.text);
        let is_token = self.ends_with("token") || self.ends_with("jwt");
        let is_signed = self.ends_with("sig") || self.ends_with("signature");
        let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
        let is_number = !has(|byte| !byte.is_ascii_digit() && *byte != b'.');
        if !(is_token || is_signed) || text.len() < 6 || text.contains(' ') || is_number {
            return false;
        }
        let is_mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
        // A piece of a model's answer is called a token as well, and is shorter or a word.
        let signs = ['-', '_', '.', '!', '@', '#', '$', '%'];
        let has_sign = text.len() >= 14
            && has(u8::is_ascii_alphabetic)
            && text.trim_matches(signs).contains(signs);
        let is_spaced = sign.byte == b'=' && self.text.get(self.end..sign.end) != Some("=");
        let is_named = value.is_quoted || (sign.byte == b'=' && !is_spaced);
        let is_chosen = is_named && ((is_mixed && text.len() >= 7) || has_sign);
        match place {
            Place::Query => true,
            // With spaces it is a program, which calls marks in a model's input tokens.
            Place::Environment => is_token && (is_chosen || !is_spaced),
            Place::Anywhere => is_token && is_chosen,
        }
    }
}
