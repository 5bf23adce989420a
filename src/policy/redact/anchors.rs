//! Finds in one pass over a text everything that is worth a closer look, and who is to look at it.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::Regex;

use super::kinds::{self, Grip, Kind};
use super::{name, private_key};

/// Who looks closer where a literal stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looker {
    /// The kind of this number.
    Kind(usize),
    /// A word in which a name may tell of a secret.
    Name,
    PrivateKey,
}

/// All literals in one automaton.
pub(super) struct Anchors {
    automaton: AhoCorasick,
    /// By literal.
    lookers: Vec<Vec<Looker>>,
    rules: Vec<Rule>,
}

/// A kind, and its pattern, which is made when its literal is first met: most programs meet few.
pub(super) struct Rule {
    pub(super) kind: &'static Kind,
    pattern: OnceLock<Option<Regex>>,
}

/// `None`: the tables make no sense, which a test rules out; then nothing can be searched, and all is withheld.
pub(super) static ANCHORS: LazyLock<Option<Anchors>> = LazyLock::new(Anchors::build);

impl Anchors {
    fn build() -> Option<Self> {
        let rules: Vec<Rule> = kinds::all().map(Rule::new).collect();
        let of_kinds = rules.iter().enumerate().flat_map(|(number, rule)| {
            let anchors = rule.kind.anchors.iter();
            anchors.map(move |anchor| (*anchor, Looker::Kind(number)))
        });
        let of_names = name::ANCHORS.iter().map(|anchor| (*anchor, Looker::Name));
        let of_keys = private_key::ANCHORS
            .iter()
            .map(|anchor| (*anchor, Looker::PrivateKey));
        let mut literals: Vec<String> = Vec::new();
        let mut lookers: Vec<Vec<Looker>> = Vec::new();
        for (anchor, looker) in of_kinds.chain(of_names).chain(of_keys) {
            let literal = anchor.to_ascii_lowercase();
            match literals.iter().position(|known| *known == literal) {
                Some(place) => lookers.get_mut(place)?.push(looker),
                None => {
                    literals.push(literal);
                    lookers.push(vec![looker]);
                }
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&literals)
            .ok()?;
        Some(Anchors {
            automaton,
            lookers,
            rules,
        })
    }

    /// Each literal in the text, overlapping ones too, in the order of their ends.
    pub(super) fn hits<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = (usize, usize, &'a [Looker])> {
        self.automaton.find_overlapping_iter(text).map(|hit| {
            let lookers = self.lookers.get(hit.pattern().as_usize());
            (hit.start(), hit.end(), lookers.map_or(&[][..], |all| all))
        })
    }

    pub(super) fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

impl Rule {
    fn new(kind: &'static Kind) -> Self {
        Rule {
            kind,
            pattern: OnceLock::new(),
        }
    }

    /// The pattern, bound to the place where the search begins unless the literal stands within.
    pub(super) fn pattern(&self) -> Option<&Regex> {
        let compile = || {
            // Keys consist of ASCII, and so do the words and digits around them: the fast engines can do that.
            let ascii = self.kind.pattern.replace(r"\b", r"(?-u:\b)");
            let ascii = ascii.replace(r"\d", "[0-9]");
            let whole = match self.kind.grip {
                Grip::Within(_) => ascii,
                _ => format!(r"\A(?:{ascii})"),
            };
            Regex::new(&whole).ok()
        };
        self.pattern.get_or_init(compile).as_ref()
    }
}
