//! What a span of a kind may say under profile `hermes`: each value once, with every name it goes by.

use std::sync::LazyLock;

use super::table::attributes;
use super::{Fact, Form, Kind, Naming, Profile};

/// One value and its names. The store keeps values by their slot, and the names once per set of slots.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The fact that the value is made of.
    pub(crate) fact: Fact,
    /// What is made of it; a text that only export cuts is [`Form::Raw`] here.
    pub(crate) form: Form,
    /// The attributes that hold it.
    pub(crate) names: Vec<&'static str>,
}

/// The slots of a kind, in the order of the table. A set of them is a `u64`, one bit each.
pub(crate) fn slots(kind: Kind) -> &'static [Slot] {
    &SLOTS[kind as usize]
}

static SLOTS: LazyLock<[Vec<Slot>; Kind::ALL.len()]> = LazyLock::new(|| Kind::ALL.map(of_kind));

fn of_kind(kind: Kind) -> Vec<Slot> {
    let naming = Naming {
        profile: Profile::Hermes,
        openinference: false,
    };
    let mut slots: Vec<Slot> = Vec::new();
    for row in attributes(kind, naming) {
        let form = match row.form {
            Form::Cut(_) => Form::Raw,
            form => form,
        };
        match slots
            .iter_mut()
            .find(|slot| slot.fact == row.fact && slot.form == form)
        {
            Some(slot) => slot.names.push(row.name),
            None => slots.push(Slot {
                fact: row.fact,
                form,
                names: vec![row.name],
            }),
        }
    }
    slots
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Form, Kind, slots};

    #[test]
    fn a_kind_has_no_more_slots_than_bits_and_no_name_twice() {
        for kind in Kind::ALL {
            assert!(slots(kind).len() <= 64, "{kind:?}");
            let mut names = HashSet::new();
            for name in slots(kind).iter().flat_map(|slot| &slot.names) {
                assert!(names.insert(name), "{kind:?} has {name} twice");
            }
        }
    }

    #[test]
    fn every_form_of_the_profile_is_one_that_the_store_can_make() {
        for slot in Kind::ALL.into_iter().flat_map(slots) {
            let known = matches!(slot.form, Form::Raw | Form::Provider | Form::System);
            assert!(known, "{:?} as {:?}", slot.fact, slot.form);
        }
    }
}
