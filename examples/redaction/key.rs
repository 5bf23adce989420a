//! Private keys in the forms that programs write them, and in the ways that agents come across them.

use serde_json::json;

use crate::carrier::Sample;
use crate::draw::Draw;

const LABELS: [&str; 7] = [
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PRIVATE KEY",
    "DSA PRIVATE KEY",
    "OPENSSH PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "PGP PRIVATE KEY BLOCK",
];

const CARRIERS: [&str; 8] = [
    "alone",
    "tool result in JSON",
    "env with \\n",
    "YAML block",
    "one line",
    "truncated",
    "JSON in JSON",
    "PuTTY file",
];

pub(crate) const fn carriers() -> usize {
    CARRIERS.len()
}

pub(crate) fn sample(number: usize, draw: &mut Draw) -> Sample {
    let label = draw.one_of(&LABELS);
    // Put together here, so that no scanner takes this file for a leak.
    let dashes = "-".repeat(5);
    let lines: Vec<String> = (0..8).map(|_| draw.form("{b64}")).collect();
    let body = lines.join("\n");
    let pem = format!("{dashes}BEGIN {label}{dashes}\n{body}\n{dashes}END {label}{dashes}\n");
    let carrier = CARRIERS[number];
    let text = match carrier {
        "alone" => format!("$ cat id\n{pem}$ ls\n"),
        "tool result in JSON" => json!({"stdout": pem, "exit_code": 0}).to_string(),
        "env with \\n" => format!("A=1\nAPP_PEM=\"{}\"\nB=2\n", pem.replace('\n', "\\n")),
        "YAML block" => format!(
            "tls:\n  cert: |\n    {}\n  on: true\n",
            pem.trim().replace('\n', "\n    ")
        ),
        "one line" => pem.replace('\n', " "),
        "truncated" => pem[..pem.len() * 3 / 5].to_owned(),
        "JSON in JSON" => json!({"args": json!({"file": pem}).to_string()}).to_string(),
        _ => format!(
            "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nComment: key\nPublic-Lines: 1\nAAAAB3Nz\nPrivate-Lines: 8\n{body}\nPrivate-MAC: {}\n",
            draw.form("{h64}")
        ),
    };
    Sample {
        kind: "private key",
        carrier,
        pieces: vec![text],
        // The middle of the key stands for all of it.
        secret: lines[3].clone(),
    }
}
