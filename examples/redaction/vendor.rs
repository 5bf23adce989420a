//! Forms of keys as vendors publish them: what is fixed is written out, what is drawn stands in braces.
//!
//! Written for the measurement alone, and not from the redactor's patterns: where the two disagree, the table shows it.

/// A kind of key and its form. Where a part stands between `‹` and `›`, that part is the secret, else all of it is.
pub(crate) struct Form(pub(crate) &'static str, pub(crate) &'static str);

#[rustfmt::skip]
pub(crate) const FORMS: &[Form] = &[
    // Models and what agents use.
    Form("Anthropic API", "sk-ant-api03-{w93}AA"), Form("Anthropic admin", "sk-ant-admin01-{w93}AA"), Form("Anthropic OAuth", "sk-ant-oat01-{w93}AA"),
    Form("OpenAI (2020)", "sk-{a20}T3BlbkFJ{a20}"), Form("OpenAI project", "sk-proj-{w74}T3BlbkFJ{w74}"), Form("OpenAI service account", "sk-svcacct-{w74}T3BlbkFJ{w74}"),
    Form("OpenAI admin", "sk-admin-{w58}T3BlbkFJ{w58}"), Form("DeepSeek", "sk-{h32}"), Form("Moonshot", "sk-{a48}"), Form("OpenRouter", "sk-or-v1-{h64}"),
    Form("Groq", "gsk_{a52}"), Form("xAI", "xai-{a80}"), Form("Hugging Face", "hf_{a34}"), Form("Hugging Face organisation", "api_org_{a34}"),
    Form("Replicate", "r8_{a37}"), Form("Perplexity", "pplx-{a48}"), Form("NVIDIA", "nvapi-{w64}"), Form("Fireworks", "fw_{a24}"), Form("Together", "tgp_v1_{w43}"),
    Form("Cerebras", "csk-{n48}"), Form("Anyscale", "esecret_{n38}"), Form("ElevenLabs", "sk_{h48}"), Form("Voyage", "pa-{w43}"), Form("Jina", "jina_{a60}"),
    Form("Pinecone", "pcsk_{a5}_{a63}"), Form("LangSmith personal", "lsv2_pt_{h32}_{h10}"), Form("LangSmith service", "lsv2_sk_{h32}_{h10}"),
    Form("Langfuse secret", "sk-lf-{h8}-{h4}-{h4}-{h4}-{h12}"), Form("Langfuse public", "pk-lf-{h8}-{h4}-{h4}-{h4}-{h12}"), Form("Tavily", "tvly-dev-{a32}"),
    Form("Firecrawl", "fc-{h32}"), Form("E2B", "e2b_{h40}"), Form("Mem0", "m0-{a40}"), Form("Browserbase", "bb_live_{w27}"), Form("Apify", "apify_api_{a36}"),
    Form("RunPod", "rpa_{U43}"), Form("LlamaCloud", "llx-{a48}"), Form("Weights & Biases", "wandb_v1_{a60}"), Form("Cursor", "key_{h64}"), Form("Modal", "ak-{a22}"),
    Form("Dify", "app-{a24}"), Form("Nomic", "nk-{w43}"), Form("Letta", "sk-let-{a60}"), Form("Helicone", "sk-helicone-{n7}-{n7}-{n7}-{n7}"), Form("Brave Search", "BSA{w27}"),
    // Clouds and hosts.
    Form("AWS access key", "AKIA{316}"), Form("AWS temporary key", "ASIA{316}"), Form("AWS session token", "IQoJb3JpZ2lu{b300}"), Form("AWS Bedrock", "ABSKQmVkcm9ja{b116}="),
    Form("AWS AppSync", "da2-{n26}"), Form("Amazon MWS", "amzn.mws.{h8}-{h4}-{h4}-{h4}-{h12}"), Form("Amazon login", "amzn1.oa2-cs.v1.{h64}"),
    Form("Google API", "AIza{w35}"), Form("Google OAuth", "ya29.{w120}"), Form("Google client secret", "GOCSPX-{w28}"), Form("Google refresh", "1//0{w40}"), Form("Google storage HMAC", "GOOG1E{357}"),
    Form("Azure client secret", "{a3}8Q~{w34}"), Form("Azure storage", "{b76}+ASt{b6}=="), Form("Azure AI services", "{a52}JQQJ99{a10}AACAAAA{a9}"), Form("Azure DevOps", "{n76}AZDO{n4}"),
    Form("DigitalOcean", "dop_v1_{h64}"), Form("DigitalOcean OAuth", "doo_v1_{h64}"), Form("DigitalOcean refresh", "dor_v1_{h64}"), Form("Cloudflare origin CA", "v1.0-{h24}-{h146}"),
    Form("Alibaba", "LTAI{a20}"), Form("Tencent", "AKID{a32}"), Form("Yandex API", "AQVN{w36}"), Form("Scaleway", "SCW{U17}"), Form("Heroku", "HRKU-AA{w58}"), Form("Fly", "fm2_{b200}"), Form("Fly OAuth", "fo1_{w43}"),
    Form("Render", "rnd_{a32}"), Form("Vercel", "vcp_{a56}"), Form("Netlify", "nfp_{a36}"), Form("Supabase", "sbp_{h40}"), Form("Supabase secret", "sb_secret_{w31}"), Form("Neon", "napi_{n64}"),
    Form("PlanetScale", "pscale_tkn_{w43}"), Form("PlanetScale password", "pscale_pw_{w43}"), Form("Databricks", "dapi{h32}"), Form("Doppler", "dp.pt.{a43}"), Form("Doppler service", "dp.st.dev.{a43}"),
    Form("Vault", "hvs.{w90}"), Form("Vault batch", "hvb.{w140}"), Form("Vault (old)", "s.{a24}"), Form("Terraform", "{a14}.atlasv1.{w67}"), Form("Pulumi", "pul-{h40}"), Form("Infracost", "ico-{a32}"),
    Form("Tailscale", "tskey-auth-{a11}CNTRL-{a32}"), Form("Aiven", "AVNS_{w20}"), Form("Dynatrace", "dt0c01.{U24}.{U64}"), Form("Akamai", "akab-{n16}-{n16}"), Form("1Password", "ops_eyJ{b250}"), Form("age", "AGE-SECRET-KEY-1{q58}"),
    // Code.
    Form("GitHub personal", "ghp_{a36}"), Form("GitHub OAuth", "gho_{a36}"), Form("GitHub user", "ghu_{a36}"), Form("GitHub server", "ghs_{a36}"), Form("GitHub refresh", "ghr_{a76}"),
    Form("GitHub fine-grained", "github_pat_{a22}_{a59}"), Form("GitLab personal", "glpat-{w20}"), Form("GitLab routable", "glpat-{w27}.{n2}.{n9}"), Form("GitLab runner", "glrt-{w20}"), Form("GitLab deploy", "gldt-{w20}"),
    Form("GitLab pipeline", "glptt-{h40}"), Form("GitLab OAuth", "gloas-{h64}"), Form("GitLab job", "glcbt-64_{w20}"), Form("GitLab feed", "glft-{w20}"), Form("GitLab mail", "glimt-{n25}"), Form("GitLab agent", "glagent-{w50}"),
    Form("GitLab SCIM", "glsoat-{w20}"), Form("GitLab registration", "GR1348941{w20}"), Form("Bitbucket", "ATBB{a32}"), Form("Bitbucket repository", "ATCTT3xFfGN0{w170}={H8}"), Form("Atlassian", "ATATT3xFfGF0{w170}={H8}"),
    Form("Sourcegraph", "sgp_{h16}_{h40}"), Form("npm", "npm_{a36}"), Form("PyPI", "pypi-AgEIcHlwaS5vcmc{w150}"), Form("RubyGems", "rubygems_{h48}"), Form("crates.io", "cio{a32}"), Form("NuGet", "oy2{n43}"),
    Form("Docker personal", "dckr_pat_{w27}"), Form("Docker organisation", "dckr_oat_{w32}"), Form("Clojars", "CLOJARS_{n60}"), Form("Artifactory", "AKCp{a69}"), Form("CircleCI", "CCIPAT_{a22}_{h40}"), Form("Buildkite", "bkua_{h40}"),
    Form("SonarQube", "squ_{h40}"), Form("Postman", "PMAK-{h24}-{h34}"), Form("OpenShift", "sha256~{w43}"), Form("Prefect", "pnu_{a36}"), Form("LaunchDarkly", "sdk-{h8}-{h4}-{h4}-{h4}-{h12}"),
    // Chat and mail.
    Form("Slack bot", "xoxb-{d12}-{d13}-{a24}"), Form("Slack user", "xoxp-{d12}-{d12}-{d13}-{h32}"), Form("Slack refresh", "xoxe-1-{a146}"), Form("Slack app", "xapp-1-{U11}-{d13}-{h64}"),
    Form("Slack webhook", "https://hooks.slack.com/services/‹T{U10}/B{U10}/{a24}›"), Form("Discord webhook", "https://discord.com/api/webhooks/{d18}/‹{w68}›"), Form("Discord bot", "MTE{a23}.G{a5}.{w38}"),
    Form("Teams webhook", "https://acme.webhook.office.com/webhookb2/‹{h8}-{h4}-{h4}-{h4}-{h12}@{h8}-{h4}-{h4}-{h4}-{h12}/IncomingWebhook/{h32}/{h8}-{h4}-{h4}-{h4}-{h12}›"),
    Form("Telegram bot", "{d10}:AA{w33}"), Form("SendGrid", "SG.{w22}.{w43}"), Form("Mailgun", "key-{h32}"), Form("Mailchimp", "{h32}-us21"), Form("Brevo", "xkeysib-{h64}-{a16}"), Form("Resend", "re_{a8}_{a24}"), Form("MailerSend", "mlsn.{h64}"),
    Form("Twilio", "SK{h32}"), Form("Facebook", "EAAG{a150}"), Form("Matrix", "syt_{a12}_{a20}_{a6}"),
    // Payment.
    Form("Stripe", "sk_live_{a24}"), Form("Stripe long", "sk_live_51{a97}"), Form("Stripe restricted", "rk_live_{a99}"), Form("Stripe test", "sk_test_{a24}"), Form("Stripe webhook", "whsec_{a32}"), Form("Square secret", "sq0csp-{w43}"), Form("Square token", "EAAA{w60}"),
    Form("PayPal Braintree", "access_token$production${n16}${h32}"), Form("Razorpay", "rzp_live_{a14}"), Form("Shopify admin", "shpat_{h32}"), Form("Shopify app", "shppa_{h32}"), Form("Shopify secret", "shpss_{h32}"),
    Form("Flutterwave", "FLWSECK-{n32}-X"), Form("Plaid", "access-production-{h8}-{h4}-{h4}-{h4}-{h12}"), Form("Mollie", "live_{a30}"), Form("Paddle", "pdl_live_apikey_{n26}_{a22}_{a3}"), Form("EasyPost", "EZAK{a54}"), Form("Duffel", "duffel_live_{w43}"), Form("Shippo", "shippo_live_{h40}"),
    // Services.
    Form("New Relic user", "NRAK-{U27}"), Form("New Relic licence", "{h36}NRAL"), Form("Sentry organisation", "sntrys_{b120}"), Form("Sentry user", "sntryu_{h64}"), Form("Sentry DSN", "https://‹{h32}›@o{d6}.ingest.sentry.io/{d7}"), Form("Grafana service", "glsa_{a32}_{h8}"),
    Form("Grafana cloud", "glc_{b120}"), Form("PostHog project", "phc_{a43}"), Form("PostHog personal", "phx_{a43}"), Form("Honeycomb", "hcaik_{n58}"), Form("Axiom", "xaat-{h8}-{h4}-{h4}-{h4}-{h12}"), Form("Logfire", "pylf_v1_us_{a44}"),
    Form("Linear", "lin_api_{a40}"), Form("Notion", "ntn_{d11}{a35}"), Form("Notion (old)", "secret_{a43}"), Form("Airtable", "pat{a14}.{h64}"), Form("Asana", "1/12{d14}:{h32}"), Form("Figma", "figd_{w43}"), Form("Dropbox", "sl.{w130}"),
    Form("Contentful", "CFPAT-{w43}"), Form("Mapbox", "sk.eyJ{a80}.{w22}"), Form("Typeform", "tfp_{w59}"), Form("HubSpot", "pat-na1-{h8}-{h4}-{h4}-{h4}-{h12}"), Form("Frame.io", "fio-u-{w64}"), Form("ClickUp", "pk_{d8}_{U32}"), Form("ReadMe", "rdme_{n70}"),
    Form("OneSignal", "os_v2_app_{n103}"), Form("Trigger.dev", "tr_prod_{a24}"), Form("Inngest", "signkey-prod-{h64}"),
    // Standards.
    Form("JSON Web Token", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{w60}.{w43}"), Form("JSON Web Encryption", "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.{w80}.{w16}.{w60}.{w22}"),
    Form("PostgreSQL address", "postgres://app:‹{a20}›@db.internal:5432/app"), Form("MySQL address", "mysql://root:‹{a12}›@10.0.0.5/shop"), Form("MongoDB address", "mongodb+srv://svc:‹{w18}›@cluster0.abcde.mongodb.net/x"),
    Form("Redis address", "redis://:‹{a24}›@cache:6379/0"), Form("RabbitMQ address", "amqp://user:‹{a16}›@mq:5672/vhost"), Form("HTTP address", "https://bob:‹{a14}›@example.com/api"),
    Form("Basic header", "Authorization: Basic ‹dXNlcj{a18}›"), Form("Bearer header", "Authorization: Bearer ‹{w40}›"), Form("Digest header", "Authorization: Digest username=bob, realm=x, response=\"‹{h32}›\""),
    Form("Cookie", "Cookie: sessionid=‹{n32}›"), Form("Set-Cookie", "Set-Cookie: sid=‹{w40}›; HttpOnly; Path=/"), Form("Azure SAS", "https://acct.blob.core.windows.net/c/f?sv=2024-05-04&se=2026-01-01&sr=b&sig=‹{b43}›%3D"),
    Form("Azure connection string", "DefaultEndpointsProtocol=https;AccountName=acct;AccountKey=‹{b86}==›;EndpointSuffix=core.windows.net"), Form("AWS presigned", "https://b.s3.amazonaws.com/k?X-Amz-Expires=900&X-Amz-Signature=‹{h64}›"),
    Form("SQL Server connection string", "Server=db;Database=app;User Id=sa;Password=‹{a16}›;Encrypt=true"), Form("AWS secret by name", "aws_secret_access_key = ‹{b40}›"), Form("mysql -p", "mysql -u root -p‹{a14}› shop"), Form("curl -u", "curl -s -u bob:‹{a14}› https://example.com"),
    Form("bcrypt", "$2b$12${a53}"), Form("argon2", "$argon2id$v=19$m=65536,t=3,p=4${b22}${b43}"),
];
