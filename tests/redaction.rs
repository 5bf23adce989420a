//! Holds the redactor to its aims, the documentation to what is measured, and the rules to the cases others got wrong.

#[path = "../examples/redaction/carrier.rs"]
mod carrier;
#[path = "../examples/redaction/clean.rs"]
mod clean;
#[path = "../examples/redaction/draw.rs"]
mod draw;
#[path = "../examples/redaction/key.rs"]
mod key;
#[path = "../examples/redaction/measure.rs"]
mod measure;
#[path = "../examples/redaction/named.rs"]
mod named;
#[path = "../examples/redaction/vendor.rs"]
mod vendor;

use std::path::Path;

use measure::{Measured, sum};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const BEGIN: &str = "<!-- begin: cargo run --release --example redaction -->\n";
const END: &str = "<!-- end -->";

#[test]
fn the_aims_hold_and_the_tables_of_the_documentation_are_the_programs() {
    let root = Path::new(ROOT);
    let measured = measure::measure(&root.join("tests/data"));
    the_aims_hold(&measured);

    let doc = std::fs::read_to_string(root.join("docs/PRIVACY.md")).unwrap();
    let (_, rest) = doc.split_once(BEGIN).unwrap();
    let (tables, _) = rest.split_once(END).unwrap();
    assert!(
        tables.trim() == measure::table(&measured).trim(),
        "docs/PRIVACY.md is behind: put there what `cargo run --release --example redaction` prints"
    );
}

fn the_aims_hold(measured: &Measured) {
    let wrong: Vec<_> = measured.wrong.iter().take(5).collect();
    let known = sum(measured.kinds.iter().map(|(_, count)| count));
    assert!(
        known.recall() >= 0.99 && known.precision() >= 0.99,
        "{known:?} {wrong:#?}"
    );
    assert!(
        measured.keys.recall() >= 0.99,
        "{:?} {wrong:#?}",
        measured.keys
    );
    let named = sum(measured.named.values());
    assert!(
        named.recall() >= 0.9 && named.precision() >= 0.99,
        "{named:?} {wrong:#?}"
    );
    // The least of all kinds and notations: none is given up for the others.
    for (kind, count) in &measured.kinds {
        assert!(count.recall() >= 0.9, "{kind}: {count:?}");
    }
    for (notation, count) in &measured.named {
        assert!(count.recall() >= 0.9, "{notation}: {count:?}");
    }
    let clean = sum(measured.clean.values());
    assert!(clean.recall() >= 0.99, "{clean:?} {wrong:#?}");
    assert!(
        measured.recorded.texts > 1_000 && measured.recorded.marks == 0,
        "{wrong:#?}"
    );
}

/// What is secret in each text, and has to go from it.
macro_rules! secrets_go {
    ($($name:ident: $text:expr => $secret:expr;)*) => {$(
        #[test]
        fn $name() {
            let (text, secret): (String, String) = ($text.into(), $secret.into());
            assert!(text.contains(&secret), "{text} has no {secret}");
            let clean = hermes::Redactor::new().redact(&text).into_owned();
            assert!(!clean.contains(&secret) && clean.contains("[secret:"), "{clean}");
            // The same in arguments of a tool, which are JSON, and stay it.
            let json = serde_json::json!({"arguments": text}).to_string();
            let clean = hermes::Redactor::new().redact(&json).into_owned();
            assert!(!clean.contains(&secret) && clean.contains("[secret:"), "{clean}");
            assert!(serde_json::from_str::<serde_json::Value>(&clean).is_ok(), "{clean}");
        }
    )*};
}

/// A key put together here, so that no scanner takes this file for a leak.
fn key(prefix: &str, letters: usize) -> String {
    let mut draw = draw::Draw::new(7);
    format!("{prefix}{}", draw.form(&format!("{{a{letters}}}")))
}

