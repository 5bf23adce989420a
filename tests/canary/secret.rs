//! The secrets: one of each form that vendors publish, of each notation under a telling name, of each private key.

use crate::draw::Draw;
use crate::{carrier, key, named, vendor};

/// A secret with the words in which it is met.
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
        format!("canary-{input}-{:03}", self.number)
    }
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

/// Those that go through a profile's child: half of them through the first one's, a fifth through each of the others',
/// so that each goes through one at least.
pub(crate) fn share(profile: usize) -> Vec<Secret> {
    let step = if profile == 0 { 2 } else { 5 };
    let mut share = all();
    share.retain(|secret| secret.number % step == profile % step);
    share
}
