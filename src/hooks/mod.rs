//! Hooks with the names and arguments of hermes-agent's plugins, for hosts that tell what they do by calling them.
//!
//! A host that has such hooks calls them from whichever thread it is on, in any order, twice or not at
//! all; what comes of it is one tree of session, turns, model calls, tools and sub-agents, with the times
//! that the host states.
//!
//! ```
//! use hermes::hooks::{ApiAnswer, ApiRequest, Hooks, LlmAnswer, LlmCall, SessionEnd, SessionFinalize, ToolCall, ToolResult};
//! use serde_json::json;
//!
//! let hooks = Hooks::new();
//! hooks.pre_llm_call(LlmCall::new().session_id("s-1").turn_id("t-1").user_message("what is in a.txt?"));
//! hooks.pre_api_request(ApiRequest::new().session_id("s-1").api_request_id("r-1").model("gpt-4o"));
//! hooks.post_api_request(ApiAnswer::new().session_id("s-1").api_request_id("r-1").api_duration(1.5));
//! hooks.pre_tool_call(ToolCall::new().session_id("s-1").tool_call_id("c-1").tool_name("read_file"));
//! hooks.post_tool_call(ToolResult::new().session_id("s-1").tool_call_id("c-1").result("three lines"));
//! hooks.post_llm_call(LlmAnswer::new().session_id("s-1").assistant_response("It has three lines."));
//! hooks.on_session_end(SessionEnd::new().session_id("s-1").completed(true));
//! hooks.on_session_finalize(SessionFinalize::new().session_id("s-1").reason("shutdown"));
//!
//! // The same by name, as a host does that speaks JSON.
//! hooks.call("pre_tool_call", &json!({"session_id": "s-2", "tool_name": "search", "tool_call_id": "c-2"}));
//! hooks.call("post_tool_call", &json!({"session_id": "s-2", "tool_name": "search", "tool_call_id": "c-2",
//!     "result": "{\"hits\": 3}", "duration_ms": 120}));
//! ```
//!
//! # What the hooks mean
//!
//! | hooks | span |
//! |---|---|
//! | `on_session_start` … `on_session_finalize` | `hermes.session` |
//! | `pre_llm_call` … `on_session_end` | `hermes.turn`; `post_llm_call` states its answer |
//! | `pre_api_request` … `post_api_request` or `api_request_error` | `chat {model}`, by `api_request_id` |
//! | `pre_tool_call` … `post_tool_call` | `hermes.tool.{name}`, by `tool_call_id` |
//! | `subagent_start` … `subagent_stop` | `invoke_agent {role}`; hooks of `child_session_id` tell of it |
//! | `pre_approval_request` … `post_approval_response` | a wait in the tool |
//!
//! # What is kept of what never ends
//!
//! A call whose end nobody tells of is given up (`cancelled`) when its session ends, after two days, or
//! when there are more than 10,000 open ones, the oldest first; a session of which nothing is heard for
//! two days, or the oldest of more than 2,000, is `interrupted`. An open call takes about a kilobyte. See [`Limits`].

#![expect(
    clippy::ref_option,
    reason = "what a hook is told is a field of the arguments, said or not"
)]

mod approval;
mod arguments;
mod book;
mod call;
mod calls;
mod held;
mod reading;
mod request;
mod session;
mod subagent;
mod tool;
mod turns;
mod usage;

use std::cell::Cell;
use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tracing::{Level, level_enabled};

pub use arguments::{
    ApiAnswer, ApiError, ApiRequest, ApprovalRequest, ApprovalResponse, LlmAnswer, LlmCall,
    SessionEnd, SessionFinalize, SessionStart, SubagentStart, SubagentStop, ToolCall, ToolResult,
};
use book::Book;

use crate::span::quietly;

/// How much may be open at once, and for how long.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Model calls, tools and approvals that are open; more, and the oldest are given up. Default: 10,000.
    pub max_open_calls: usize,
    /// Sessions that are open; more, and the oldest are interrupted. Default: 2,000.
    pub max_sessions: usize,
    /// For how long nothing may be heard of a session or a call. Default: two days.
    pub max_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_open_calls: 10_000,
            max_sessions: 2_000,
            max_idle: Duration::from_secs(2 * 24 * 60 * 60),
        }
    }
}

/// The hooks of one host: what they told of and what is still open.
///
/// Every method may be called from any thread at any time; none of them blocks, panics or returns
/// anything. Where no layer listens they do nothing. What is open when this is dropped has no end:
/// calls are `cancelled`, sessions `interrupted`.
pub struct Hooks {
    book: Mutex<Book>,
    limits: Limits,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks::new()
    }
}

