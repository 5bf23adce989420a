//! Redaction from end to end: what was recorded with a secret in it has none in the store and none on the wire.

use hermes::{ContentCapture, ErrorKind};

use crate::support::collector::Collector;
use crate::support::{Bench, SOON, script};

/// Put together here, so that no scanner takes this file for a leak.
fn token() -> String {
    format!("{}_{}", "ghp", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
}

#[test]
fn a_secret_in_an_address_reaches_nothing() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .capture_content(ContentCapture::On)
    });
    bench.run(|| {
        let session = hermes::session("s1").start();
        session
            .chat("m")
            .base_url("https://user:hunter22@api.example.com/v1?api_key=q7w8e9r0t1")
            .start()
            .end();
    });
    let sent = format!("{:?}", collector.wait_for(2, SOON));
    let kept = format!("{:?}", bench.all_spans());
    for secret in ["hunter22", "q7w8e9r0t1"] {
        assert!(!sent.contains(secret) && !kept.contains(secret), "{kept}");
    }
}

#[test]
fn a_secret_in_a_tools_name_is_marked_with_content_off() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    let token = token();
    bench.run(|| {
        let session = hermes::session("s1").start();
        session.tool(format!("push {token}")).start().end();
    });
    let sent = format!("{:?}", collector.wait_for(2, SOON));
    let kept = format!("{:?}", bench.all_spans());
    assert!(!sent.contains(&token) && !kept.contains(&token), "{kept}");
    assert!(
        kept.contains("push [secret:") && sent.contains("push [secret:"),
        "{kept}"
    );
}

#[test]
fn personal_data_goes_from_content_where_that_is_asked_for_and_ids_stay() {
    #[hermes::turn(user_message = text)]
    fn turn(text: &str) {
        let _ = text;
    }
    let text = r#"[{"role":"user","name":"bob@example.com","content":"call +49 30 901820"}]"#;
    for asked in [false, true] {
        let bench = Bench::with(|builder| {
            builder
                .capture_content(ContentCapture::On)
                .redact_personal_data(asked)
        });
        let id = "550e8400-e29b-41d4-a716-446655440000";
        bench.run(|| {
            let _session = tracing::info_span!("hermes.session", hermes.session.id = id).entered();
            turn(text);
        });
        let kept = format!("{:?}", bench.all_spans());
        assert_eq!(kept.contains("bob@example.com"), !asked, "{kept}");
        assert_eq!(kept.contains("901820"), !asked, "{kept}");
        assert!(kept.contains(id), "{kept}");
    }
}

#[test]
fn a_pattern_of_the_users_holds_for_everything_that_is_kept() {
    let bench = Bench::with(|builder| builder.redact_pattern(r"\bACME-(\d{6})\b"));
    bench.run(|| {
        let session = hermes::session("s1").start();
        session.tool("badge ACME-123456").start().end();
    });
    let kept = format!("{:?}", bench.all_spans());
    assert!(
        kept.contains("badge ACME-[secret:") && !kept.contains("123456"),
        "{kept}"
    );
}

#[test]
fn a_pattern_that_cannot_be_used_is_an_error_in_one_line() {
    let built = hermes::builder()
        .redact_pattern("(unclosed")
        .build::<tracing_subscriber::Registry>();
    let Err(error) = built else {
        panic!("it was taken");
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let told = error.to_string();
    assert!(
        told.contains("\"(unclosed\"") && told.contains("unclosed group"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
}

#[test]
fn the_scripted_session_leaves_no_secret() {
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::On));
    bench.run(script::session);
    let kept = format!("{:?}", bench.all_spans());
    assert!(!kept.contains("hunter22"), "{kept}");
}
