//! Failures of other libraries' calls, in all the places where they are told.

use tracing::field::Empty;
use tracing::{error, info_span};

use super::Seen;

#[tracing::instrument(err, fields(gen_ai.operation.name = "chat", gen_ai.request.model = "gpt-9", gen_ai.response.id = Empty))]
fn complete(id: Option<&str>) -> Result<(), std::io::Error> {
    if let Some(id) = id {
        tracing::Span::current().record("gen_ai.response.id", id);
    }
    Err(std::io::Error::other("HTTP 429 Too Many Requests"))
}

#[test]
fn what_instrument_err_says_is_the_failure() {
    for id in [None, Some("resp_1")] {
        let seen = Seen::of(|| drop(complete(id)));
        assert_eq!(seen.picture(), "chat gpt-9 [error] ✗ rate_limit\n");
        assert!(seen.sent("chat gpt-9").status_message.contains("429"));
    }
}

#[test]
fn fields_that_tell_of_a_failure_are_read() {
    for case in 0..6 {
        let seen = Seen::of(|| {
            macro_rules! call {
                ($($field:tt)+) => {
                    drop(info_span!("c", gen_ai.operation.name = "chat", gen_ai.request.model = "m", $($field)+))
                };
            }
            match case {
                0 => call!(error = "HTTP 503 from upstream"),
                1 => call!(error.message = "HTTP 503 from upstream"),
                2 => {
                    call!(exception.message = "HTTP 503 from upstream", exception.type = "provider_error");
                }
                3 => call!(error = true, error.message = "HTTP 503 from upstream"),
                4 => call!(
                    otel.status_code = "ERROR",
                    otel.status_description = "HTTP 503 from upstream"
                ),
                _ => call!(error = %"HTTP 503 from upstream"),
            }
        });
        assert_eq!(
            seen.picture(),
            "chat m [error] ✗ provider_error\n",
            "{case}"
        );
        assert_eq!(seen.sent("chat m").status_message, "HTTP 503 from upstream");
    }
}

#[test]
fn fields_that_tell_of_none_are_read_too() {
    for case in 0..4 {
        let seen = Seen::of(|| {
            macro_rules! call {
                ($($field:tt)+) => {
                    drop(info_span!("c", gen_ai.operation.name = "chat", gen_ai.request.model = "m", $($field)+))
                };
            }
            match case {
                0 => call!(error = false),
                1 => call!(error = ?None::<String>),
                2 => call!(error = ""),
                _ => call!(otel.status_code = "OK", error = Empty),
            }
        });
        assert_eq!(seen.picture(), "chat m\n", "{case}");
    }
}

#[test]
fn an_error_that_was_survived_is_no_failure() {
    let seen = Seen::of(|| {
        let call = info_span!(
            "c",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m",
            gen_ai.response.id = Empty
        );
        call.in_scope(|| error!(error = "HTTP 503", attempt = 1, "trying again"));
        call.record("gen_ai.response.id", "resp_1");
        drop(call);
    });
    assert_eq!(seen.picture(), "chat m\n");
}

#[test]
fn another_crates_error_is_not_the_spans() {
    let seen = Seen::of(|| {
        let call = info_span!(
            "c",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m"
        );
        call.in_scope(|| error!(target: "pool::idle", error = "connection reset"));
        drop(call);
    });
    assert_eq!(seen.picture(), "chat m\n");
}

#[test]
fn error_texts_stay_away_where_they_are_not_wanted() {
    let seen = Seen::with(
        |builder| builder.capture_error_text(false),
        || {
            drop(info_span!(
                "c",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "m",
                error = "SECRET 503"
            ));
            let _ = complete(None);
        },
    );
    let text = format!("{:?}{:?}", seen.sent, seen.bench.all_spans());
    assert!(!text.contains("SECRET"), "{text}");
    assert!(!text.contains("Too Many"), "{text}");
}
