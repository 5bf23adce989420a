//! Holds the redactor to its word: secrets go, everything else stays, JSON stays JSON.

use super::*;

fn redact(text: &str) -> String {
    Redactor::with_key([7; 16], Rules::default())
        .redact(text)
        .into_owned()
}

/// The text with every mark in the same form, for tables.
fn plain(text: &str) -> String {
    let clean = redact(text);
    let mut plain = String::new();
    let mut done = 0;
    for mark in mark::all(&clean) {
        plain.push_str(&clean[done..mark.start]);
        plain.push('§');
        done = mark.end;
    }
    plain.push_str(&clean[done..]);
    assert_eq!(redact(&clean), clean, "not idempotent: {text}");
    plain
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(plain(text), *expected, "{text}");
    }
}

#[test]
fn every_pattern_compiles() {
    let anchors = ANCHORS.as_ref().unwrap();
    for rule in anchors.rules() {
        assert!(rule.pattern().is_some(), "{}", rule.kind.pattern);
    }
}

/// Made up here, letter by letter, so that no scanner takes this file for a leak.
fn made_up(prefix: &str, alphabet: &str, length: usize) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    let body = (0..length).map(|index| letters[(index * 7 + index / 3) % letters.len()]);
    format!("{prefix}{}", body.collect::<String>())
}

const ALNUM: &str = "aB3dE5fG7hJ9kL2mN4pQ6rS8tV1wX0yZ";
const HEX: &str = "0a1b2c3d4e5f6789";

