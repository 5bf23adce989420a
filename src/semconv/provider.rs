//! Provider names in the form each convention wants.

/// The `gen_ai.provider.name` of a provider as the code called it.
///
/// Well-known providers get the conventions' value; the rest pass through in lower case.
pub(crate) fn normalized(provider: &str) -> String {
    let lower = provider.trim().to_ascii_lowercase();
    // Vercel's SDK says which API of the provider it was: `openai.chat`, `anthropic.messages`.
    let whole = known(&lower).or_else(|| known(lower.rsplit_once('.')?.0));
    whole.map_or(lower, |row| row.provider.to_owned())
}

/// The value `gen_ai.system` had for the provider up to v1.36 of the conventions.
pub(crate) fn system(provider: &str) -> String {
    match normalized(provider).as_str() {
        "azure.ai.inference" => "az.ai.inference".to_owned(),
        "azure.ai.openai" => "az.ai.openai".to_owned(),
        "gcp.vertex_ai" => "vertex_ai".to_owned(),
        "gcp.gemini" => "gemini".to_owned(),
        "x_ai" => "xai".to_owned(),
        other => other.to_owned(),
    }
}

/// OpenInference's `llm.provider`.
pub(crate) fn openinference_provider(provider: &str) -> String {
    let name = normalized(provider);
    known(&name).map_or(name, |row| row.openinference_provider.to_owned())
}

/// OpenInference's `llm.system`, where it knows one for the provider.
pub(crate) fn openinference_system(provider: &str) -> Option<&'static str> {
    known(&normalized(provider)).and_then(|row| row.openinference_system)
}

struct Row {
    provider: &'static str,
    also: &'static [&'static str],
    openinference_provider: &'static str,
    openinference_system: Option<&'static str>,
}

fn known(lower: &str) -> Option<&'static Row> {
    PROVIDERS
        .iter()
        .find(|row| row.provider == lower || row.also.contains(&lower))
}

#[rustfmt::skip]
const PROVIDERS: &[Row] = &[
    Row { provider: "openai",             also: &["open_ai", "openai-compatible"],                 openinference_provider: "openai",     openinference_system: Some("openai") },
    Row { provider: "anthropic",          also: &["claude"],                                       openinference_provider: "anthropic",  openinference_system: Some("anthropic") },
    Row { provider: "azure.ai.openai",    also: &["azure", "azure_openai", "azure-openai", "az.ai.openai", "azureopenai"], openinference_provider: "azure", openinference_system: Some("openai") },
    Row { provider: "azure.ai.inference", also: &["az.ai.inference", "azure_ai"],                  openinference_provider: "azure",      openinference_system: None },
    Row { provider: "gcp.gemini",         also: &["gemini", "google", "google_ai", "googleai"],    openinference_provider: "google",     openinference_system: Some("vertexai") },
    Row { provider: "gcp.vertex_ai",      also: &["vertex_ai", "vertexai", "vertex", "gcpvertexai", "google.vertex"],           openinference_provider: "google",     openinference_system: Some("vertexai") },
    Row { provider: "gcp.gen_ai",         also: &["google_genai"],                                 openinference_provider: "google",     openinference_system: Some("vertexai") },
    Row { provider: "aws.bedrock",        also: &["bedrock", "aws", "amazon_bedrock", "amazon-bedrock", "aws_bedrock", "aws_bedrock_v2"], openinference_provider: "aws",     openinference_system: Some("amazon") },
    Row { provider: "cohere",             also: &[],                                               openinference_provider: "cohere",     openinference_system: Some("cohere") },
    Row { provider: "deepseek",           also: &["deep_seek"],                                    openinference_provider: "deepseek",   openinference_system: Some("deepseek") },
    Row { provider: "groq",               also: &[],                                               openinference_provider: "groq",       openinference_system: None },
    Row { provider: "mistral_ai",         also: &["mistral", "mistralai"],                         openinference_provider: "mistralai",  openinference_system: Some("mistralai") },
    Row { provider: "moonshot_ai",        also: &["moonshot", "moonshotai", "kimi"],               openinference_provider: "moonshot",   openinference_system: None },
    Row { provider: "openrouter",         also: &["open_router"],                                  openinference_provider: "openrouter", openinference_system: None },
    Row { provider: "perplexity",         also: &["pplx"],                                         openinference_provider: "perplexity", openinference_system: None },
    Row { provider: "x_ai",               also: &["xai", "grok"],                                  openinference_provider: "xai",        openinference_system: Some("xai") },
    Row { provider: "ibm.watsonx.ai",     also: &["watsonx"],                                      openinference_provider: "ibm.watsonx.ai", openinference_system: None },
];

#[cfg(test)]
mod tests {
    use super::{normalized, openinference_provider, openinference_system, system};

    #[test]
    fn providers_take_the_conventions_names() {
        assert_eq!(normalized("OpenAI"), "openai");
        assert_eq!(normalized("mistral"), "mistral_ai");
        assert_eq!(normalized("OpenRouter"), "openrouter");
        assert_eq!(normalized("open_router"), "openrouter");
        assert_eq!(normalized("openai.responses"), "openai");
        assert_eq!(normalized("google.vertex.chat"), "gcp.vertex_ai");
        assert_eq!(normalized("google.generative-ai"), "gcp.gemini");
        assert_eq!(normalized("my.gateway"), "my.gateway");
        assert_eq!(system("google"), "gemini");
        assert_eq!(openinference_provider("bedrock"), "aws");
        assert_eq!(openinference_system("bedrock"), Some("amazon"));
        assert_eq!(openinference_system("openrouter"), None);
    }
}
