//! Qualifiers stay where they are.
#![deny(warnings)]

/// Doubles.
///
/// # Safety
///
/// None needed.
#[hermes::instrument]
pub unsafe fn unchecked(count: &u8) -> u8 {
    unsafe { *std::ptr::from_ref(count) * 2 }
}

#[hermes::instrument]
pub extern "C" fn exported(count: u8) -> u8 {
    count
}

#[hermes::instrument]
pub(crate) async unsafe fn later() -> u8 {
    1
}

#[hermes::instrument]
#[inline]
#[deprecated = "attributes stay as well"]
pub fn old() {}

fn main() {
    assert_eq!(unsafe { unchecked(&2) }, 4);
    assert_eq!(exported(3), 3);
    drop(unsafe { later() });
}