#[test]
fn keys_of_vendors() {
    let keys = [
        ("sk-ant-api03-", ALNUM, 90),
        ("sk-proj-", ALNUM, 60),
        ("sk-svcacct-", ALNUM, 60),
        ("sk-", ALNUM, 48),
        ("sk-or-v1-", HEX, 64),
        ("gsk_", ALNUM, 52),
        ("xai-", ALNUM, 80),
        ("hf_", ALNUM, 34),
        ("r8_", ALNUM, 37),
        ("tvly-dev-", ALNUM, 32),
        ("pplx-", ALNUM, 48),
        ("nvapi-", ALNUM, 64),
        ("fw_", ALNUM, 24),
        ("jina_", ALNUM, 60),
        ("lsv2_pt_", ALNUM, 40),
        ("pcsk_", ALNUM, 60),
        ("e2b_", HEX, 40),
        ("AIza", ALNUM, 35),
        ("AQ.Ab8", ALNUM, 40),
        ("ya29.", ALNUM, 60),
        ("GOCSPX-", ALNUM, 28),
        ("dop_v1_", HEX, 64),
        ("dapi", HEX, 32),
        ("hvs.", ALNUM, 24),
        ("ghp_", ALNUM, 36),
        ("gho_", ALNUM, 36),
        ("ghu_", ALNUM, 36),
        ("ghs_", ALNUM, 36),
        ("ghr_", ALNUM, 36),
        ("github_pat_", ALNUM, 82),
        ("glpat-", ALNUM, 20),
        ("npm_", ALNUM, 36),
        ("pypi-", ALNUM, 120),
        ("dckr_pat_", ALNUM, 27),
        ("glc_", ALNUM, 60),
        ("xoxb-", "1234567890-aBcD", 40),
        ("xoxp-", ALNUM, 40),
        ("xapp-1-", ALNUM, 40),
        ("key-", HEX, 32),
        ("sk_live_", ALNUM, 24),
        ("rk_live_", ALNUM, 24),
        ("whsec_", ALNUM, 32),
        ("shpat_", HEX, 32),
        ("SK", HEX, 32),
        ("ntn_", ALNUM, 40),
        ("figd_", ALNUM, 40),
        ("lin_api_", ALNUM, 40),
        ("AKIA", "ABCDEFGH2345", 16),
        ("ASIA", "ABCDEFGH2345", 16),
        ("tskey-auth-", ALNUM, 30),
        ("sntrys_", ALNUM, 60),
        ("PMAK-", HEX, 24),
    ];
    for (prefix, alphabet, length) in keys {
        let mut key = made_up(prefix, alphabet, length);
        if prefix == "PMAK-" {
            key.push_str(&made_up("-", HEX, 34));
        }
        check(&[
            (&key, "§"),
            (&format!("use {key} now"), "use § now"),
            (&format!("(\"{key}\")"), "(\"§\")"),
            (
                &format!(r#"{{"out":"line\n{key}\n"}}"#),
                r#"{"out":"line\n§\n"}"#,
            ),
            (&format!("?x=%20{key}&y=1"), "?x=%20§&y=1"),
        ]);
    }
    let sendgrid = format!("SG.{}.{}", made_up("", ALNUM, 22), made_up("", ALNUM, 43));
    let telegram = made_up("123456789:AA", ALNUM, 33);
    let slack = format!(
        "https://hooks.slack.com/services/T00000000/B00000000/{}",
        made_up("", ALNUM, 24)
    );
    let discord = format!(
        "https://discord.com/api/webhooks/123456789012345678/{}",
        made_up("", ALNUM, 68)
    );
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    check(&[
        (&sendgrid, "§"),
        (&telegram, "§"),
        (&slack, "https://hooks.slack.com/services/§"),
        (
            &discord,
            "https://discord.com/api/webhooks/123456789012345678/§",
        ),
        (&format!("jwt {jwt}."), "jwt §."),
        (&jwt[..60], "§"),
    ]);
}

#[test]
fn names_and_values() {
    check(&[
        ("password=hunter2", "password=§"),
        ("password = hunter2", "password = §"),
        ("Password: hunter2, user: bob", "Password: §, user: bob"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=§ psql"),
        ("export FOO_API_KEY=abc,def;ghi", "export FOO_API_KEY=§"),
        ("A=1\nDB_PASS=x&y\nB=2", "A=1\nDB_PASS=§\nB=2"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "aws_secret_access_key = §",
        ),
        ("token: aB3dE5fG7hJ9", "token: §"),
        ("pass=hunter2 DB_PASS: hunter2", "pass=§ DB_PASS: §"),
        ("clientSecret: 'abc'", "clientSecret: '§'"),
        ("x-api-key: abc123", "x-api-key: §"),
        ("API key: abc123", "API key: §"),
        (
            "your Access Token is set; access token = abc1",
            "your Access Token is set; access token = §",
        ),
        (
            "seed phrase: correct horse battery staple",
            "seed phrase: §",
        ),
        ("--password hunter2 --user bob", "--password § --user bob"),
        ("--api-key=abc --verbose", "--api-key=§ --verbose"),
        ("--password --user bob", "--password --user bob"),
        ("?api_key=abc&x=1", "?api_key=§&x=1"),
        ("api_key%3Dabc", "api_key%3D§"),
        ("&sig=aB3%2BdE5fG7hJ9kL2mN4%3D&se=2024", "&sig=§&se=2024"),
        (
            "X-Amz-Signature=0a1b2c3d4e5f67890a1b2c3d4e5f6789",
            "X-Amz-Signature=§",
        ),
        (
            "AccountName=me;AccountKey=aB3dE5fG7hJ9kL2m==;Suffix=x",
            "AccountName=me;AccountKey=§;Suffix=x",
        ),
        (
            "Server=db;User Id=sa;Password=p4ss;Encrypt=true",
            "Server=db;User Id=sa;Password=§;Encrypt=true",
        ),
        (
            r#""connectionString": "Server=db;Password=p4ss""#,
            r#""connectionString": "§""#,
        ),
        ("<password>hunter2</password>", "<password>§</password>"),
        ("password: str = \"hunter2\"", "password: str = \"§\""),
        (
            "let password: &str = \"hunter2\";",
            "let password: &str = \"§\";",
        ),
        (
            "os.environ[\"API_KEY\"] = \"abc\"",
            "os.environ[\"API_KEY\"] = \"§\"",
        ),
        (":password => 'abc'", ":password => '§'"),
        ("if password == b'abc':", "if password == b'§':"),
        ("password = \"\"\"abc\"\"\"", "password = \"\"\"§\"\"\""),
        (
            "ALTER USER bob WITH PASSWORD 'abc'",
            "ALTER USER bob WITH PASSWORD '§'",
        ),
        ("password=\"cut off here", "password=\"§"),
    ]);
}

#[test]
fn names_and_values_in_json() {
    check(&[
        (
            r#"{"password":"hunter2","n":1}"#,
            r#"{"password":"§","n":1}"#,
        ),
        (
            r#"{"password": "a\"b\\", "n": 1}"#,
            r#"{"password": "§", "n": 1}"#,
        ),
        (
            r#"{"password": 123456, "n": 1}"#,
            r#"{"password": "§", "n": 1}"#,
        ),
        (r#"{"pass": "abc"}"#, r#"{"pass": "§"}"#),
        (
            r#"{"a":"{\"api_key\":\"zz top\",\"b\":1}"}"#,
            r#"{"a":"{\"api_key\":\"§\",\"b\":1}"}"#,
        ),
        (
            r#"{"a":"{\"b\":\"{\\\"secret\\\":\\\"x\\\\\\\"y\\\"}\"}"}"#,
            r#"{"a":"{\"b\":\"{\\\"secret\\\":\\\"§\\\"}\"}"}"#,
        ),
        (
            r#"{"a":"{\"secret\": 12345}"}"#,
            r#"{"a":"{\"secret\": \"§\"}"}"#,
        ),
        (
            r#"{"cmd":"TOKEN=1 PASSWORD=abc\nls"}"#,
            r#"{"cmd":"TOKEN=1 PASSWORD=§\nls"}"#,
        ),
        (
            r#"{"out":"line\napi_key=abc123\n"}"#,
            r#"{"out":"line\napi_key=§\n"}"#,
        ),
        (
            "{'client_secret': 'abc', 'x': 1}",
            "{'client_secret': '§', 'x': 1}",
        ),
        ("{\"password\": \"cut off here", "{\"password\": \"§"),
    ]);
}

#[test]
fn headers_urls_and_commands() {
    check(&[
        (
            "Authorization: Bearer abc.def-123",
            "Authorization: Bearer §",
        ),
        (
            "-H \"Authorization: Bearer abc\" https://x",
            "-H \"Authorization: Bearer §\" https://x",
        ),
        (
            r#"{"authorization":"Basic dXNlcjpwYXNz"}"#,
            r#"{"authorization":"Basic §"}"#,
        ),
        (
            r#"{"h":"{\"Authorization\": \"Bearer abc\"}"}"#,
            r#"{"h":"{\"Authorization\": \"Bearer §\"}"}"#,
        ),
        ("Authorization: abcdef", "Authorization: §"),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=AK/2024, Signature=0a1b",
            "Authorization: AWS4-HMAC-SHA256 §",
        ),
        (
            r#"Digest username="bob", response="0a1b2c3d4e5f67890a1b2c3d4e5f6789""#,
            r#"Digest username="bob", response="§""#,
        ),
        ("sent Bearer aB3dE5fG7hJ9kL2m", "sent Bearer §"),
        ("Basic dXNlcjpwYXNz", "Basic §"),
        (
            "Cookie: session=abc; theme=dark\nHost: x",
            "Cookie: §\nHost: x",
        ),
        (
            r#"{"Set-Cookie": "id=a3fWa; Max-Age=1", "x": 1}"#,
            r#"{"Set-Cookie": "§", "x": 1}"#,
        ),
        (
            "postgres://bob:p@ss@db:5432/x",
            "postgres://bob:§@db:5432/x",
        ),
        ("redis://:pw@host", "redis://:§@host"),
        (
            "https://bob:pw@host/v1?api_key=abc&x=1",
            "https://bob:§@host/v1?api_key=§&x=1",
        ),
        (
            r#"{"u":"https:\/\/bob:pw@host\/"}"#,
            r#"{"u":"https:\/\/bob:§@host\/"}"#,
        ),
        (
            "https://aB3dE5fG7hJ9kL2mN4pQ@github.com/x",
            "https://§@github.com/x",
        ),
        ("mysql -u root -phunter2 db", "mysql -u root -p§ db"),
        (
            "curl -s -u bob:hunter2 https://x",
            "curl -s -u bob:§ https://x",
        ),
        ("sshpass -p hunter2 ssh x", "sshpass -p § ssh x"),
        ("redis-cli -h x -a hunter2 ping", "redis-cli -h x -a § ping"),
        (
            "docker login -u bob -p hunter2 r.io",
            "docker login -u bob -p § r.io",
        ),
        (
            "CREATE USER a IDENTIFIED BY 'hunter2'",
            "CREATE USER a IDENTIFIED BY '§'",
        ),
    ]);
}

#[test]
fn private_keys_in_every_form() {
    const LINE: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let (begin, end) = (
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----END RSA PRIVATE KEY-----",
    );
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----";
    check(&[
        (&format!("a\n{begin}\n{LINE}\n{LINE}\n{end}\nb"), "a\n§\nb"),
        (
            &format!(r#"{{"k":"{begin}\n{LINE}\n{end}\n","x":1}}"#),
            r#"{"k":"§\n","x":1}"#,
        ),
        (
            &format!(r#"{{"k":"{begin}\n{LINE}\nMIIcut","x":1}}"#),
            r#"{"k":"§","x":1}"#,
        ),
        (&format!("{begin} {LINE} {LINE} {end} b"), "§ b"),
        (&format!("{begin} {LINE} and on"), "§ and on"),
        (&format!("{begin}\n{LINE}\n{LINE}"), "§"),
        (
            &format!(
                "{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\n{LINE}\nMII\nand some prose"
            ),
            "§\nand some prose",
        ),
        (certificate, certificate),
    ]);
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "hello world",
        "built 1234567 rows at 1700000000",
        "commit 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b",
        "trace 0af7651916cd43dd8448eb211c80319c",
        "id 550e8400-e29b-41d4-a716-446655440000",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "max_tokens: 500, total_tokens=1234",
        "\"usage\": {\"prompt_tokens\": 12, \"completion_tokens\": 3}",
        "author: John",
        "authority=none",
        "the secretary: Ann",
        "keyboard: us",
        "monkey=abc123def456ghi",
        "password: null",
        "\"password\": null",
        "\"password\": true",
        "password: str",
        "password: Option<String>",
        "api_key=os.environ[\"OPENAI_API_KEY\"]",
        "api_key = get_key()",
        "api_key=get_key()",
        "password=${DB_PASSWORD}",
        "token=$TOKEN",
        "password: <your password>",
        "PASSWORD=***",
        "password_length = 12",
        "secret_name: db",
        "\"secrets\": [1, 2]",
        "\"passwords\": {\"n\": 2}",
        "PWD_CHANGED_AT=2024",
        "Secret::new(x)",
        "passed: 12, failed: 3",
        "Pass: test_x",
        "all tests pass:\"done now\"",
        "=== All tests pass ===\")",
        "pass ==\"x\"",
        "key: value",
        "key=home",
        "cache key: 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b",
        "next_page_token=aB3dE5fG7hJ9kL2m",
        "session_id: 0af7651916cd43dd8448eb211c80319c",
        "token: the",
        "[secret:ab12]",
        "x [secret:ab12]: y",
        "password=[secret:ab12]",
        "Authorization: Bearer [secret:ab12]",
        "postgres://u:[secret:ab12]@h",
        "Authorization: Bearer $TOKEN",
        "Authorization: Bearer <token>",
        "basic authentication",
        "Basic JavaScript course",
        "bearer of bad news",
        "task-force-of-something-long",
        "scikit sk-learn-something-long-name",
        "a cookie: tasty",
        "http://host:80/path@x",
        "git@github.com:a/b.git",
        "ssh://git@github.com/a/b",
        "https://x.y/a?key=home&b=1",
        "https://docs.rs/regex/latest/regex/#syntax",
        "mysql --port 3306 -h db",
        "/usr/lib/python3.11/secrets.py",
        "from secrets import token_hex",
        "fn token(&self) -> Token {",
        "tokens: Vec<Token>,",
        "assert key in d",
        "sig = inspect",
    ] {
        assert_eq!(redact(text), text);
    }
    assert!(matches!(
        Redactor::with_key([0; 16], Rules::default()).redact("max_tokens: 5"),
        Cow::Borrowed(_)
    ));
}

#[test]
fn the_same_secret_gets_the_same_token_of_its_key() {
    let clean = redact("password=hunter2 and {\"secret\": \"hunter2\"} and PGPASSWORD=other");
    let tokens: Vec<&str> = mark::all(&clean).map(|mark| &clean[mark]).collect();
    assert_eq!(tokens.len(), 3);
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[0], tokens[2]);
    assert_eq!(redact("password=hunter2"), redact("password=hunter2"));
    assert_ne!(
        redact("password=hunter2"),
        Redactor::with_key([8; 16], Rules::default()).redact("password=hunter2")
    );
    assert!(!format!("{:?}", Redactor::with_key([42; 16], Rules::default())).contains("42"));
}

#[test]
fn json_stays_json() {
    let mut value = serde_json::json!({
        "api_key": "q\\",
        "password": "a\"b\\c\nd",
        "n": 1,
        "secret": 123_456_789,
        "key": ["x"],
        "auth": null,
        "secrets": {"a": 1},
        "header": "Digest username=\"x\", response=\"0a1b2c3d4e5f67890a1b2c3d4e5f6789\"",
    });
    for _ in 0..4 {
        let text = value.to_string();
        let clean = redact(&text);
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&clean);
        assert!(parsed.is_ok(), "{text}\n{clean}");
        assert!(
            !clean.contains("123456789") && !clean.contains("0a1b2c3d"),
            "{clean}"
        );
        assert_eq!(redact(&clean), clean);
        value = serde_json::json!({"args": text, "cmd": "curl -u a:b\\ \"x\" PASSWORD=a\\b"});
    }
}

#[test]
fn odd_texts_do_no_harm() {
    const PIECES: [&str; 27] = [
        "password",
        "=",
        ":",
        "\"",
        "\\",
        "'",
        "é",
        " ",
        "\n",
        "[secret:ab12]",
        "sk-",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "://",
        "@",
        "%3D",
        "key",
        "--",
        "{",
        "😀",
        "Bearer ",
        "x9aB3dE5fG7h",
        "cookie",
        "curl -u",
        "authorization",
        "]",
        "\\n",
    ];
    let mut seed = 1_u64;
    for _ in 0..30_000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(PIECES[usize::try_from(seed >> 33).unwrap_or(0) % PIECES.len()]);
        }
        let clean = redact(&text);
        assert_eq!(redact(&clean), clean, "{text:?}");
    }
}