thread_local! {
    /// Whether this thread is inside a hook: a layer that calls hooks of its own would wait for itself.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Hooks {
    /// Hooks of which none has been called, with the usual limits.
    #[must_use]
    pub fn new() -> Self {
        Hooks::with_limits(Limits::default())
    }

    /// The same, with other limits.
    ///
    /// ```
    /// let mut limits = hermes::hooks::Limits::default();
    /// limits.max_sessions = 100;
    /// let hooks = hermes::hooks::Hooks::with_limits(limits);
    /// # drop(hooks);
    /// ```
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Hooks {
            book: Mutex::default(),
            limits,
        }
    }

    /// Looks something up or writes it down. No code of others runs meanwhile.
    fn book<T>(&self, act: impl FnOnce(&mut Book) -> T) -> T {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut book)
    }

    /// Runs what a hook does: nothing where nobody listens, and never to the host's harm.
    fn hook(&self, act: impl FnOnce(&Self)) {
        if !level_enabled!(Level::INFO) {
            return;
        }
        let is_inside = IS_INSIDE.try_with(|inside| inside.replace(true));
        if is_inside != Ok(false) {
            return;
        }
        let _ = quietly(|| {
            act(self);
            let endings = self.book(|book| book.sweep(&self.limits));
            held::carry_out(endings);
        });
        let _ = IS_INSIDE.try_with(|inside| inside.set(false));
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        let endings = self.book(Book::end_all);
        let _ = quietly(|| held::carry_out(endings));
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// The hooks behind the functions of this module.
static SHARED: LazyLock<Hooks> = LazyLock::new(Hooks::new);

macro_rules! hooks {
    ($($(#[$doc:meta])* $hook:ident($arguments:ident);)*) => {
        /// The names of the hooks, as a host registers them.
        pub const NAMES: &[&str] = &[$(stringify!($hook)),*];

        impl Hooks {
            $(
                $(#[$doc])*
                pub fn $hook(&self, told: $arguments) {
                    self.hook(|hooks| hooks.do_call(told));
                }
            )*

            /// Calls a hook by its name, with its arguments under the host's own names. A host that runs a
            /// command for each hook may put what it likes among `extra`.
            ///
            /// `false`: there is no such hook, and nothing is done.
            pub fn call(&self, hook: &str, arguments: &Value) -> bool {
                if !level_enabled!(Level::INFO) {
                    return NAMES.contains(&hook);
                }
                match hook {
                    $(stringify!($hook) => self.$hook($arguments::from_json(arguments)),)*
                    _ => return false,
                }
                true
            }
        }

        $(
            $(#[$doc])*
            ///
            /// On the hooks that the whole process shares; a host of several has [`Hooks`] of its own.
            pub fn $hook(told: $arguments) {
                SHARED.$hook(told);
            }
        )*
    };
}

/// Calls a hook by its name, on the hooks that the whole process shares; see [`Hooks::call`].
pub fn call(hook: &str, arguments: &Value) -> bool {
    SHARED.call(hook, arguments)
}

/// What is done with what a hook was told.
trait Do<T> {
    fn do_call(&self, told: T);
}

hooks! {
    /// A session begins.
    on_session_start(SessionStart);
    /// A turn ends. The session goes on.
    on_session_end(SessionEnd);
    /// The session ends.
    on_session_finalize(SessionFinalize);
    /// A turn begins.
    pre_llm_call(LlmCall);
    /// A turn has its answer; it ends with `on_session_end`, or where that is not told, when the next one
    /// begins or the session ends, as of now.
    post_llm_call(LlmAnswer);
    /// A model is about to be called.
    pre_api_request(ApiRequest);
    /// A model has answered.
    post_api_request(ApiAnswer);
    /// A model call failed. Another try, if there is one, begins with `pre_api_request`.
    api_request_error(ApiError);
    /// A tool is about to be called.
    pre_tool_call(ToolCall);
    /// A tool has been called.
    post_tool_call(ToolResult);
    /// A sub-agent begins.
    subagent_start(SubagentStart);
    /// A sub-agent is done.
    subagent_stop(SubagentStop);
    /// Somebody is asked for leave.
    pre_approval_request(ApprovalRequest);
    /// Somebody has answered.
    post_approval_response(ApprovalResponse);
}

/// Tells whom a hook speaks of.
macro_rules! whose {
    ($told:ident $(, $more:ident: $word:ident)?) => {
        Whose {
            session: spoken(&$told.session_id),
            task: spoken(&$told.task_id),
            turn: spoken(&$told.turn_id),
            $($more: spoken(&$told.$word),)?
            ..Whose::default()
        }
    };
}
use whose;

/// A word that says something.
fn spoken(word: &Option<String>) -> Option<&str> {
    word.as_deref()
        .map(str::trim)
        .filter(|word| !word.is_empty())
}

/// A stated number of seconds or milliseconds, as far as it can be one.
fn duration(number: Option<f64>, unit: Duration) -> Option<Duration> {
    let seconds = number? * unit.as_secs_f64();
    Duration::try_from_secs_f64(seconds).ok()
}
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// A text as it is, anything else as JSON.
fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
