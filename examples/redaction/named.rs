//! Secrets of no known form under names that tell: the words people choose, and what is drawn for them.

use serde_json::json;

use crate::carrier::Sample;
use crate::draw::Draw;

const NAMES: [&str; 28] = [
    "password",
    "DB_PASSWORD",
    "passwd",
    "user_password",
    "adminPassword",
    "api_key",
    "apiKey",
    "API_KEY",
    "x-api-key",
    "ACME_API_KEY",
    "secret",
    "client_secret",
    "clientSecret",
    "APP_SECRET",
    "secret_key",
    "SECRET_KEY_BASE",
    "access_token",
    "accessToken",
    "refresh_token",
    "auth_token",
    "private_key",
    "access_key",
    "encryption_key",
    "webhook_secret",
    "signing_secret",
    "SMTP_PASSWORD",
    "jwt_secret",
    "service_credentials",
];

/// What stands for a secret: drawn keys of many alphabets, and passwords as people make them.
fn value(draw: &mut Draw) -> String {
    const WORDS: [&str; 16] = [
        "correct", "horse", "battery", "staple", "summer", "winter", "dragon", "orange", "purple",
        "monkey", "river", "castle", "silver", "hammer", "rocket", "garden",
    ];
    match draw.number(8) {
        0 => draw.form("{h32}"),
        1 => draw.form("{a24}"),
        2 => draw.form("{a40}"),
        3 => draw.form("{b43}="),
        4 => draw.form("{n16}"),
        5 => {
            let word = draw.one_of(&WORDS);
            let sign = draw.one_of(&["!", "#", "@", "%", "*", ""]);
            format!("{word}{}{sign}", draw.form("{d3}"))
        }
        6 => {
            let (one, other) = (draw.one_of(&WORDS), draw.one_of(&WORDS));
            format!("{one}-{other}-{}", draw.form("{d2}"))
        }
        _ => draw.form("{l1}{a3}!{a4}${a3}"),
    }
}

type Write = fn(&str, &str) -> String;

#[rustfmt::skip]
const NOTATIONS: &[(&str, Write)] = &[
    ("JSON", |name, value| json!({"host": "db", name: value, "port": 5432}).to_string()),
    ("JSON in JSON", |name, value| json!({"arguments": json!({"options": {name: value}, "n": 1}).to_string()}).to_string()),
    ("JSON in JSON in JSON", |name, value| json!({"a": json!({"b": json!({name: value}).to_string()}).to_string()}).to_string()),
    ("nested JSON", |name, value| json!({name: {"current": value}, "on": true}).to_string()),
    ("list in JSON", |name, value| json!({name: [value], "on": true}).to_string()),
    ("name and value", |name, value| json!([{"name": name, "value": value}, {"name": "REGION", "value": "eu"}]).to_string()),
    ("YAML", |name, value| format!("db:\n  host: x\n  {name}: {value}\n  port: 1\n")),
    ("TOML", |name, value| format!("[server]\nhost = \"x\"\n{name} = \"{value}\"\n")),
    ("env dump", |name, value| format!("PATH=/bin\n{name}={value}\nTERM=xterm\n")),
    ("export", |name, value| format!("export {name}={value}; ./run.sh")),
    ("shell flag", |name, value| format!("app --{name} {value} --verbose")),
    ("shell flag with =", |name, value| format!("app --{name}={value} --verbose")),
    ("header", |name, value| format!("POST /v1 HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\nAccept: */*\r\n")),
    ("curl -H", |name, value| format!("curl -H '{name}: {value}' https://example.com")),
    ("query", |name, value| format!("https://example.com/cb?state=1&{name}={}&x=2", value.replace('#', "%23").replace('%', "%25"))),
    ("Python", |name, value| format!("client = connect(host='x', {name}='{value}')")),
    ("dict", |name, value| format!("{{'host': 'x', '{name}': '{value}', 'port': 1}}")),
    ("Rust", |name, value| format!("let {name} = \"{value}\".to_string();")),
    ("JavaScript", |name, value| format!("const cfg = {{ {name}: `{value}`, on: true }};")),
    ("Debug output", |name, value| format!("Config {{ host: \"x\", {name}: Some(\"{value}\"), port: 1 }}")),
    ("XML", |name, value| format!("<config><{name}>{value}</{name}><port>1</port></config>")),
    ("pair of a list", |name, value| format!("headers = [(\"accept\", \"*/*\"), (\"{name}\", \"{value}\")]")),
];

pub(crate) const fn notations() -> usize {
    NOTATIONS.len()
}

/// One sample in the notation of this number.
pub(crate) fn sample(number: usize, draw: &mut Draw) -> Sample {
    let (carrier, write) = NOTATIONS[number];
    let name = draw.one_of(&NAMES);
    let value = value(draw);
    let text = write(name, &value);
    let secret = match carrier {
        "query" => value.replace('#', "%23").replace('%', "%25"),
        _ => value,
    };
    Sample {
        kind: "unknown, under a telling name",
        carrier,
        pieces: vec![text],
        secret,
    }
}
