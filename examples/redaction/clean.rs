//! What agents' traffic is full of and is no secret: ids, digests, pictures, code, figures.

use serde_json::{Value, json};

use crate::draw::Draw;

type Write = fn(&mut Draw) -> String;

/// Texts without a secret, by what they show.
#[rustfmt::skip]
pub(crate) const CLEAN: &[(&str, Write)] = &[
    ("UUIDs", |d| format!("request {} done", d.form("{h8}-{h4}-4{h3}-a{h3}-{h12}"))),
    ("git commits", |d| format!("commit {}\nAuthor: Ann\n\n    fix: {} again", d.form("{h40}"), d.form("{h7}"))),
    ("git index lines", |d| format!("diff --git a/x.rs b/x.rs\nindex {}..{} 100644\n--- a/x.rs", d.form("{h40}"), d.form("{h40}"))),
    ("digests", |d| format!("sha256:{} and sha512-{}==", d.form("{h64}"), d.form("{b86}"))),
    ("lock files", |d| format!("\"resolved\": \"https://registry.example.org/a/-/a-1.0.0.tgz\", \"integrity\": \"sha512-{}==\"", d.form("{b86}"))),
    ("Cargo.lock", |d| format!("[[package]]\nname = \"a\"\nchecksum = \"{}\"\n", d.form("{h64}"))),
    ("pip hashes", |d| format!("requests==2.32.0 \\\n    --hash=sha256:{}", d.form("{h64}"))),
    ("go.sum", |d| format!("golang.org/x/net v0.1.0 h1:{}=", d.form("{b43}"))),
    ("images", |d| format!("FROM debian@sha256:{}\nRUN true", d.form("{h64}"))),
    ("trace ids", |d| format!("traceparent: 00-{}-{}-01 span_id={}", d.form("{h32}"), d.form("{h16}"), d.form("{h16}"))),
    ("tool calls", |d| json!({"tool_call_id": format!("call_{}", d.form("{a24}")), "name": "read_file", "arguments": "{\"path\":\"a.txt\"}"}).to_string()),
    ("Anthropic ids", |d| json!({"id": format!("msg_01{}", d.form("{a22}")), "content": [{"type": "tool_use", "id": format!("toolu_01{}", d.form("{a22}"))}]}).to_string()),
    ("OpenAI ids", |d| json!({"id": format!("chatcmpl-{}", d.form("{a29}")), "system_fingerprint": format!("fp_{}", d.form("{h10}")), "usage": {"prompt_tokens": 12, "completion_tokens": 4096}}).to_string()),
    ("response ids", |d| json!({"id": format!("resp_{}", d.form("{h48}")), "previous_response_id": format!("resp_{}", d.form("{h48}"))}).to_string()),
    ("pictures", |d| format!("![x](data:image/png;base64,iVBORw0KGgo{})", d.form("{b900}"))),
    ("pictures in lines", |d| (0..6).map(|_| d.form("{b76}")).collect::<Vec<_>>().join("\n")),
    ("certificates", |d| format!("-----BEGIN CERTIFICATE-----\n{}\n{}\n{}\n-----END CERTIFICATE-----", d.form("{b64}"), d.form("{b64}"), d.form("{b40}="))),
    ("public keys", |d| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{} ann@host", d.form("{b43}"))),
    ("fingerprints", |d| format!("256 SHA256:{} ann@host (ED25519)", d.form("{b43}"))),
    ("ETags", |d| format!("HTTP/2 200\netag: \"{}\"\ncf-ray: {}-FRA\n", d.form("{a27}"), d.form("{h16}"))),
    ("nix store", |d| format!("/nix/store/{}-hello-2.12.1/bin/hello", d.form("{n32}"))),
    ("documents", |d| format!("see https://docs.example.com/document/d/{}/edit", d.form("{w44}"))),
    ("videos", |d| format!("https://video.example.com/watch?v={}", d.form("{w11}"))),
    ("hashed assets", |d| format!("<script src=\"/assets/index-{}.js\"></script>", d.form("{a8}"))),
    ("cache keys", |d| json!({"cache_key": d.form("{h40}"), "next_page_token": d.form("{a24}"), "primary_key": "id"}).to_string()),
    ("models' figures", |d| json!({"max_tokens": 4096, "token_count": 1000 + d.number(9_000), "password": null, "api_key": false, "tokens": [1, 2, 3]}).to_string()),
    ("code about secrets", |_| "password = os.environ[\"DB_PASSWORD\"]\ntoken = get_token(user)\napi_key=settings.API_KEY,\nif password is None:\n    raise ValueError(\"password is required\")\n".to_owned()),
    ("types", |_| "pub struct Login {\n    pub password: String,\n    pub token: Option<Token>,\n    pub api_key: SecretString,\n}\n".to_owned()),
    ("placeholders", |_| "export API_KEY=<your-key>\nTOKEN=${TOKEN}\ncurl -H \"Authorization: Bearer $TOKEN\"\nSECRET_KEY=your-secret-key-here\nconst k = process.env.API_KEY;\n".to_owned()),
    ("prose about secrets", |_| "The token is sent with each request. Your password must have eight letters. The API key: required. Set the secret in the vault, key by key.".to_owned()),
    ("help texts", |_| "  --password <PASSWORD>  Password of the user\n  --token TOKEN          Token to use\n  -k, --key-file PATH    Key file\n".to_owned()),
    ("terminal colours", |d| format!("\u{1b}[32m   Compiling\u{1b}[0m serde v1.0.{}\n\u{1b}[1m\u{1b}[33mwarning\u{1b}[0m: unused", d.number(200))),
    ("minified code", |_| "!function(e,t){\"object\"==typeof exports?module.exports=t():e.returnExportsGlobal=t()}(this,function(){var n=Object.prototype.hasOwnProperty,r=function(e){return null!=e&&e.nodeType===1};return{isElement:r,extendShallowCopyOfProperties:n}});".to_owned()),
    ("source maps", |_| "{\"version\":3,\"sources\":[\"a.ts\"],\"mappings\":\"AAAA,IAAM,EAAI,SAAC,GAAW,OAAA,EAAE,OAAF,CAAU,CAAC,CAAC;AAC5B,QAAQ,GAAG\"}".to_owned()),
    ("names of tests", |d| format!("test tests::redaction::what_is_no_secret_stays_whatever_its_name_{} ... ok", d.number(90))),
    ("compiled names", |d| format!("_ZN4core3fmt9Formatter9write_str17h{}E at libserde-{}.rlib", d.form("{h16}"), d.form("{h16}"))),
    ("tables", |d| format!("| id | rows | ms |\n|---|---|---|\n| {} | {} | {}.{} |", d.number(99_999), d.number(9_999_999), d.number(999), d.number(999))),
    ("times", |d| format!("2025-03-{:02}T12:00:00.{}Z at 17{}", 1 + d.number(28), d.form("{d6}"), d.form("{d8}"))),
];

/// Every text in a recorded session: its messages, arguments and results, one by one.
pub(crate) fn texts(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts(member, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