proptest::proptest! {
    /// Whatever stands around it, a secret goes, and doing it again changes nothing.
    #[test]
    fn a_secret_goes_from_any_text(before in "[ -~\\n]{0,80}", after in "[ -~\\n]{0,80}") {
        let secret = made_up(concat!("gh", "p_"), "abcdefghijklmnopqrstuvwxyz0123456789", 36);
        let clean = redact(&format!("{before} {secret} {after}"));
        proptest::prop_assert!(!clean.contains(&secret), "{}", clean);
        proptest::prop_assert_eq!(redact(&clean), clean);
    }
}

/// Ids are not secrets: they lead from a span to the provider's own records.
#[test]
fn ids_of_calls_answers_and_sessions_stay() {
    for id in [
        "chatcmpl-9xYzAbCdEfGhIjKlMnOpQrStUvWxYz12",
        "chatcmpl-5f1c9a1e-7d0f-4c7a-9a52-0b1c2d3e4f5a",
        "resp_68a1f0c2b3d4819fa0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5",
        "msg_01XFDUDYJgAACzvnptvVoYEL",
        "toolu_01A09q90qw90lq917835lq9",
        "call_mszuSIzqtI65i1wAUOE8w5H4",
        "call_00_AbCdEfGhIjKlMnOpQrStUvWx",
        "gen-1712345678-AbCdEfGhIjKlMnOpQrSt",
        "req_011CSHoEeqs5C35K2UUqR7Fy",
        "5f1c9a1e-7d0f-4c7a-9a52-0b1c2d3e4f5a",
        "01JD3Z9V7Q8M5T2R4W6Y8A0C2E",
        "deepseek_bench1__django__django-10914__django__django-10914",
        "claude-sonnet-4-5-20250929",
        "accounts/fireworks/models/llama-v3p1-405b-instruct",
        "text-embedding-3-small",
        "0af7651916cd43dd8448eb211c80319c",
    ] {
        assert_eq!(redact(id), id);
    }
}

