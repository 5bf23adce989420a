//! The attributes of hermes: they turn a function of an agent into a span of its trace.
//!
//! Use them through the `hermes` crate, which re-exports them: `#[hermes::tool]`, not
//! `#[hermes_macros::tool]`. What they have in common is told at [`instrument`].

use proc_macro::TokenStream;

use crate::keywords::Kind;

mod keywords;
mod args;
mod function;
mod validate;
mod future;
mod expand;

/// Records each call of the function as a span of the kind that is named first.
///
/// ```
/// #[hermes::instrument(tool, name = "read_file", args = path, result)]
/// fn read_file(path: &str) -> std::io::Result<String> {
///     std::fs::read_to_string(path)
/// }
/// ```
///
/// The kinds are `session`, `agent`, `turn`, `step`, `chat`, `tool`, `embedding`, `retriever`,
/// `reranker` and `approval`; all but `step` have a short form of the same name, and
/// `#[hermes::tool(..)]` is `#[hermes::instrument(tool, ..)]`. Without a kind the span is a step,
/// which carries the name of its function and takes no arguments but the common ones:
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// # struct User { id: u64 }
/// # struct Memory { of: u64 }
/// #[hermes::instrument]
/// async fn load_memory(user: &User) -> Result<Memory, Failure> {
///     Ok(Memory { of: user.id })
/// }
///
/// #[hermes::instrument(level = "debug", fields(user.id = user.id))]
/// async fn forget(user: &User) -> Result<(), Failure> {
///     println!("forgetting {}", user.id);
///     Ok(())
/// }
/// ```
///
/// # What it stands on
///
/// Functions and methods, sync and `async`, those that return `impl Future<..>` or
/// `Pin<Box<dyn Future<..>>>`, and so the methods of `#[async_trait]`. Where a future is returned,
/// the span opens at the call and ends with the future; in an `async fn` it opens at the first poll.
/// An `Err` that is returned, a panic and a future that is dropped before its end are recorded by
/// themselves, and change nothing for the caller.
///
/// # Values
///
/// Nothing is recorded that is not named. A value is given as `key = value`, as `key = %value` by its
/// `Display`, as `key = ?value` by its `Debug`, or as a bare `key`, which means the variable of that
/// name. Values are looked at before the body runs, and only if the span is enabled.
///
/// Most arguments become fields of the span, which every layer of the program sees. Those marked
/// *content* never do: they go to the hermes layer alone, and there only if content is captured.
///
/// # Streams
///
/// `stream`, which all kinds take but `embedding` and `reranker`, stands on functions that return a stream: the span stays
/// open past the return, until the stream has ended or is dropped. It is entered whenever the stream is polled;
/// the items, which pass through untouched, are read for usage, model, id and finish reasons, counted, and the time to the
/// first of them is recorded. An item that is an `Err` fails the span, a stream that is dropped early is cancelled.
///
/// ```
/// use futures_core::Stream;
/// # #[derive(Debug)] struct Failure;
/// # fn connect() -> Result<impl Stream<Item = Result<String, Failure>>, Failure> { Err::<Empty, _>(Failure) }
/// # struct Empty;
/// # impl Stream for Empty {
/// #     type Item = Result<String, Failure>;
/// #     fn poll_next(
/// #         self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>,
/// #     ) -> std::task::Poll<Option<Self::Item>> { std::task::Poll::Ready(None) }
/// # }
///
/// #[hermes::chat(model = "gpt-4o", stream)]
/// fn complete() -> Result<impl Stream<Item = Result<String, Failure>>, Failure> {
///     connect()
/// }
/// ```
///
/// The type is `impl Stream<..>`, `Pin<Box<dyn Stream<..>>>` under whatever name, `Box<dyn Stream<..> + Unpin>`, or a `Result` of
/// one of them; the function may be `async`, or return a future of it.
///
/// # Arguments of every kind
///
/// | argument | meaning |
/// |---|---|
/// | `span_name = "..."` | the span's name in the program, in place of the kind's own |
/// | `target = "..."` | the span's target, in place of the module's path |
/// | `level = "debug"` | also `1` (trace) to `5` (error), or a `tracing::Level`; `"info"` if not given |
/// | `fields(...)` | more fields, in tracing's own grammar |
/// | `parent = ...` | the span's parent, in place of the current span: as in tracing, or a `TraceContext` of another process; looked at in any case |
/// | `follows_from = ...` | the spans it follows from, as tracing's `instrument` takes them, or `TraceContext`s |
/// | `crate = path` | where the hermes crate is, if not at `::hermes` |
///
/// A mistake in the arguments is a compile error that says what to write instead.
#[proc_macro_attribute]
pub fn instrument(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(None, arguments.into(), &item.into()).into()
}

