//! The attribute names that Claude Code gives its spans, whose input tokens exclude cached ones.

use tracing::field::Empty;
use tracing::info_span;

use super::Seen;

#[test]
fn an_interaction_is_a_turn_with_its_calls_and_tools() {
    let seen = Seen::of(|| {
        let turn = info_span!(
            "claude_code.interaction",
            span.type = "interaction",
            session.id = "s-1",
            user_prompt = "PRIVATE",
            interaction.sequence = 1_i64,
        );
        turn.in_scope(|| {
            drop(info_span!(
                "claude_code.llm_request",
                span.type = "llm_request",
                model = "claude-9",
                gen_ai.system = "anthropic",
                gen_ai.request.model = "claude-9",
                input_tokens = 2_i64,
                output_tokens = 1_200_i64,
                cache_read_tokens = 84_562_i64,
                cache_creation_tokens = 7_096_i64,
                ttft_ms = 250_i64,
                attempt = 2_i64,
                success = true,
                status_code = 200_i64,
                stop_reason = "tool_use",
            ));
            let tool = info_span!(
                "claude_code.tool",
                span.type = "tool",
                tool_name = "Bash",
                tool_use_id = "toolu_1",
                duration_ms = 3_i64,
            );
            tool.in_scope(|| {
                drop(info_span!(
                    "claude_code.tool.execution",
                    duration_ms = 2_i64,
                    success = true
                ));
            });
            drop(tool);
            drop(info_span!(
                "claude_code.llm_request",
                model = "claude-9",
                input_tokens = Empty,
                success = false,
                status_code = 529_i64,
                error = "Overloaded",
            ));
        });
    });
    assert_eq!(
        seen.picture(),
        "hermes.turn\n  chat claude-9\n  hermes.tool.Bash\n  chat claude-9 [error] ✗ 529\n"
    );
    let call = &seen.model_calls()[0];
    assert_eq!(call.input_tokens, Some(91_660));
    assert_eq!(
        (call.cache_read_tokens, call.cache_write_tokens),
        (Some(84_562), Some(7_096))
    );
    assert_eq!((call.ttft_ms, call.retry_count), (Some(250), 1));
    assert_eq!(call.finish_reason.as_deref(), Some("tool_use"));
    assert_eq!(seen.tool_calls()[0].call_id.as_deref(), Some("toolu_1"));
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("PRIVATE"));
}

#[test]
fn a_small_cache_is_not_counted_in_either() {
    let seen = Seen::of(|| {
        drop(info_span!(
            "claude_code.llm_request",
            model = "claude-9",
            input_tokens = 100_i64,
            cache_read_tokens = 50_i64,
        ));
    });
    assert_eq!(seen.tokens().0, 150);
}

#[test]
fn a_wait_for_the_user_is_no_work_and_its_decision_is_the_tools() {
    let seen = Seen::of(|| {
        let tool = info_span!("claude_code.tool", span.type = "tool", tool_name = "Bash");
        tool.in_scope(|| {
            drop(info_span!(
                "claude_code.tool.blocked_on_user",
                span.type = "tool.blocked_on_user",
                duration_ms = 3_i64,
                decision = "accept",
                source = "user_temporary",
            ));
        });
    });
    assert_eq!(seen.picture(), "hermes.tool.Bash\n  hermes.approval\n");
    let wait = seen.bench.span("hermes.approval");
    assert_eq!(wait.attributes["hermes.approval.decision"], "accept");
    assert_eq!(wait.attributes["hermes.approval.surface"], "user_temporary");
    let approval: String = seen.bench.sql("SELECT approval FROM tel_tool_calls");
    assert_eq!(approval, "accept");
}

#[test]
fn a_span_is_known_by_its_type_where_a_field_is_missing() {
    let seen = Seen::of(|| {
        let turn = info_span!("claude_code.interaction", span.type = "interaction");
        turn.in_scope(|| {
            drop(info_span!(
                "claude_code.llm_request",
                span.type = "llm_request",
                gen_ai.request.model = "claude-9",
                input_tokens = 2_i64,
                cache_read_tokens = 10_i64,
            ));
        });
    });
    assert_eq!(seen.picture(), "hermes.turn\n  chat claude-9\n");
    assert_eq!(seen.tokens().0, 12);
}
