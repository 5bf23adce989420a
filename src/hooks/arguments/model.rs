//! What is told of model calls.

arguments! {
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
}
