//! Which requests are calls to a model, and whose: by path, by the shape of the body, by host.

use std::borrow::Cow;

use http::Method;
use serde_json::Value;

use super::opening::Head;
use crate::semconv::Kind;

/// Which requests count as model calls, beside those that every client recognises.
///
/// Recognised is a `POST` whose path ends like that of a known API, and whose body, where it can be read, looks
/// like it:
///
/// | API | path ends in | body has | span |
/// |---|---|---|---|
/// | `OpenAI` and compatible | `/chat/completions` | `messages` | chat |
/// | | `/responses` | `model` or `prompt`, and `input`, `prompt`, `conversation` or `previous_response_id` | chat |
/// | | `/completions` | `model` or `agent_id`, and `prompt` or `messages` | chat |
/// | | `/embeddings` | `input` | embedding |
/// | Anthropic, also on Vertex AI | `/messages`, `:rawPredict`, `:streamRawPredict` | `messages`, `max_tokens` | chat |
/// | Gemini, also on Vertex AI | `:generateContent`, `:streamGenerateContent` | `contents` | chat |
/// | | `:embedContent`, `:batchEmbedContents` | `content`, `requests` | embedding |
/// | Ollama | `/api/chat`, `/api/generate` | `model`, and `messages` or `prompt` | chat |
/// | | `/api/embed`, `/api/embeddings` | `model`, and `input` or `prompt` | embedding |
/// | Bedrock | `/model/{id}/converse`, `/model/{id}/converse-stream` | `messages` | chat |
/// | | `/model/{id}/invoke`, `…/invoke-with-response-stream` | `messages`, `prompt` or `inputText` | chat |
/// | watsonx.ai | `/text/chat`, `/text/chat_stream` | `model_id`, `messages` | chat |
/// | Cohere and compatible | `/chat` | `model`, and `messages` or `message` | chat |
/// | | `/embed` | `model`, and `texts`, `inputs` or `input` | embedding |
/// | | `/rerank` | `query`, and `documents` or `texts` | reranker |
///
/// Where the body is a stream of its own, larger than four mebibytes, or not JSON, the first of each group of
/// paths that nobody else uses (`/chat/completions`, `:generateContent`, `/model/{id}/converse`, ...) is enough; everything
/// else passes untouched.
///
/// ```
/// use hermes::{Kind, client::Endpoints};
///
/// let endpoints = Endpoints::new()
///     .provider("openrouter")              // instead of what host and path say
///     .path("/internal/ask", Kind::Chat);  // a gateway's own path, in any of the known wire shapes
/// # let _ = endpoints;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    provider: Option<String>,
    paths: Vec<(String, Kind)>,
    keeps_headers: bool,
}

