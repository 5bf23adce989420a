use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use super::{Line, Unreadable};
use crate::record::{
    ErrorClass, EventRecord, Facts, Failure, Happening, RunId, RunRecord, SpanId, SpanRecord,
    Status, TraceId, Value, What, WriterIdentity,
};
use crate::semconv::{Fact, Kind};

/// What a line says, in a form that tells NaN from nothing and 1 from 1.0.
fn shown(line: &Line<'_>) -> String {
    format!("{line:?}")
}

fn written(line: &Line<'_>) -> Vec<u8> {
    let mut buffer = Vec::new();
    line.put(&mut buffer).unwrap();
    buffer
}

fn span(record: SpanRecord) -> Line<'static> {
    Line::Span {
        writer: "42-abc".into(),
        batch: 7,
        record: Cow::Owned(record),
    }
}

fn sample() -> SpanRecord {
    SpanRecord {
        is_sampled: false,
        trace_id: TraceId::from_bytes([1; 16]).unwrap(),
        span_id: SpanId::from_bytes([2; 8]).unwrap(),
        parent_span_id: None,
        wire_parent_span_id: None,
        remote_parent_span_id: None,
        run: RunRecord {
            run_id: RunId::from_bytes([3; 16]).unwrap(),
            is_root: false,
        },
        kind: Kind::Tool,
        given_name: None,
        start_ns: 1,
        end_ns: Some(2),
        status: Status::Ok,
        failure: None,
        facts: Facts::default(),
        extra: Vec::new(),
        events: Vec::new(),
        links: Vec::new(),
        retries: None,
        withdrawn: false,
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("a\nb\r\u{0}\u{2028}\"\\".to_owned()),
        Just("12".to_owned()),
        Just(String::new()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_map(Value::Double),
        // Fractions that look whole, the largest, the smallest, and what JSON has no word for.
        select(vec![
            1.0,
            -0.0,
            1e16,
            1e300,
            f64::MIN_POSITIVE,
            5e-324,
            0.1 + 0.2
        ])
        .prop_map(Value::Double),
        select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).prop_map(Value::Double),
        text().prop_map(Value::from),
        vec(text(), 0..4).prop_map(Value::Texts),
    ]
}

fn attributes() -> impl Strategy<Value = Vec<(Cow<'static, str>, Value)>> {
    vec((text().prop_map(Cow::Owned), value()), 0..5)
}

fn span_id() -> impl Strategy<Value = SpanId> {
    any::<[u8; 8]>().prop_filter_map("an id", SpanId::from_bytes)
}

fn trace_id() -> impl Strategy<Value = TraceId> {
    any::<[u8; 16]>().prop_filter_map("an id", TraceId::from_bytes)
}

fn event() -> impl Strategy<Value = EventRecord> {
    (text(), any::<i64>(), attributes()).prop_map(|(name, time_ns, attributes)| EventRecord {
        name: Cow::Owned(name),
        time_ns,
        attributes,
    })
}

fn failure() -> impl Strategy<Value = Failure> {
    let class = select(vec![
        ErrorClass::RateLimit,
        ErrorClass::Cancelled,
        ErrorClass::Unknown,
    ]);
    (text(), class, option::of(text())).prop_map(|(error_type, class, message)| Failure {
        error_type: Cow::Owned(error_type),
        class,
        message,
    })
}

fn record() -> impl Strategy<Value = SpanRecord> {
    let ids = (
        trace_id(),
        span_id(),
        option::of(span_id()),
        option::of(span_id()),
        any::<[u8; 16]>().prop_filter_map("an id", RunId::from_bytes),
        option::of(span_id()),
    );
    let state = (
        any::<bool>(),
        select(Kind::ALL.to_vec()),
        option::of(text()),
        any::<i64>(),
        option::of(any::<i64>()),
        select(vec![
            Status::Running,
            Status::Ok,
            Status::Error,
            Status::Cancelled,
            Status::Interrupted,
        ]),
        option::of(failure()),
    );
    let held = (
        vec((select(Fact::ALL.to_vec()), value()), 0..12),
        attributes(),
        vec(event(), 0..3),
        vec((trace_id(), span_id()), 0..3),
    );
    (ids, state, held).prop_map(|(ids, state, held)| {
        let mut facts = Facts::default();
        for (fact, value) in held.0 {
            facts.set(fact, value);
        }
        SpanRecord {
            is_sampled: false,
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            wire_parent_span_id: ids.3,
            remote_parent_span_id: ids.3,
            run: RunRecord {
                run_id: ids.4,
                is_root: state.0,
            },
            kind: state.1,
            given_name: state.2.map(Cow::Owned),
            start_ns: state.3,
            end_ns: state.4,
            status: state.5,
            failure: state.6,
            facts,
            extra: held.1,
            events: held.2,
            links: held.3,
            retries: ids.5,
            withdrawn: false,
        }
    })
}