/// Records each call of the function as a session: one run of an agent.
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// #[hermes::session(id, model = "gpt-4o", platform = "cli")]
/// async fn run(id: &str) -> Result<(), Failure> {
///     println!("session {id}");
///     Ok(())
/// }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `id` | the session's own id; required |
/// | `model` | the model the session begins with |
/// | `platform` | where the user is: `cli`, `telegram`, `api`, ... |
/// | `entrypoint` | how the session came in, where the platform does not tell |
/// | `agent` | the agent's name |
/// | `role` | what it is to the session around it, where there is one |
/// | `stream` | alone: the function returns a stream, and the span goes on with it |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn session(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Session), arguments.into(), &item.into()).into()
}

/// Records each call of the function as the work of a sub-agent inside a session.
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// # struct Report { title: String }
/// # struct Agent { model: String, base_url: String }
/// # impl Agent {
/// #[hermes::agent(name = "researcher", model = self.model)]
/// async fn research(&self, question: &str) -> Result<Report, Failure> {
///     Ok(Report { title: question.to_owned() })
/// }
/// # }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `name` | the agent's name; the function's name if not given |
/// | `id` | the agent's own id |
/// | `role` | what it is in the group: `planner`, `critic`, ... |
/// | `description` | what the agent is for |
/// | `model` | the model it thinks with |
/// | `goal` | what it is asked to do; *content* |
/// | `stream` | alone: the function returns a stream, and the span goes on with it |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn agent(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Agent), arguments.into(), &item.into()).into()
}

/// Records each call of the function as a turn: one message of the user, answered.
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// # struct Agent { model: String, base_url: String }
/// # impl Agent {
/// #[hermes::turn(user_message = text, response)]
/// async fn answer(&self, text: &str) -> Result<String, Failure> {
///     Ok(format!("you said: {text}"))
/// }
/// # }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `index` | which turn of the session, from 1; counted if not given |
/// | `model` | the model that answers |
/// | `platform` | where the user is |
/// | `user_message` | what the user wrote; *content* |
/// | `response` | alone: keep what the function returns as the answer; *content* |
/// | `stream` | alone: the function returns a stream, and the span goes on with it |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn turn(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Turn), arguments.into(), &item.into()).into()
}

/// Records each call of the function as a model call.
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// # fn ask(_: &str, request: &serde_json::Value) -> Result<serde_json::Value, Failure> { Ok(request.clone()) }
/// # struct Agent { model: String, base_url: String }
/// # impl Agent {
/// #[hermes::chat(model = self.model, provider = "openai", base_url = self.base_url, request, response)]
/// async fn complete(&self, request: &serde_json::Value) -> Result<serde_json::Value, Failure> {
///     ask(&self.base_url, request)
/// }
/// # }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `model` | the model as requested |
/// | `provider` | who serves it: `openai`, `anthropic`, ... |
/// | `base_url` | where it is served; host and port become fields, the rest is *content*. Looked at once for each of the three |
/// | `api_mode` | which of the provider's interfaces |
/// | `message_count` | messages in the request |
/// | `tool_count` | tools offered in the request |
/// | `approx_input_tokens` | the size of the request, as far as it is known before |
/// | `retry_count` | how many attempts came before this one |
/// | `request` | the request itself, read in the wire shapes of the large providers; *content* but for its counts and parameters |
/// | `response` | alone: read usage, model, id and finish reasons from what the function returns |
/// | `stream` | alone: the function returns a stream, and the span goes on with it |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn chat(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Chat), arguments.into(), &item.into()).into()
}

