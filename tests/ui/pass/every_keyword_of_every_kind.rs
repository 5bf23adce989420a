//! Each kind with all it takes.
#![deny(warnings)]

struct Api {
    model: String,
    base_url: String,
    provider: Option<&'static str>,
}

impl Api {
    #[hermes::chat(
        model = self.model,
        provider = self.provider,
        base_url = self.base_url,
        api_mode = "responses",
        message_count = messages.len(),
        tool_count = 2,
        approx_input_tokens = 100_u64,
        retry_count = 0,
        request = request,
        response,
    )]
    fn chat(&self, messages: &[&str], request: &serde_json::Value) -> serde_json::Value {
        let _ = messages;
        request.clone()
    }

    #[hermes::embedding(
        model = self.model,
        provider = "openai",
        base_url = format!("{}/v1", self.base_url),
        dimensions = 256,
        input = texts,
        response
    )]
    fn embed(&self, texts: &[&str]) -> serde_json::Value {
        serde_json::json!({ "data": texts })
    }
}

#[hermes::session(id = id, model = "m", platform = "cli", entrypoint = "cli", agent = "hermes", role = "lead")]
fn session(id: &str) -> bool {
    id.is_empty()
}

#[hermes::agent(
    name = "researcher",
    id = "a-1",
    role = "critic",
    description = "finds things out",
    model = "m",
    goal = "a report"
)]
fn agent() {}

#[hermes::turn(index = 1, model = "m", platform = "cli", user_message = text, response)]
fn turn(text: &str) -> String {
    text.to_owned()
}

#[hermes::instrument(step)]
fn step() {}

#[hermes::tool(
    name = "read_file",
    call_id = id,
    tool_type = "function",
    description = "reads a file",
    backend = "local",
    args = path,
    result
)]
fn tool(id: &str, path: &str) -> String {
    format!("{id} {path}")
}

#[hermes::retriever(
    source = "handbook",
    provider = "qdrant",
    model = "m",
    base_url = "http://localhost:6333",
    top_k = 5,
    query = query,
    result
)]
fn retrieve(query: &str) -> Vec<String> {
    vec![query.to_owned()]
}

#[hermes::reranker(
    model = "m",
    provider = "cohere",
    base_url = "https://api.cohere.com",
    top_k = 3,
    query = query,
    result
)]
fn rerank(query: &str) -> Vec<String> {
    vec![query.to_owned()]
}

#[hermes::approval(subject = "shell", surface = "terminal", request = command)]
fn approve(command: &str) -> bool {
    command.is_empty()
}

fn main() {
    let api = Api {
        model: "m".to_owned(),
        base_url: "http://localhost:8080".to_owned(),
        provider: Some("openai"),
    };
    assert!(api.chat(&["hi"], &serde_json::Value::Null).is_null());
    assert_eq!(api.embed(&["a", "b"])["data"][1], "b");
    assert!(session(""));
    agent();
    step();
    assert_eq!(turn("a"), "a");
    assert_eq!(tool("1", "a"), "1 a");
    assert_eq!(retrieve("q"), ["q"]);
    assert_eq!(rerank("q"), ["q"]);
    assert!(approve(""));
}
