//! The pages of `docs/integrations` and `docs/PRIVACY.md`, whose code is compiled and run with the documentation's tests. Those of rig, genai and
//! swiftide are compiled with these libraries, in `tests/ecosystem`.

#[doc = include_str!("../docs/PRIVACY.md")]
mod privacy {}

#[doc = include_str!("../docs/integrations/agent-events.md")]
mod agent_events {}

#[cfg(feature = "reqwest-middleware")]
#[doc = include_str!("../docs/integrations/async-openai.md")]
mod async_openai {}

#[cfg(feature = "reqwest-middleware")]
#[doc = include_str!("../docs/integrations/bare-http.md")]
mod bare_http {}

#[doc = include_str!("../docs/integrations/events.md")]
mod events {}

#[doc = include_str!("../docs/integrations/hermes-agent-hooks.md")]
mod hermes_agent_hooks {}

#[doc = include_str!("../docs/integrations/hook-style.md")]
mod hook_style {}

#[doc = include_str!("../docs/integrations/logs.md")]
mod logs {}

#[doc = include_str!("../docs/integrations/mcp.md")]
mod mcp {}

#[doc = include_str!("../docs/integrations/other-spans.md")]
mod other_spans {}

#[doc = include_str!("../docs/integrations/propagation.md")]
mod propagation {}

#[cfg(feature = "reqwest-middleware")]
#[doc = include_str!("../docs/integrations/reqwest.md")]
mod reqwest {}

#[doc = include_str!("../docs/integrations/sampling.md")]
mod sampling {}

#[doc = include_str!("../docs/integrations/streams.md")]
mod streams {}

#[doc = include_str!("../docs/integrations/sub-agents.md")]
mod sub_agents {}

#[cfg(feature = "reqwest-middleware")]
#[doc = include_str!("../docs/integrations/tower.md")]
mod tower {}