proptest! {
    #[test]
    fn a_record_is_one_line_and_reads_back_as_it_was(record in record()) {
        let line = span(record);
        let bytes = written(&line);
        assert_eq!(bytes.iter().position(|&byte| byte == b'\n'), Some(bytes.len() - 1));
        assert!(std::str::from_utf8(&bytes).is_ok());
        assert_eq!(shown(&Line::read(&bytes).unwrap()), shown(&line));
    }

    #[test]
    fn of_a_withdrawn_record_only_its_place_is_kept(record in record()) {
        let mut kept = SpanRecord {
            parent_span_id: record.parent_span_id,
            wire_parent_span_id: record.wire_parent_span_id,
            remote_parent_span_id: record.remote_parent_span_id,
            trace_id: record.trace_id,
            span_id: record.span_id,
            run: record.run.clone(),
            kind: record.kind,
            start_ns: record.start_ns,
            end_ns: record.end_ns,
            status: record.status,
            ..sample()
        };
        kept.withdrawn = true;
        let line = span(SpanRecord { withdrawn: true, ..record });
        assert_eq!(shown(&Line::read(&written(&line)).unwrap()), shown(&span(kept)));
    }

    #[test]
    fn a_changed_byte_or_a_cut_line_is_no_line(
        record in record(),
        at in any::<proptest::sample::Index>(),
        flip in 0_u8..8,
    ) {
        let bytes = written(&span(record));
        let whole = bytes.len() - 1;
        let at = at.index(whole);
        assert_eq!(Line::read(&bytes[..at]).unwrap_err(), Unreadable::Damaged);
        let mut changed = bytes.clone();
        changed[at] ^= 1 << flip;
        if let Ok(line) = Line::read(&changed) {
            // The sum's own name was hit: then all that it stands for is as it was.
            assert_eq!(shown(&line), shown(&Line::read(&bytes).unwrap()));
        }
    }
}

fn happened(what: What) -> Line<'static> {
    Line::Event {
        writer: Cow::Borrowed("42-abc"),
        event: Cow::Owned(Happening {
            ts_ns: 5,
            run_id: matches!(what, What::Cron { .. }).then(|| RunId::from_bytes([3; 16]).unwrap()),
            what,
        }),
    }
}

#[test]
fn every_other_line_reads_back_as_it_was() {
    let identity = WriterIdentity {
        host: Some("käfer".to_owned()),
        ..WriterIdentity::of_this_process(1_700_000_000_000_000_000)
    };
    let writer = || Cow::Borrowed("42-abc");
    for line in [
        Line::Log {
            created_ns: 12,
            version: "0.1.0".into(),
        },
        Line::Writer(Cow::Borrowed(&identity)),
        Line::Writer(Cow::Owned(WriterIdentity::of_id("7-x", 3))),
        happened(What::Gateway {
            platform: "telegram".to_owned(),
            direction: "inbound".to_owned(),
            result: String::new(),
            voice: true,
            attachments: 3,
        }),
        happened(What::Cron {
            kind: "a\nb".to_owned(),
            result: "ok".to_owned(),
        }),
        happened(What::Skill {
            action: "used".to_owned(),
            skill_name: "käse".to_owned(),
        }),
        happened(What::Memory {
            action: "read".to_owned(),
            result: "ok".to_owned(),
        }),
        happened(What::Feedback {
            kind: "thumbs_up".to_owned(),
        }),
        happened(What::Error {
            class: ErrorClass::RateLimit,
            subsystem: "gateway".to_owned(),
            recovery: "none".to_owned(),
        }),
        Line::Seen {
            writer: writer(),
            at_ns: 99,
        },
        Line::Losses {
            writer: writer(),
            losses: vec![("queue_full".into(), 3), ("filtered".into(), 1)],
        },
        Line::Missing {
            writer: writer(),
            spans: 512,
        },
        Line::Closed { writer: writer() },
    ] {
        assert_eq!(shown(&Line::read(&written(&line)).unwrap()), shown(&line));
    }
}

#[test]
fn a_line_is_what_the_contract_says() {
    let mut record = sample();
    record.facts.set(Fact::ToolName, "read_file");
    record.facts.set(Fact::ToolDurationMs, 3);
    record.facts.set(Fact::CostUsd, f64::NAN);
    record.failure = Some(Failure {
        error_type: "timeout".into(),
        class: ErrorClass::ProviderTimeout,
        message: None,
    });
    let line = String::from_utf8(written(&span(record))).unwrap();
    assert_eq!(
        line,
        concat!(
            r#"{"v":1,"line":"ended","writer":"42-abc","batch":7,"#,
            r#""trace_id":"01010101010101010101010101010101","span_id":"0202020202020202","#,
            r#""run_id":"03030303030303030303030303030303","is_root":false,"kind":"hermes.tool","#,
            r#""start_ns":1,"end_ns":2,"status":"ok","#,
            r#""failure":{"type":"timeout","class":"provider_timeout"},"#,
            r#""facts":{"gen_ai.tool.name":"read_file","hermes.tool.duration_ms":3,"#,
            r#""hermes.cost_usd":{"double":"NaN"}},"sum":"SUM"}"#,
            "\n"
        )
        .replace("SUM", &line[line.len() - 19..line.len() - 3])
    );
}

#[test]
fn lines_of_other_programs_and_of_later_versions() {
    let of_hand = br#"{"v":1,"line":"seen","writer":"w","at_ns":5,"note":"by hand"}"#;
    assert!(matches!(
        Line::read(of_hand),
        Ok(Line::Seen { at_ns: 5, .. })
    ));
    let later = br#"{"v":2,"line":"seen","writer":"w","at_ns":5}"#;
    assert_eq!(Line::read(later).unwrap_err(), Unreadable::Newer);
    for broken in [
        &b"{}"[..],
        b"",
        b"[]",
        b"\xff\xfe",
        br#"{"v":1,"line":"x","writer":"w"}"#,
    ] {
        assert_eq!(Line::read(broken).unwrap_err(), Unreadable::Damaged);
    }
    let mut record = sample();
    record.extra.push(("hermes.from.tomorrow".into(), 5.into()));
    let line = String::from_utf8(written(&span(record))).unwrap();
    let line = &line[..line.find(",\"sum\"").unwrap()];
    let moved = line
        .replace("\"facts\":{},\"extra\":", "\"facts\":")
        .replace("}}", "}")
        + "}";
    let Ok(Line::Span { record, .. }) = Line::read(moved.as_bytes()) else {
        panic!("{moved}");
    };
    assert_eq!(record.extra, [("hermes.from.tomorrow".into(), 5.into())]);
}
