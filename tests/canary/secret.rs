//! The secrets: one of each form that vendors publish, of each notation under a telling name, of each private key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use crate::draw::Draw;
use crate::{carrier, key, named, vendor};

/// Ways in, and the numbers of the secrets that went into each.
pub(crate) type Fed = BTreeMap<String, BTreeSet<usize>>;

const FED_FILE: &str = "fed.json";

static FED: Mutex<Fed> = Mutex::new(Fed::new());

/// A secret with the words in which it is met.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) number: usize,
    pub(crate) kind: String,
    /// What stands around it tells what it is: a vendor's prefix, a name, a header.
    pub(crate) text: String,
    /// What must be found nowhere.
    pub(crate) core: String,
}

impl Secret {
    /// What is told to a way in: the marker, and behind it the secret.
    pub(crate) fn say(&self, input: &str) -> String {
        format!("{}\n{}", self.marker(input), self.text)
    }

    /// Harmless: that it comes out shows that what stood beside it was there.
    pub(crate) fn marker(&self, input: &str) -> String {
        let mut fed = FED.lock().unwrap();
        fed.entry(input.to_owned()).or_default().insert(self.number);
        format!("canary-{input}-{:03}", self.number)
    }

    /// Whether it is known for a secret wherever it stands, with nothing around it.
    pub(crate) fn is_known_alone(&self) -> bool {
        self.text == self.core
    }
}

/// Writes down for the parent what this process was fed with.
pub(crate) fn write_fed(home: &Path) {
    let fed = FED.lock().unwrap();
    fs::write(home.join(FED_FILE), serde_json::to_vec(&*fed).unwrap()).unwrap();
}

pub(crate) fn read_fed(home: &Path) -> Fed {
    serde_json::from_slice(&fs::read(home.join(FED_FILE)).unwrap()).unwrap()
}

/// The same for every process.
pub(crate) fn all() -> Vec<Secret> {
    let mut draw = Draw::new(5);
    let mut secrets = Vec::new();
    for form in vendor::FORMS {
        let (text, core) = carrier::drawn(form, &mut draw);
        secrets.push((form.0.to_owned(), text, core));
    }
    let named = (0..named::notations()).map(|number| named::sample(number, &mut draw));
    let mut samples: Vec<_> = named.collect();
    samples.extend((0..key::carriers()).map(|number| key::sample(number, &mut draw)));
    for sample in samples {
        let kind = format!("{}, {}", sample.kind, sample.carrier);
        secrets.push((kind, sample.pieces.concat(), sample.secret));
    }
    let secrets = secrets.into_iter().enumerate();
    let secrets = secrets.map(|(number, (kind, text, core))| Secret {
        number,
        kind,
        text,
        core,
    });
    secrets.collect()
}

/// Those that go through the child of a profile: two fifths of all, each time others, so that each goes through two at
/// least.
pub(crate) fn share(profile: usize) -> Vec<Secret> {
    let mut share = all();
    share.retain(|secret| (secret.number + 3 * profile) % 5 < 2);
    assert!(share.len() >= 100);
    share
}
