//! What secrets stand in where agents meet them: arguments, dumps, commands, traces.

use serde_json::json;

use crate::draw::Draw;
use crate::vendor::Form;

/// A text with a secret in it.
pub(crate) struct Sample {
    pub(crate) kind: &'static str,
    pub(crate) carrier: &'static str,
    /// Pieces of a stream where it is split, else one.
    pub(crate) pieces: Vec<String>,
    pub(crate) secret: String,
}

/// How a sample is made of a drawn form: the text, given the form as it stands among other words.
type Carry = fn(&str, &mut Draw) -> String;

#[rustfmt::skip]
pub(crate) const CARRIERS: &[(&str, Carry)] = &[
    ("alone", |key, _| key.to_owned()),
    ("prose", |key, _| format!("I tried again with {key} and the server said 403, see line 12.")),
    ("tool arguments", |key, _| json!({"path": "/srv/app/.env", "content": key, "mode": 420}).to_string()),
    ("JSON in JSON", |key, _| json!({"tool": "http", "arguments": json!({"body": json!({"note": format!("use {key} here")}).to_string()}).to_string()}).to_string()),
    ("env dump", |key, draw| format!("HOME=/root\nLANG=C.UTF-8\n{}={key}\nSHLVL=1\n", draw.one_of(&["VENDOR_SETTING", "SERVICE_X", "APP_ENTRY"]))),
    ("export in JSON", |key, _| json!({"cmd": format!("export X='{key}' && make test\nls -l")}).to_string()),
    ("YAML", |key, _| format!("service:\n  region: eu-west-1\n  entry: \"{key}\"\n  replicas: 3\n")),
    ("curl -H", |key, _| format!("curl -sS -H 'X-Vendor: {key}' https://api.example.com/v1/items")),
    ("URL", |key, _| format!("GET https://api.example.com/v1/items?limit=20&cred={key} -> 200")),
    ("log line", |key, _| format!("2025-03-01T12:00:00.123Z WARN app::client: rejected value={key} attempt=2 took=31ms")),
    ("stack trace", |key, _| format!("Traceback (most recent call last):\n  File \"/srv/app/main.py\", line 42, in call\n    raise ValueError(f\"bad key {{key}}\")\nValueError: bad key {key}\n")),
    ("Debug output", |key, _| format!("Client {{ base: \"https://api.example.com\", extra: Some({key:?}), retries: 3 }}")),
    ("Markdown", |key, _| format!("1. Open the page\n2. Paste `{key}` into the box\n3. Done")),
];

/// The form and the secret in it.
pub(crate) fn drawn(form: &Form, draw: &mut Draw) -> (String, String) {
    let text = draw.form(form.1);
    match (text.find('‹'), text.find('›')) {
        (Some(open), Some(close)) => {
            let secret = text[open + '‹'.len_utf8()..close].to_owned();
            (text.replace(['‹', '›'], ""), secret)
        }
        _ => (text.clone(), text),
    }
}

/// One sample of the form in the carrier of this number; behind the last carrier come the cut and the split one.
pub(crate) fn sample(form: &Form, number: usize, draw: &mut Draw) -> Sample {
    let (text, secret) = drawn(form, draw);
    let whole = |carrier: &'static str, text: String, secret: String| Sample {
        kind: form.0,
        carrier,
        pieces: vec![text],
        secret,
    };
    match number.checked_sub(CARRIERS.len()) {
        None => {
            let (name, carry) = CARRIERS[number];
            whole(name, carry(&text, draw), secret)
        }
        // An earlier hand has cut it, in the middle of what is secret.
        Some(0) => {
            let at = text.find(&secret).unwrap_or(0);
            let kept = (secret.len() * 3 / 5).max((secret.len() - 1).min(20));
            let cut = format!("{}…", &text[..at + kept]);
            let secret = secret[..kept].to_owned();
            whole(
                "truncated",
                format!("{{\"out\": \"{}", json!(cut).to_string().trim_matches('"')),
                secret,
            )
        }
        Some(_) => {
            let text = format!("Here it is: {text}\n");
            let at = text.find(&secret).unwrap_or(0);
            let first = at + 1 + draw.number(secret.len() - 1);
            let second = (first + 1 + draw.number(secret.len())).min(text.len() - 1);
            Sample {
                kind: form.0,
                carrier: "split over chunks",
                pieces: vec![
                    text[..first].to_owned(),
                    text[first..second].to_owned(),
                    text[second..].to_owned(),
                ],
                secret,
            }
        }
    }
}