#[test]
fn the_letter_of_an_escape_does_not_hide_the_word_behind_it() {
    let redactor = Redactor::with_key([7; 16], Rules::default());
    // Put together here, so that no scanner takes this file for a leak.
    let licence = format!("{}{}", "8f3a1c9e7b2d4f60a5c8e1b3d7f92a4c6e08", "NRAL");
    let vault = format!("{}{}", "s.", "h7Qz2LmX9vKc4RtB1nWd6PyS");
    for secret in [licence, vault] {
        for text in [
            format!("use\\n{secret}\\nnow"),
            format!("{{\"a\":\"use\\\\n{secret}\"}}"),
        ] {
            let clean = redactor.redact(&text);
            assert!(!clean.contains(&secret[2..]), "{clean}");
        }
    }
}

#[test]
fn tokens_that_people_chose_go_where_only_tokens_stand() {
    check(&[
        (
            "https://h.example/a?token=hunter&x=1",
            "https://h.example/a?token=§&x=1",
        ),
        (
            "https://h.example/a?x=1&sig=aGVsbG8%3D",
            "https://h.example/a?x=1&sig=§",
        ),
        ("/a?x=1&amp;token=hunter7", "/a?x=1&amp;token=§"),
        ("/a?key=9f86d081884c7d659a2feaa0c55ad015", "/a?key=§"),
        ("token=550e8400-e29b-41d4-a716-446655440000", "token=§"),
        ("GITHUB_TOKEN=hunter", "GITHUB_TOKEN=§"),
        ("export HF_TOKEN=my-own-token\n", "export HF_TOKEN=§\n"),
        (
            "DEEPGRAM_KEY=9f86d081884c7d659a2feaa0c55ad015",
            "DEEPGRAM_KEY=§",
        ),
        (r#"{"token":"correct-horse-battery"}"#, r#"{"token":"§"}"#),
        // Pieces of an answer, places in a list, programs.
        (
            "ASSISTANT_TOKEN = \"ASSISTANT:\"",
            "ASSISTANT_TOKEN = \"ASSISTANT:\"",
        ),
        (r#"{"token":"co-operative"}"#, r#"{"token":"co-operative"}"#),
        (
            r#"{"token":" internationalization"}"#,
            r#"{"token":" internationalization"}"#,
        ),
        (
            "/a?page_token=hunter&next_token=abc",
            "/a?page_token=hunter&next_token=abc",
        ),
        ("/a?token=1&key=name", "/a?token=1&key=name"),
        ("f(token=token1, x=1)", "f(token=token1, x=1)"),
        (
            "TOKEN_LIMIT=4096 MAX_TOKENS=100000",
            "TOKEN_LIMIT=4096 MAX_TOKENS=100000",
        ),
        (
            "PRIMARY_KEY=9f86d081884c7d659a2feaa0c55ad015",
            "PRIMARY_KEY=9f86d081884c7d659a2feaa0c55ad015",
        ),
    ]);
}

#[test]
fn escapes_hide_no_secret() {
    let key = made_up(concat!("gh", "p_"), ALNUM, 36);
    let encoded = key.replace('_', "%5F");
    let twice = encoded.replace('%', "%25");
    for (text, expected) in [
        (format!("x={encoded}&y"), "x=§&y"),
        (format!("x={twice}&y"), "x=§&y"),
        (
            format!(r#"{{"a":"b\u003d{key}\u0026c"}}"#),
            r#"{"a":"b\u003d§\u0026c"}"#,
        ),
        (
            "%22password%22%3A%22hunter2%22%7D".to_owned(),
            "%22password%22%3A%22§%22%7D",
        ),
        (
            "u%3Fpassword%253Dhunter2%2526b".to_owned(),
            "u%3Fpassword%253D§",
        ),
        (
            r"b'\x22password\x22: \x22hunter2\x22'".to_owned(),
            r"b'\x22password\x22: \x22§\x22'",
        ),
        ("100%20s %d %s%%".to_owned(), "100%20s %d %s%%"),
    ] {
        assert_eq!(plain(&text), expected, "{text}");
    }
}

#[test]
fn a_word_glued_to_a_key_does_not_hide_it() {
    let key = made_up(concat!("gh", "p_"), ALNUM, 36);
    let cloud = made_up(concat!("AK", "IA"), "X2KQ7ZWJ5VBN3R", 16);
    for (text, expected) in [
        (format!("token{key}"), "§"),
        (format!("here it is{cloud}."), "here it is§."),
        (
            "the-task-force-of-tomorrow-morning shelf_life".to_owned(),
            "the-task-force-of-tomorrow-morning shelf_life",
        ),
    ] {
        assert_eq!(plain(&text), expected, "{text}");
    }
}
