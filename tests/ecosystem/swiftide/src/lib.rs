//! swiftide under Hermes, as it is published; the tests of `hermes-ecosystem` run these.

/// The page of `docs/integrations`, whose code is compiled as a test.
#[cfg(doctest)]
mod integrations {
    #[doc = include_str!("../../../../docs/integrations/swiftide.md")]
    mod swiftide {}
}

#[cfg(test)]
#[path = "../../src/model.rs"]
#[expect(dead_code, reason = "other libraries' tests use the rest")]
mod model;
#[cfg(test)]
#[path = "../../src/picture.rs"]
mod picture;
#[cfg(test)]
#[path = "../../../it/support/mod.rs"]
#[expect(dead_code, reason = "the tests of the crate itself use the rest")]
mod support;

#[cfg(test)]
mod agents;
