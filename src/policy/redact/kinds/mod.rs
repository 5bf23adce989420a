//! The tables of what vendors' keys look like: one row a kind, by the format its vendor publishes.
//!
//! A row holds the literal that is looked for first, and the pattern of the whole, which is tried where the literal
//! stands and nowhere else. The formats come from the vendors' documentation (named behind each row where it is not the
//! vendor's own key page) and from the list of partner patterns that GitHub's secret scanning publishes.

mod chat;
mod cloud;
mod code;
mod context;
mod model;
mod payment;
mod service;

/// A secret known by what it looks like, or by what stands around it.
#[derive(Debug)]
pub(super) struct Kind {
    /// What it is called in tables and reports.
    pub(super) id: &'static str,
    /// Literals, one of which is in every text that the pattern matches; letters of either case are found.
    pub(super) anchors: &'static [&'static str],
    /// The whole; the secret is the first group, or the match where there is no group.
    pub(super) pattern: &'static str,
    pub(super) grip: Grip,
    pub(super) test: Test,
}

/// How much the literal alone says, and where the pattern begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grip {
    /// The literal begins a word and is nobody else's: what was cut off behind it is a secret too.
    Strong,
    /// The literal begins a word, but words begin so too: the whole must be there and look like chance.
    Weak,
    /// The pattern begins at most so many bytes before the literal.
    Within(usize),
    /// The pattern begins with the literal and says all there is to say.
    Around,
}

/// What the match must stand besides its pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// The pattern says enough.
    Any,
    /// It looks like chance, for plain words are written in the same way.
    Random,
    /// It is no word of the header itself (`Bearer`, `Basic`) and no placeholder.
    Credential,
    /// It is no placeholder.
    Given,
    /// It is `user:password` in base64.
    Pair,
    /// It is a web address's user part that looks like a key.
    Userinfo,
}

/// All rows, group by group.
pub(super) static GROUPS: &[&[Kind]] = &[
    model::KINDS,
    cloud::KINDS,
    code::KINDS,
    chat::KINDS,
    payment::KINDS,
    service::KINDS,
    context::KINDS,
];

pub(super) fn all() -> impl Iterator<Item = &'static Kind> {
    GROUPS.iter().flat_map(|group| group.iter())
}

const fn row(
    id: &'static str,
    anchors: &'static [&'static str],
    pattern: &'static str,
    grip: Grip,
    test: Test,
) -> Kind {
    Kind {
        id,
        anchors,
        pattern,
        grip,
        test,
    }
}

/// A key with a prefix of its own.
const fn key(id: &'static str, anchors: &'static [&'static str], pattern: &'static str) -> Kind {
    row(id, anchors, pattern, Grip::Strong, Test::Any)
}

/// A key whose prefix is common, so that the rest has to look like one.
const fn weak(id: &'static str, anchors: &'static [&'static str], pattern: &'static str) -> Kind {
    row(id, anchors, pattern, Grip::Weak, Test::Random)
}

/// A key whose prefix is common, but whose letters and length nobody else's.
const fn exact(id: &'static str, anchors: &'static [&'static str], pattern: &'static str) -> Kind {
    row(id, anchors, pattern, Grip::Weak, Test::Given)
}

/// A key with its mark in the middle, at most so many bytes in.
const fn within(
    id: &'static str,
    anchors: &'static [&'static str],
    back: usize,
    pattern: &'static str,
) -> Kind {
    row(id, anchors, pattern, Grip::Within(back), Test::Any)
}

/// A secret known by the words before it.
const fn around(
    id: &'static str,
    anchors: &'static [&'static str],
    pattern: &'static str,
    test: Test,
) -> Kind {
    row(id, anchors, pattern, Grip::Around, test)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Grip, all};

    #[test]
    fn there_are_more_than_a_hundred_and_twenty_kinds_and_each_has_its_name() {
        let ids: BTreeSet<&str> = all().map(|kind| kind.id).collect();
        assert_eq!(ids.len(), all().count());
        let vendors = all().filter(|kind| kind.grip != Grip::Around).count();
        assert!(vendors >= 120, "{vendors}");
    }
}
