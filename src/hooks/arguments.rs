//! What each hook is told, under the host's own names: as fields, by setters, or as JSON.

use std::time::SystemTime;

use serde_json::Value;

use super::reading;

macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $form:ident,)* })*) => {$(
        $(#[$doc])*
        ///
        /// Every field may be missing: what the host does not say is found out or left out.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: Option<arguments!(@type $form)>,)*
        }

        impl $name {
            /// Nothing said yet; the setters, or the fields, say it.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// Reads the arguments that a host passes as a JSON object. Names that Hermes does not know are
            /// passed over, and so is what is empty or no value of its kind.
            #[must_use]
            pub fn from_json(arguments: &Value) -> Self {
                Self {
                    $($field: reading::$form(arguments, stringify!($field)),)*
                }
            }

            $(
                $(#[$field_doc])*
                #[must_use]
                pub fn $field(mut self, $field: impl Into<arguments!(@type $form)>) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            )*
        }
    )*};
    (@type text) => { String };
    (@type json) => { Value };
    (@type int) => { i64 };
    (@type number) => { f64 };
    (@type seconds) => { f64 };
    (@type millis) => { f64 };
    (@type truth) => { bool };
    (@type time) => { SystemTime };
}

arguments! {
    /// A session begins: told once, at its first turn.
    SessionStart {
        /// The session.
        session_id: text,
        /// The work it goes on in; other hooks may know the session by it alone.
        task_id: text,
        /// The model it begins with.
        model: text,
        /// Where the user is: `cli`, `telegram`, `api`, ...
        platform: text,
    }
    /// One run of the conversation is over, which is to say one turn: told at the end of every turn.
    SessionEnd {
        /// The session.
        session_id: text,
        /// The work the turn was.
        task_id: text,
        /// The turn that ends; the session's current one where it is not said.
        turn_id: text,
        /// Whether the turn did what it was asked.
        completed: truth,
        /// Whether somebody stopped it.
        interrupted: truth,
        /// The model.
        model: text,
        /// Where the user is.
        platform: text,
        /// Why it ended, where the host says so.
        reason: text,
    }
    /// The session is over for good.
    SessionFinalize {
        /// The session.
        session_id: text,
        /// The work it went on in.
        task_id: text,
        /// Where the user is.
        platform: text,
        /// `shutdown`, `session_expired`, `new_session`, ...
        reason: text,
    }
    /// A turn begins: what the user said is about to be answered.
    LlmCall {
        /// The session.
        session_id: text,
        /// The work the turn is.
        task_id: text,
        /// The turn.
        turn_id: text,
        /// What the user said. *Content.*
        user_message: json,
        /// The messages so far. *Content*; not kept, for every model call has them.
        conversation_history: json,
        /// Whether it is the first of its session.
        is_first_turn: truth,
        /// The model.
        model: text,
        /// Where the user is.
        platform: text,
    }
    /// A turn has its answer. Not told where the turn is interrupted.
    LlmAnswer {
        /// The session.
        session_id: text,
        /// The work the turn is.
        task_id: text,
        /// The turn.
        turn_id: text,
        /// What the user said. *Content.*
        user_message: json,
        /// What the agent answered. *Content.*
        assistant_response: json,
        /// The messages so far. *Content*; not kept.
        conversation_history: json,
        /// The model.
        model: text,
        /// Where the user is.
        platform: text,
    }
    /// A model is about to be called.
    ApiRequest {
        /// The call. Told again with other words while it is open, it is the next try, and the one before
        /// is given up.
        api_request_id: text,
        /// The session.
        session_id: text,
        /// The work the call is part of.
        task_id: text,
        /// The turn it is part of.
        turn_id: text,
        /// The model that is asked.
        model: text,
        /// The provider's name.
        provider: text,
        /// Where the call goes. Userinfo, query and fragment are cut off before it is kept.
        base_url: text,
        /// The provider's interface: `chat_completions`, `responses`, ...
        api_mode: text,
        /// The call's number in its turn.
        api_call_count: int,
        /// How many messages are sent.
        message_count: int,
        /// How many tools are offered.
        tool_count: int,
        /// The length of what is sent, in tokens.
        approx_input_tokens: int,
        /// The length of what is sent, in characters.
        request_char_count: int,
        /// The longest answer that is wanted, in tokens.
        max_tokens: int,
        /// How often it was tried before.
        retry_count: int,
        /// When the call began: in JSON, seconds since the Unix epoch, or a text of RFC 3339.
        started_at: time,
        /// The request in the provider's wire shape. Its parameters are read, its messages are *content*.
        request: json,
        /// The messages alone. *Content.*
        request_messages: json,
    }
    /// A model has answered.
    ApiAnswer {
        /// The call.
        api_request_id: text,
        /// The session.
        session_id: text,
        /// The work the call is part of.
        task_id: text,
        /// The turn it is part of.
        turn_id: text,
        /// The model that was asked.
        model: text,
        /// The provider's name.
        provider: text,
        /// Where the call went.
        base_url: text,
        /// The provider's interface.
        api_mode: text,
        /// The call's number in its turn.
        api_call_count: int,
        /// How long it took, in seconds.
        api_duration: seconds,
        /// When it began.
        started_at: time,
        /// When it ended.
        ended_at: time,
        /// Why the model stopped, in the provider's word.
        finish_reason: text,
        /// The model that answered.
        response_model: text,
        /// The provider's id of the answer.
        response_id: text,
        /// What was used, in the host's shape or in a provider's.
        usage: json,
        /// How many messages were sent.
        message_count: int,
        /// How many tools were offered.
        tool_count: int,
        /// How long the answer is, in characters.
        assistant_content_chars: int,
        /// How many tools the model asked for.
        assistant_tool_call_count: int,
        /// What the call cost, in US dollars, where the host knows.
        cost_usd: number,
        /// How often it was tried before.
        retry_count: int,
        /// The answer in the provider's wire shape. Its messages are *content*.
        response: json,
        /// What the model said. *Content.*
        assistant_message: json,
    }
    /// A model call failed; another try may follow.
    ApiError {
        /// The call.
        api_request_id: text,
        /// The session.
        session_id: text,
        /// The work the call is part of.
        task_id: text,
        /// The turn it is part of.
        turn_id: text,
        /// The model that was asked.
        model: text,
        /// The provider's name.
        provider: text,
        /// Where the call went.
        base_url: text,
        /// The provider's interface.
        api_mode: text,
        /// The call's number in its turn.
        api_call_count: int,
        /// How long it took, in seconds.
        api_duration: seconds,
        /// When it began.
        started_at: time,
        /// When it failed.
        ended_at: time,
        /// The status of the HTTP answer.
        status_code: int,
        /// How often it was tried before.
        retry_count: int,
        /// How often it may be tried.
        max_retries: int,
        /// Whether it may be tried again.
        retryable: truth,
        /// The host's word for what happened.
        reason: text,
        /// The error: `{"type": .., "message": ..}`, or a text.
        error: json,
        /// The error's type, where `error` does not say it.
        error_type: text,
        /// The error's text, where `error` does not say it. Redacted and cut before it is kept.
        error_message: text,
    }
    /// A tool is about to be called.
    ToolCall {
        /// The tool.
        tool_name: text,
        /// The id that the model gave the call: what keeps two calls of one tool apart.
        tool_call_id: text,
        /// The session.
        session_id: text,
        /// The work the call is part of. Another one than the session's for sub-agents.
        task_id: text,
        /// The turn it is part of.
        turn_id: text,
        /// The model call that asked for it.
        api_request_id: text,
        /// What the tool is called with. *Content.*
        args: json,
        /// When it began.
        started_at: time,
    }
    /// A tool has been called.
    ToolResult {
        /// The tool.
        tool_name: text,
        /// The id that the model gave the call.
        tool_call_id: text,
        /// The session.
        session_id: text,
        /// The work the call is part of.
        task_id: text,
        /// The turn it is part of.
        turn_id: text,
        /// The model call that asked for it.
        api_request_id: text,
        /// What the tool was called with. *Content.*
        args: json,
        /// What it gave. *Content*; whether it tells of a failure is found out in any case.
        result: json,
        /// When it began.
        started_at: time,
        /// When it ended.
        ended_at: time,
        /// How long it took, in milliseconds.
        duration_ms: millis,
        /// `ok`, `error`, `timeout`, `blocked`, `cancelled`: beats what the result looks like, unless it is `ok`.
        status: text,
        /// The type of the error.
        error_type: text,
        /// The text of the error. Redacted and cut before it is kept.
        error_message: text,
    }
    /// A sub-agent begins.
    SubagentStart {
        /// The session that asks for it.
        parent_session_id: text,
        /// The turn that asks for it.
        parent_turn_id: text,
        /// The sub-agent that asks for it, where one does.
        parent_subagent_id: text,
        /// The sub-agent's own session: hooks that name it tell of the sub-agent.
        child_session_id: text,
        /// The sub-agent.
        child_subagent_id: text,
        /// What it is: its name in the tree.
        child_role: text,
        /// What it is asked to do. *Content.*
        child_goal: json,
        /// The model it thinks with.
        model: text,
        /// When it began.
        started_at: time,
    }
    /// A sub-agent is done.
    SubagentStop {
        /// The session that asked for it.
        parent_session_id: text,
        /// The turn that asked for it.
        parent_turn_id: text,
        /// The sub-agent that asked for it, where one did.
        parent_subagent_id: text,
        /// The sub-agent's own session.
        child_session_id: text,
        /// The sub-agent.
        child_subagent_id: text,
        /// What it is.
        child_role: text,
        /// `completed`, `failed`, `error`, `interrupted`, `timeout`, ...
        child_status: text,
        /// What it found. *Content.*
        child_summary: json,
        /// What went wrong. Redacted and cut before it is kept.
        error_message: text,
        /// When it ended.
        ended_at: time,
        /// How long it took, in milliseconds.
        duration_ms: millis,
    }
    /// Somebody is asked for leave.
    ApprovalRequest {
        /// The session.
        session_id: text,
        /// The session, as the host's approvals name it.
        session_key: text,
        /// The work it is part of.
        task_id: text,
        /// The turn it is part of.
        turn_id: text,
        /// The tool call that waits.
        tool_call_id: text,
        /// What leave is asked for: a pattern, the tool's name.
        pattern_key: text,
        /// Where it is asked: `cli`, `gateway`, ...
        surface: text,
        /// What would be run. *Content.*
        command: json,
        /// Why leave is asked. *Content.*
        description: json,
        /// When it was asked.
        started_at: time,
    }
    /// Somebody has answered, or did not.
    ApprovalResponse {
        /// The session.
        session_id: text,
        /// The session, as the host's approvals name it.
        session_key: text,
        /// The work it is part of.
        task_id: text,
        /// The turn it is part of.
        turn_id: text,
        /// The tool call that waited.
        tool_call_id: text,
        /// What leave was asked for.
        pattern_key: text,
        /// Where it was asked.
        surface: text,
        /// What would be run. *Content.*
        command: json,
        /// Why leave was asked. *Content.*
        description: json,
        /// What was decided: `once`, `session`, `always`, `deny`, `timeout`, ...
        choice: text,
        /// When it was asked.
        started_at: time,
        /// When it was answered.
        ended_at: time,
        /// How long it took, in milliseconds.
        duration_ms: millis,
    }
}
