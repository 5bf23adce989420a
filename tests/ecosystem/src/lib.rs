//! Other people's libraries under Hermes, as they are published: rig, genai, async-openai and swiftide call a
//! model server on loopback, and what the store and a collector have of it is drawn as a tree.
//!
//! The blocks of code in `docs/integrations` that need these libraries are compiled here.

/// The pages of `docs/integrations`, whose code is compiled as tests.
#[cfg(doctest)]
mod integrations {
    #[doc = include_str!("../../../docs/integrations/genai.md")]
    mod genai {}
    #[doc = include_str!("../../../docs/integrations/rig.md")]
    mod rig {}
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod picture;
#[cfg(test)]
#[path = "../../it/support/mod.rs"]
#[expect(dead_code, reason = "the tests of the crate itself use the rest")]
mod support;

#[cfg(test)]
mod rig_agents;
#[cfg(test)]
mod rig_models;
#[cfg(test)]
mod genai_calls;
#[cfg(test)]
mod openai_calls;
#[cfg(test)]
mod openai_layer;
#[cfg(test)]
mod swiftide;
