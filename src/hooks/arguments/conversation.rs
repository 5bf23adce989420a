//! What is told of sessions, their turns and the sub-agents in them.

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
}
