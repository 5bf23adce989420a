//! The pages of `docs/integrations`, whose code is compiled and run with the documentation's tests.

#[doc = include_str!("../docs/integrations/events.md")]
mod events {}

#[doc = include_str!("../docs/integrations/mcp.md")]
mod mcp {}

#[doc = include_str!("../docs/integrations/propagation.md")]
mod propagation {}

#[doc = include_str!("../docs/integrations/sub-agents.md")]
mod sub_agents {}