impl Endpoints {
    /// What every client recognises.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The provider of every request, where host and path would say another or none.
    #[must_use]
    pub fn provider(mut self, provider: impl Into<String>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Another path whose `POST`s are calls of this kind ([`Kind::Chat`], [`Kind::Embedding`] or
    /// [`Kind::Reranker`]; any other is taken for a chat). The end of the path is compared.
    #[must_use]
    pub fn path(mut self, ending: impl Into<String>, kind: Kind) -> Self {
        self.paths.push((ending.into(), kind));
        self
    }

    /// Sends no `traceparent` with the requests.
    #[must_use]
    pub fn without_traceparent(mut self) -> Self {
        self.keeps_headers = true;
        self
    }

    pub(super) fn sends_traceparent(&self) -> bool {
        !self.keeps_headers
    }

    /// Whether it is worth looking at the body of the request.
    pub(super) fn may_be_at(&self, head: Head<'_>) -> bool {
        let path = head.uri.path().trim_end_matches('/');
        let mut endings = APIS.iter().map(|api| api.ending);
        let mut own = self.paths.iter().map(|(ending, _)| ending.as_str());
        head.method == Method::POST
            && (endings.any(|ending| path.ends_with(ending))
                || own.any(|ending| path.ends_with(ending)))
    }

    /// Recognises a `POST`. `body` is `None` where it could not be read.
    pub(super) fn recognize(
        &self,
        host: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Option<Recognized> {
        let path = path.trim_end_matches('/');
        let own = self.paths.iter().find(|(ending, _)| path.ends_with(ending));
        let (kind, api, ending) = if let Some((ending, kind)) = own {
            (*kind, None, ending.as_str())
        } else {
            let api = APIS.iter().find(|api| api.is_at(host, path, body))?;
            (api.kind, Some(api), api.ending)
        };
        let provider = match (&self.provider, of_host(host, path), api) {
            (Some(provider), _, _) => Cow::Owned(provider.clone()),
            (None, Some(provider), _) => Cow::Borrowed(provider),
            (None, None, Some(api)) => Cow::Borrowed(api.provider),
            (None, None, None) => Cow::Borrowed(""),
        };
        let told = |key: &str| body.and_then(|body| body.get(key));
        let model = ["model", "model_id"].iter().find_map(|key| told(key));
        let model = model.and_then(Value::as_str).map(|model| {
            let id = model.strip_prefix("models/").unwrap_or(model);
            id.to_owned()
        });
        Some(Recognized {
            kind,
            provider,
            model: model.or_else(|| model_in(path)),
            is_streaming: told("stream")
                .and_then(Value::as_bool)
                .unwrap_or(api.is_some_and(|api| api.is_streaming)),
            base_path: path.strip_suffix(ending).unwrap_or(path).to_owned(),
        })
    }
}

/// A request that is a call to a model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Recognized {
    pub(super) kind: Kind,
    /// Empty where nobody knows.
    pub(super) provider: Cow<'static, str>,
    pub(super) model: Option<String>,
    pub(super) is_streaming: bool,
    /// The path less what the API adds to the base URL.
    pub(super) base_path: String,
}

struct Api {
    ending: &'static str,
    kind: Kind,
    /// Whose API it is, whoever else speaks it.
    provider: &'static str,
    /// Whether the path alone tells.
    is_telling: bool,
    /// Whether it streams unless told otherwise.
    is_streaming: bool,
    /// One of each group of fields, as `a|b`.
    fields: &'static [&'static str],
}

impl Api {
    fn is_at(&self, host: &str, path: &str, body: Option<&Value>) -> bool {
        if !path.ends_with(self.ending) {
            return false;
        }
        // Bedrock's paths end in plain words.
        if self.provider == BEDROCK && !path.contains("/model/") {
            return false;
        }
        let Some(body) = body else {
            return self.is_telling || of_host(host, path).is_some();
        };
        let has = |field: &str| body.get(field).is_some_and(|value| !value.is_null());
        self.fields.iter().all(|group| group.split('|').any(has))
    }
}

const OPENAI: &str = "openai";
const ANTHROPIC: &str = "anthropic";
const GEMINI: &str = "gcp.gemini";
const VERTEX: &str = "gcp.vertex_ai";
const BEDROCK: &str = "aws.bedrock";
const OLLAMA: &str = "ollama";
const COHERE: &str = "cohere";
const WATSONX: &str = "ibm.watsonx.ai";

#[rustfmt::skip]
const APIS: &[Api] = &[
    Api { ending: "/chat/completions",            kind: Kind::Chat,      provider: OPENAI,    is_telling: true,  is_streaming: false, fields: &["messages"] },
    Api { ending: "/completions",                 kind: Kind::Chat,      provider: OPENAI,    is_telling: false, is_streaming: false, fields: &["model|agent_id", "prompt|messages"] },
    Api { ending: "/responses",                   kind: Kind::Chat,      provider: OPENAI,    is_telling: false, is_streaming: false, fields: &["model|prompt", "input|prompt|conversation|previous_response_id"] },
    Api { ending: "/messages",                    kind: Kind::Chat,      provider: ANTHROPIC, is_telling: false, is_streaming: false, fields: &["messages", "max_tokens"] },
    Api { ending: ":rawPredict",                  kind: Kind::Chat,      provider: VERTEX,    is_telling: false, is_streaming: false, fields: &["messages"] },
    Api { ending: ":streamRawPredict",            kind: Kind::Chat,      provider: VERTEX,    is_telling: false, is_streaming: true,  fields: &["messages"] },
    Api { ending: ":generateContent",             kind: Kind::Chat,      provider: GEMINI,    is_telling: true,  is_streaming: false, fields: &["contents|request"] },
    Api { ending: ":streamGenerateContent",       kind: Kind::Chat,      provider: GEMINI,    is_telling: true,  is_streaming: true,  fields: &["contents|request"] },
    Api { ending: "/api/chat",                    kind: Kind::Chat,      provider: OLLAMA,    is_telling: false, is_streaming: true,  fields: &["model", "messages"] },
    Api { ending: "/api/generate",                kind: Kind::Chat,      provider: OLLAMA,    is_telling: false, is_streaming: true,  fields: &["model", "prompt"] },
    Api { ending: "/converse",                    kind: Kind::Chat,      provider: BEDROCK,   is_telling: true,  is_streaming: false, fields: &["messages"] },
    Api { ending: "/converse-stream",             kind: Kind::Chat,      provider: BEDROCK,   is_telling: true,  is_streaming: true,  fields: &["messages"] },
    Api { ending: "/invoke",                      kind: Kind::Chat,      provider: BEDROCK,   is_telling: false, is_streaming: false, fields: &["messages|prompt|inputText"] },
    Api { ending: "/invoke-with-response-stream", kind: Kind::Chat,      provider: BEDROCK,   is_telling: false, is_streaming: true,  fields: &["messages|prompt|inputText"] },
    Api { ending: "/text/chat",                   kind: Kind::Chat,      provider: WATSONX,   is_telling: false, is_streaming: false, fields: &["model_id", "messages"] },
    Api { ending: "/text/chat_stream",            kind: Kind::Chat,      provider: WATSONX,   is_telling: false, is_streaming: true,  fields: &["model_id", "messages"] },
    Api { ending: "/chat",                        kind: Kind::Chat,      provider: COHERE,    is_telling: false, is_streaming: false, fields: &["model", "messages|message"] },
    Api { ending: "/embeddings",                  kind: Kind::Embedding, provider: OPENAI,    is_telling: true,  is_streaming: false, fields: &["input"] },
    Api { ending: "/api/embeddings",              kind: Kind::Embedding, provider: OLLAMA,    is_telling: true,  is_streaming: false, fields: &["model", "prompt"] },
    Api { ending: "/api/embed",                   kind: Kind::Embedding, provider: OLLAMA,    is_telling: true,  is_streaming: false, fields: &["model", "input"] },
    Api { ending: ":embedContent",                kind: Kind::Embedding, provider: GEMINI,    is_telling: true,  is_streaming: false, fields: &["content"] },
    Api { ending: ":batchEmbedContents",          kind: Kind::Embedding, provider: GEMINI,    is_telling: true,  is_streaming: false, fields: &["requests"] },
    Api { ending: "/embed",                       kind: Kind::Embedding, provider: COHERE,    is_telling: false, is_streaming: false, fields: &["model", "texts|inputs|input"] },
    Api { ending: "/rerank",                      kind: Kind::Reranker,  provider: COHERE,    is_telling: false, is_streaming: false, fields: &["query", "documents|texts"] },
];

/// The end of a host's name, and who answers there.
#[rustfmt::skip]
const HOSTS: &[(&str, &str)] = &[
    ("api.openai.com",                    OPENAI),
    ("openai.azure.com",                  "azure.ai.openai"),
    ("services.ai.azure.com",             "azure.ai.inference"),
    ("inference.ai.azure.com",            "azure.ai.inference"),
    ("api.anthropic.com",                 ANTHROPIC),
    ("generativelanguage.googleapis.com", GEMINI),
    ("cloudcode-pa.googleapis.com",       GEMINI),
    ("aiplatform.googleapis.com",         VERTEX),
    ("ollama.com",                        OLLAMA),
    ("openrouter.ai",                     "openrouter"),
    ("api.deepseek.com",                  "deepseek"),
    ("mistral.ai",                        "mistral_ai"),
    ("api.groq.com",                      "groq"),
    ("api.x.ai",                          "x_ai"),
    ("cohere.com",                        COHERE),
    ("cohere.ai",                         COHERE),
    ("api.perplexity.ai",                 "perplexity"),
    ("moonshot.ai",                       "moonshot_ai"),
    ("moonshot.cn",                       "moonshot_ai"),
    ("api.together.xyz",                  "together"),
    ("api.together.ai",                   "together"),
    ("api.fireworks.ai",                  "fireworks"),
    ("api.cerebras.ai",                   "cerebras"),
    ("router.huggingface.co",             "huggingface"),
    ("api.voyageai.com",                  "voyageai"),
    ("api.jina.ai",                       "jina"),
    ("ml.cloud.ibm.com",                  WATSONX),
];

fn of_host(host: &str, path: &str) -> Option<&'static str> {
    let is_under = |suffix: &str| {
        let before = host.strip_suffix(suffix);
        before.is_some_and(|before| before.is_empty() || before.ends_with(['.', '-']))
    };
    if host.ends_with(".amazonaws.com") && host.contains("bedrock") {
        return Some(BEDROCK);
    }
    // One resource of Azure serves OpenAI's models under a path of their own.
    if host.ends_with(".azure.com") && path.contains("/openai/") {
        return Some("azure.ai.openai");
    }
    HOSTS
        .iter()
        .find(|(suffix, _)| is_under(suffix))
        .map(|(_, provider)| *provider)
}

