//! Finds in one pass over a text everything that is worth a closer look, and who is to look at it.
//!
//! Three letters decide whether a literal may begin at a place: they make a number of 15 bits, and a table of as many bits,
//! small enough to stay in the processor's nearest memory, says whether any literal begins so. An automaton over the same
//! literals (Aho-Corasick's) took more than twice as long on recorded sessions, for each of its steps has to wait for
//! the look-up of the last one, in a table of a hundred times the size.

use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use super::kinds::{self, Grip, Kind};
use super::{name, private_key};

/// Letters that a literal is known by at first sight.
const HEAD: usize = 3;
/// Five bits of each make a place: letters of either case fall together.
const PLACES: usize = 1 << (5 * HEAD);

/// Who looks closer where a literal stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looker {
    /// The kind of this number.
    Kind(usize),
    /// A word in which a name may tell of a secret.
    Name,
    PrivateKey,
}

/// All literals, by how they begin.
pub(super) struct Anchors {
    /// One bit a place.
    begins: Box<[u64; PLACES / 64]>,
    /// By place: where its literals begin in the list.
    buckets: Vec<u16>,
    literals: Vec<Literal>,
    rules: Vec<Rule>,
}

/// A literal in lower case, and who wants it.
struct Literal {
    place: usize,
    text: String,
    lookers: Vec<Looker>,
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
        let mut literals: Vec<Literal> = Vec::new();
        for (anchor, looker) in of_kinds.chain(of_names).chain(of_keys) {
            let text = anchor.to_ascii_lowercase();
            let known = literals.iter_mut().find(|literal| literal.text == text);
            match known {
                Some(literal) => literal.lookers.push(looker),
                None => literals.push(Literal {
                    place: place(text.as_bytes())?,
                    text,
                    lookers: vec![looker],
                }),
            }
        }
        literals.sort_by(|one, other| (one.place, &one.text).cmp(&(other.place, &other.text)));
        let mut begins = Box::new([0; PLACES / 64]);
        let mut buckets = vec![0; PLACES];
        for (number, literal) in literals.iter().enumerate().rev() {
            *begins.get_mut(literal.place / 64)? |= 1 << (literal.place % 64);
            *buckets.get_mut(literal.place)? = u16::try_from(number).ok()?;
        }
        Some(Anchors {
            begins,
            buckets,
            literals,
            rules,
        })
    }

    /// Calls back with each literal in the text, in the order of their beginnings: where it begins and ends, who wants it.
    /// Ends early, and says so, when the callback has `None`.
    pub(super) fn hits(
        &self,
        text: &str,
        mut hit: impl FnMut(usize, usize, &[Looker]) -> Option<()>,
    ) -> Option<()> {
        let bytes = text.as_bytes();
        let mut from = 0;
        while let Some(start) = self.candidate(bytes, from) {
            from = start + 1;
            let Some(head) = bytes.get(start..start + HEAD).and_then(place) else {
                break;
            };
            let first = self.buckets.get(head).copied().map_or(0, usize::from);
            let literals = self.literals.get(first..).unwrap_or_default().iter();
            for literal in literals.take_while(|literal| literal.place == head) {
                let end = start + literal.text.len();
                let is_there = bytes
                    .get(start..end)
                    .is_some_and(|found| found.eq_ignore_ascii_case(literal.text.as_bytes()));
                if is_there {
                    hit(start, end, &literal.lookers)?;
                }
            }
        }
        Some(())
    }

    /// The next place where a literal may begin. Each step stands by itself, so that the processor takes several at once.
    #[inline(never)]
    fn candidate(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let begins = &*self.begins;
        let heads = bytes.get(from..)?.windows(HEAD);
        let found = heads.enumerate().find(|(_, head)| {
            let letter = |at: usize| usize::from(head[at] & 31);
            let head = letter(0) << 10 | letter(1) << 5 | letter(2);
            begins[head / 64] >> (head % 64) & 1 != 0
        });
        found.map(|(steps, _)| from + steps)
    }

    pub(super) fn rule(&self, number: usize) -> Option<&Rule> {
        self.rules.get(number)
    }

    pub(super) fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// The place of a literal's head.
fn place(literal: &[u8]) -> Option<usize> {
    let head = literal.get(..HEAD)?.iter();
    Some(head.fold(0, |place, byte| place << 5 | usize::from(byte & 31)))
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
