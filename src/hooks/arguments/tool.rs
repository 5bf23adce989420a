//! What is told of tools, and of the leave that they wait for.

arguments! {
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
