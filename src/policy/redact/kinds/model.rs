//! Keys of model providers, and of the services that agents use beside them.

use super::{Kind, exact, key, weak, within};

#[rustfmt::skip]
pub(super) static KINDS: &[Kind] = &[
    key("anthropic", &["sk-ant-"], r"sk-ant-[A-Za-z0-9]{2,8}-?[A-Za-z0-9_-]{20,}"), // api03, admin01, oat01, ort01
    key("openai-project", &["sk-proj-"], r"sk-proj-[A-Za-z0-9_-]{20,}"),
    key("openai-service-account", &["sk-svcacct-"], r"sk-svcacct-[A-Za-z0-9_-]{20,}"),
    key("openai-admin", &["sk-admin-"], r"sk-admin-[A-Za-z0-9_-]{20,}"),
    key("openai-none", &["sk-None-"], r"sk-None-[A-Za-z0-9_-]{20,}"),
    within("openai-marked", &["T3BlbkFJ"], 110, r"[A-Za-z0-9_-]{8,100}T3BlbkFJ[A-Za-z0-9_-]{8,}"), // "OpenAI" in base64
    weak("openai", &["sk-"], r"sk-[A-Za-z0-9][A-Za-z0-9_-]{18,}"), // and DeepSeek, Moonshot, Stability, DashScope, LiteLLM
    weak("openai-session", &["sess-"], r"sess-[A-Za-z0-9]{40}"),
    key("openrouter", &["sk-or-"], r"sk-or-(?:v1-)?[a-f0-9]{64}"),
    key("langfuse", &["sk-lf-", "pk-lf-"], r"[sp]k-lf-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}"),
    key("helicone", &["sk-helicone-"], r"sk-helicone-[A-Za-z0-9-]{20,}"),
    key("letta", &["sk-let-"], r"sk-let-[A-Za-z0-9+/=_-]{20,}"),
    key("groq", &["gsk_"], r"gsk_[A-Za-z0-9]{52}"),
    key("xai", &["xai-"], r"xai-[A-Za-z0-9]{80}"),
    key("huggingface", &["hf_"], r"hf_[A-Za-z0-9]{34}"),
    key("huggingface-organisation", &["api_org_"], r"api_org_[A-Za-z0-9]{34}"),
    key("replicate", &["r8_"], r"r8_[A-Za-z0-9]{37}"),
    key("perplexity", &["pplx-"], r"pplx-[A-Za-z0-9]{48}"),
    key("nvidia", &["nvapi-"], r"nvapi-[A-Za-z0-9_-]{64}"),
    weak("fireworks", &["fw_"], r"fw_[A-Za-z0-9]{22,24}"),
    key("together", &["tgp_v1_"], r"tgp_v1_[A-Za-z0-9_-]{43}"),
    weak("cerebras", &["csk-"], r"csk-[A-Za-z0-9]{40,60}"),
    key("anyscale", &["esecret_"], r"esecret_[A-Za-z0-9]{20,}"),
    exact("elevenlabs", &["sk_"], r"sk_[a-f0-9]{48}"),
    weak("voyage", &["pa-"], r"pa-[A-Za-z0-9_-]{40,50}"),
    key("jina", &["jina_"], r"jina_[A-Za-z0-9_-]{40,64}"),
    key("pinecone", &["pcsk_"], r"pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{62,64}"),
    key("langsmith", &["lsv2_pt_", "lsv2_sk_"], r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    exact("langsmith-old", &["ls__"], r"ls__[a-f0-9]{32}"),
    key("tavily", &["tvly-"], r"tvly-(?:dev-|prod-)?[A-Za-z0-9-]{32,}"),
    exact("firecrawl", &["fc-"], r"fc-[a-f0-9]{32}"),
    exact("e2b", &["e2b_"], r"e2b_[a-f0-9]{40}"),
    weak("mem0", &["m0-"], r"m0-[A-Za-z0-9]{40}"),
    key("browserbase", &["bb_live_"], r"bb_live_[A-Za-z0-9_-]{27}"),
    key("apify", &["apify_api_"], r"apify_api_[A-Za-z0-9]{36}"),
    key("runpod", &["rpa_"], r"rpa_[A-Z0-9]{30}[A-Za-z0-9]{10,18}"),
    key("llamacloud", &["llx-"], r"llx-[A-Za-z0-9]{48}"),
    key("humanloop", &["hl_sk_"], r"hl_sk_[a-f0-9]{40,60}"),
    key("weights-and-biases", &["wandb_v1_"], r"wandb_v1_[A-Za-z0-9_]{40,}"),
    weak("brave-search", &["BSA"], r"BSA[A-Za-z0-9_-]{24,28}"),
    exact("cursor", &["key_", "crsr_"], r"(?:key|crsr)_[a-f0-9]{64}"),
    weak("modal", &["ak-", "as-"], r"a[ks]-[A-Za-z0-9]{22}"),
    weak("nomic", &["nk-"], r"nk-[A-Za-z0-9_-]{43}"),
    weak("dify", &["app-"], r"app-[A-Za-z0-9]{24}"),
    key("twelve-labs", &["tlk_"], r"tlk_[A-Z0-9]{28,}"),
    key("braintrust", &["bt-st-"], r"bt-st-[A-Za-z0-9]{40,}"),
    weak("composio", &["ak_"], r"ak_[A-Za-z0-9_-]{20,24}"),
];