/// Records each call of the function as the execution of a tool.
///
/// ```
/// #[hermes::tool(call_id = id, args = path, result)]
/// fn read_file(id: &str, path: &str) -> std::io::Result<String> {
///     std::fs::read_to_string(path)
/// }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `name` | the tool's name, as the model calls it; the function's name if not given |
/// | `call_id` | the id the model gave this call |
/// | `tool_type` | `function` if not given |
/// | `description` | what the tool is for |
/// | `backend` | what runs it: a server, a sandbox, ... |
/// | `args` | what the model passed; *content* |
/// | `result` | alone: keep what the function returns; *content* |
/// | `stream` | alone: the function returns a stream, and the span goes on with it |
///
/// Whether the tool succeeded is found in what it returns, with or without `result`.
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn tool(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Tool), arguments.into(), &item.into()).into()
}

/// Records each call of the function as a call of an embedding model.
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// # struct Agent { model: String, base_url: String }
/// # impl Agent {
/// #[hermes::embedding(model = "text-embedding-3-small", dimensions = 256, input = text)]
/// async fn embed(&self, text: &str) -> Result<Vec<f32>, Failure> {
///     Ok(text.bytes().map(f32::from).collect())
/// }
/// # }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `model` | the model as requested |
/// | `provider` | who serves it |
/// | `base_url` | where it is served; host and port become fields, the rest is *content* |
/// | `dimensions` | the length of the vectors |
/// | `input` | what is embedded; *content* |
/// | `response` | alone: read usage and model from what the function returns |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn embedding(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Embedding), arguments.into(), &item.into()).into()
}

/// Records each call of the function as a search for documents.
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// # struct Document { text: String }
/// # struct Agent { model: String, base_url: String }
/// # impl Agent {
/// #[hermes::retriever(source = "handbook", top_k = 5, query = question)]
/// async fn search(&self, question: &str) -> Result<Vec<Document>, Failure> {
///     Ok(vec![Document { text: question.to_owned() }])
/// }
/// # }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `source` | what is searched |
/// | `provider` | who serves it |
/// | `model` | the model it searches with |
/// | `base_url` | where it is served; host and port become fields, the rest is *content* |
/// | `top_k` | how many documents are asked for |
/// | `query` | what is searched for; *content* |
/// | `result` | alone: keep what the function returns; *content* |
/// | `stream` | alone: the function returns a stream, and the span goes on with it |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn retriever(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Retriever), arguments.into(), &item.into()).into()
}

/// Records each call of the function as a new ranking of documents.
///
/// ```
/// # type Failure = Box<dyn std::error::Error>;
/// # struct Document { text: String }
/// # struct Agent { model: String, base_url: String }
/// # impl Agent {
/// #[hermes::reranker(model = "rerank-v3.5", top_k = 3, query = question)]
/// async fn rerank(&self, question: &str, found: Vec<Document>) -> Result<Vec<Document>, Failure> {
///     Ok(found)
/// }
/// # }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `model` | the model as requested |
/// | `provider` | who serves it |
/// | `base_url` | where it is served; host and port become fields, the rest is *content* |
/// | `top_k` | how many documents are kept |
/// | `query` | what they are ranked for; *content* |
/// | `result` | alone: keep what the function returns; *content* |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn reranker(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Reranker), arguments.into(), &item.into()).into()
}

/// Records each call of the function as a wait for somebody's leave: no work, and counted as none.
///
/// ```
/// # async fn ask_on_terminal(_: &str) -> bool { true }
/// #[hermes::approval(subject = "shell", surface = "terminal", request = command)]
/// async fn may_run(command: &str) -> bool {
///     let may = ask_on_terminal(command).await;
///     hermes::current().approval(if may { "approved" } else { "denied" });
///     may
/// }
/// ```
///
/// The time is left out of the durations of the tool and the turn around it (`hermes.wait_ms` says how
/// long it was), and what was decided stands with the tool.
///
/// | argument | meaning |
/// |---|---|
/// | `subject` | what leave is asked for: the tool's name, a pattern |
/// | `surface` | where it is asked: `terminal`, `telegram`, ... |
/// | `request` | what is shown to whoever decides; *content* |
///
/// The arguments of every kind are told at [`macro@instrument`].
#[proc_macro_attribute]
pub fn approval(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::function(Some(Kind::Approval), arguments.into(), &item.into()).into()
}