/// The model in a path: `/models/{model}:generateContent`, `/model/{model}/converse`, `/deployments/{model}/…`.
fn model_in(path: &str) -> Option<String> {
    let after = |word: &str| path.rsplit_once(word).map(|(_, rest)| rest);
    let model = match (after("/models/"), after("/model/"), after("/deployments/")) {
        (Some(rest), _, _) => rest.rsplit_once(':').map(|(model, _)| model)?,
        (None, Some(rest), _) => rest.rsplit_once('/').map(|(model, _)| model)?,
        (None, None, Some(rest)) => rest.split('/').next()?,
        _ => return None,
    };
    let model = percent_encoding::percent_decode_str(model).decode_utf8();
    model.ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(url: (&str, &str), body: Option<&Value>) -> Option<(Kind, String, Option<String>)> {
        let found = Endpoints::new().recognize(url.0, url.1, body)?;
        Some((found.kind, found.provider.into_owned(), found.model))
    }

    #[test]
    fn every_known_api_is_recognised() {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let chat = json!({"model": "m", "messages": messages});
        let claude = json!({"model": "m", "messages": messages, "max_tokens": 9});
        let bare = json!({"messages": messages});
        let gemini = json!({"contents": []});
        let embed = json!({"model": "m", "input": ["a"]});
        let agent = json!({"agent_id": "a", "messages": messages});
        let granite = json!({"model_id": "granite", "messages": messages});
        #[rustfmt::skip]
        let cases = [
            ("api.openai.com", "/v1/chat/completions", &chat, Kind::Chat, "openai", "m"),
            ("localhost", "/v1/chat/completions/", &chat, Kind::Chat, "openai", "m"),
            ("openrouter.ai", "/api/v1/chat/completions", &chat, Kind::Chat, "openrouter", "m"),
            ("me.openai.azure.com", "/openai/deployments/gpt-4o/chat/completions", &bare, Kind::Chat, "azure.ai.openai", "gpt-4o"),
            ("me.services.ai.azure.com", "/models/chat/completions", &chat, Kind::Chat, "azure.ai.inference", "m"),
            ("api.openai.com", "/v1/responses", &embed, Kind::Chat, "openai", "m"),
            ("api.openai.com", "/v1/embeddings", &embed, Kind::Embedding, "openai", "m"),
            ("api.anthropic.com", "/v1/messages", &claude, Kind::Chat, "anthropic", "m"),
            ("generativelanguage.googleapis.com", "/v1beta/models/gemini-2.5-flash:generateContent", &gemini, Kind::Chat, "gcp.gemini", "gemini-2.5-flash"),
            ("us-central1-aiplatform.googleapis.com", "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:streamGenerateContent", &gemini, Kind::Chat, "gcp.vertex_ai", "gemini-2.5-pro"),
            ("localhost", "/api/chat", &chat, Kind::Chat, "ollama", "m"),
            ("localhost", "/api/embed", &embed, Kind::Embedding, "ollama", "m"),
            ("bedrock-runtime.us-east-1.amazonaws.com", "/model/anthropic.claude-3%3A0/converse-stream", &bare, Kind::Chat, "aws.bedrock", "anthropic.claude-3:0"),
            ("api.cohere.com", "/v2/chat", &chat, Kind::Chat, "cohere", "m"),
            ("api.mistral.ai", "/v1/agents/completions", &agent, Kind::Chat, "mistral_ai", ""),
            ("eu-de.ml.cloud.ibm.com", "/ml/v1/text/chat_stream", &granite, Kind::Chat, "ibm.watsonx.ai", "granite"),
        ];
        for (host, path, body, kind, provider, model) in cases {
            let model = Some(model.to_owned()).filter(|model| !model.is_empty());
            let expected = (kind, provider.to_owned(), model);
            assert_eq!(found((host, path), Some(body)), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_a_model_call_passes() {
        let mail = json!({"messages": [{"to": "ann"}]});
        for path in [
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/responses",
            "/chat",
            "/v1/files",
            "/converse",
            "/invoke",
        ] {
            assert_eq!(found(("example.com", path), Some(&mail)), None, "{path}");
            assert_eq!(found(("example.com", path), None), None, "{path}");
        }
        // Without a body the path must tell, or the host.
        assert!(found(("example.com", "/v1/chat/completions"), None).is_some());
        assert!(found(("api.anthropic.com", "/v1/messages"), None).is_some());
        assert!(found(("notapi.openai.com.evil.com", "/v1/responses"), None).is_none());
    }

    #[test]
    fn what_the_user_says_goes_first() {
        let endpoints = Endpoints::new()
            .provider("gateway")
            .path("/ask", Kind::Embedding);
        let found = endpoints
            .recognize("h", "/v1/ask", Some(&json!({})))
            .unwrap();
        assert_eq!((found.kind, &*found.provider), (Kind::Embedding, "gateway"));
        assert_eq!(found.base_path, "/v1");
    }
}
