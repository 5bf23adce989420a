//! What can be said of a held span at its start: each kind takes the facts of its own.

use std::borrow::Cow;

use serde::Serialize;

use super::kind::{Agent, Approval, Chat, Embedding, Reranker, Retriever, Session, Tool, Turn};
use super::start::Start;
use crate::semconv::Fact;

macro_rules! facts {
    ($($kind:ident { $($(#[$doc:meta])* $method:ident: $form:ident $fact:ident;)* })*) => {$(
        impl<'a> Start<'a, $kind> {
            $(facts!(@ $(#[$doc])* $method $form $fact);)*
        }
    )*};
    (@ $(#[$doc:meta])* $method:ident text $fact:ident) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl Into<Cow<'a, str>>) -> Self {
            self.text(Fact::$fact, $method)
        }
    };
    (@ $(#[$doc:meta])* $method:ident count $fact:ident) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl TryInto<i64>) -> Self {
            self.count(Fact::$fact, $method)
        }
    };
    (@ $(#[$doc:meta])* $method:ident content $fact:ident) => {
        $(#[$doc])*
        ///
        /// *Content.* A text is kept as it is, anything else as JSON.
        pub fn $method(self, $method: impl Serialize + 'a) -> Self {
            self.content(Fact::$fact, $method)
        }
    };
    (@ $(#[$doc:meta])* $method:ident url $fact:ident) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl Into<Cow<'a, str>>) -> Self {
            self.url($method)
        }
    };
}

facts! {
    Session {
        /// The model that the session begins with.
        model: text Model;
        /// Where the user is: `cli`, `telegram`, `api`, ...
        platform: text Platform;
        /// How the session came in, where the platform does not tell.
        entrypoint: text Entrypoint;
        /// The agent's name.
        agent: text AgentName;
        /// What the agent is in a group of them.
        role: text AgentRole;
    }
    Agent {
        /// The model that the agent begins with.
        model: text Model;
        /// What the agent is for.
        description: text AgentDescription;
        /// The id of this agent, among others of its name.
        id: text AgentId;
        /// What it is in the group: `researcher`, `leaf`, ...
        role: text AgentRole;
        /// What it is to do.
        goal: content AgentGoal;
    }
    Turn {
        /// Its number in the session, from 1; counted where it is not stated.
        index: count TurnIndex;
        /// The model that the turn begins with.
        model: text Model;
        /// Where the user is.
        platform: text Platform;
        /// What the user said.
        user_message: content UserMessage;
    }
    Chat {
        /// The provider's name: `openai`, `anthropic`, ...
        provider: text Provider;
        /// Where the call goes. Userinfo, query and fragment are cut off before it is kept.
        base_url: url BaseUrl;
        /// The provider's interface: `chat_completions`, `responses`, ...
        api_mode: text ApiMode;
        /// How many messages are sent.
        message_count: count MessageCount;
        /// How many tools are offered.
        tool_count: count ToolCount;
        /// The length of what is sent in tokens, as far as the program knows.
        approx_input_tokens: count ApproxInputTokens;
        /// How often the call was tried before.
        retry_count: count RetryCount;
    }
    Tool {
        /// The id that the model gave the call.
        call_id: text ToolCallId;
        /// `function` where it is not stated.
        tool_type: text ToolType;
        /// What the tool is for.
        description: text ToolDescription;
        /// What runs the tool: a server's name, `docker`, ...
        backend: text ToolBackend;
        /// What the tool is called with.
        args: content ToolArguments;
    }
    Embedding {
        /// The provider's name.
        provider: text Provider;
        /// Where the call goes. Userinfo, query and fragment are cut off before it is kept.
        base_url: url BaseUrl;
        /// How many numbers a vector has.
        dimensions: count EmbeddingDimensions;
        /// What is embedded.
        input: content InputMessages;
    }
    Retriever {
        /// The model that is asked.
        model: text RequestModel;
        /// The provider's name.
        provider: text Provider;
        /// Where the call goes. Userinfo, query and fragment are cut off before it is kept.
        base_url: url BaseUrl;
        /// How many documents are wanted.
        top_k: count TopK;
        /// What is looked for.
        query: content Query;
    }
    Reranker {
        /// The provider's name.
        provider: text Provider;
        /// Where the call goes. Userinfo, query and fragment are cut off before it is kept.
        base_url: url BaseUrl;
        /// How many documents are wanted.
        top_k: count TopK;
        /// What is looked for.
        query: content Query;
    }
    Approval {
        /// Where somebody is asked: `cli`, `telegram`, ...
        surface: text ApprovalSurface;
        /// What they are shown.
        request: content ApprovalRequest;
    }
}

impl<'a> Start<'a, Chat> {
    /// The request in a provider's wire shape: message and tool counts and parameters are read from
    /// it, and its messages where content is captured. What is stated by itself stands.
    pub fn request(self, request: impl Serialize + 'a) -> Self {
        self.later(move |_, call| call.request(|| serde_json::to_value(&request).ok()))
    }
}