// What others' redactors leave as it is.
secrets_go! {
    an_aws_secret_with_blanks_around_the_sign: format!("aws_secret_access_key = {}", key("", 40)) => key("", 40);
    an_aws_secret_without_blanks: format!("AWS_SECRET_ACCESS_KEY={}", key("", 40)) => key("", 40);
    the_signature_of_an_azure_address: "https://a.blob.core.windows.net/c?sv=2024&sig=aB3%2BdE5fG7hJ9kL2mN4%3D&se=2026" => "aB3%2BdE5fG7hJ9kL2mN4";
    a_redis_address_without_a_user: "redis://:hunter2@cache:6379/0" => "hunter2";
    a_password_of_mysql: "mysql -u root -phunter2 shop" => "hunter2";
    a_user_of_curl: "curl -s -u bob:hunter2 https://example.com" => "hunter2";
    a_cookie: "Cookie: session=q7w8e9r0; theme=dark" => "q7w8e9r0";
    a_gitlab_token: key(concat!("gl", "pat-"), 20) => key(concat!("gl", "pat-"), 20);
    a_slack_webhook: format!("https://hooks.slack.com/services/T00000000/B00000000/{}", key("", 24)) => key("", 24);
    a_discord_webhook: format!("https://discord.com/api/webhooks/123456789012345678/{}", key("", 68)) => key("", 68);
    the_users_part_of_an_address: "https://user:hunter22@api.example.com/v1" => "hunter22";
    the_query_of_an_address: "https://api.example.com/v1?api_key=q7w8e9r0&x=1" => "q7w8e9r0";
    a_token_in_a_tools_name: format!("push_to_{}", key(concat!("gh", "p_"), 36)) => key(concat!("gh", "p_"), 36);
    a_vendor_that_a_list_had_missed: key(concat!("tv", "ly-"), 32) => key(concat!("tv", "ly-"), 32);
    half_of_a_key_that_was_cut: format!("{}…", key(concat!("sk-", "ant-api03-"), 30)) => key(concat!("sk-", "ant-api03-"), 30);
    a_header_of_an_exporter: "OTEL_EXPORTER_OTLP_HEADERS=authorization=Basic cGstbGY6c2stbGY=" => "cGstbGY6c2stbGY";
    a_bearer_header: format!("Authorization: Bearer {}", key("", 40)) => key("", 40);
    a_database_address: "postgres://app:s3cr3tpw@db/x" => "s3cr3tpw";
}

/// Personal data, and what it is marked as.
macro_rules! personal_data_goes {
    ($($name:ident: $text:expr => $mark:expr;)*) => {$(
        #[test]
        fn $name() {
            let redactor = hermes::Redactor::new().personal_data();
            let clean = redactor.redact($text).into_owned();
            assert!(clean.contains(concat!("[", $mark, ":")), "{clean}");
            assert_eq!(redactor.redact(&clean), clean);
            assert_eq!(hermes::Redactor::new().redact($text), $text, "without being asked");
        }
    )*};
}

personal_data_goes! {
    an_address_in_a_messages_name: r#"{"role":"user","name":"bob@example.com"}"# => "email";
    an_address_in_prose: "write to ada.lovelace@example.co.uk today" => "email";
    an_international_telephone: "call +49 30 901820" => "phone";
    a_telephone_without_groups: "call +14155550123" => "phone";
    an_american_telephone: "call (415) 555-2671" => "phone";
    a_card_with_blanks: "4111 1111 1111 1111" => "card";
    a_card_without_blanks: "5555555555554444" => "card";
    an_account: "DE89 3704 0044 0532 0130 00" => "iban";
    a_social_security_number: "219-09-9999" => "ssn";
    an_address_of_a_machine: "from 203.0.113.7" => "ip";
    a_long_address_of_a_machine: "from 2001:db8:85a3::8a2e:370:7334" => "ip";
    a_uuid: "550e8400-e29b-41d4-a716-446655440000" => "uuid";
}

/// Numbers that others' redactors take for telephones.
macro_rules! numbers_stay {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            let redactor = hermes::Redactor::new().personal_data();
            assert_eq!(redactor.redact($text), $text);
        }
    )*};
}

numbers_stay! {
    a_count_of_rows: "built 1234567 rows";
    a_time_in_seconds: "at 1700000000";
    a_time_in_milliseconds: "at 1700000000123";
    a_short_commit_of_digits: "commit 1234567";
    a_short_commit: "commit 3f2a9c1";
    a_date: "2024-05-13 12:30:00";
    a_version: "version 10.0.19041.1";
    an_order: "order 1234567890123456";
    a_size: "5551234 bytes";
    this_machine: "127.0.0.1:8080";
}
