use super::{Decision, Gate, Reason, decide};
use crate::config::{
    Classes, Config, ConsentState, Content, ContentCapture, ContentClass, ContentRules, Exporter,
    Placement, Said, Scope, ScopeFile, ScopeState, Source, Spoken,
};

const LOCAL: [Said<bool>; 4] = [
    Said::Nothing,
    Said::Is(true),
    Said::Is(false),
    Said::Invalid,
];
const ALLOW: [Said<bool>; 4] = LOCAL;
const CONSENT: [Said<ConsentState>; 5] = [
    Said::Nothing,
    Said::Is(ConsentState::Unknown),
    Said::Is(ConsentState::Local),
    Said::Is(ConsentState::Aggregate),
    Said::Invalid,
];

/// What becomes of the aggregate plane. One grid for each consent; rows: `local` unsaid, true, false, invalid;
/// columns: `allow_aggregate` unsaid, true, false, invalid.
///
/// `A` open; closed because: `u` nobody consented, `l` consent is to the local plane, `f` `allow_aggregate`
/// forbids, `x` the local plane is off, `i` something cannot be read.
const AGGREGATE: [[&str; 4]; 5] = [
    // unsaid
    ["uufi", "uufi", "xxxx", "iiii"],
    // unknown
    ["uufi", "uufi", "xxxx", "iiii"],
    // local
    ["llfi", "llfi", "xxxx", "iiii"],
    // aggregate
    ["AAfi", "AAfi", "xxxx", "iiii"],
    // invalid
    ["iifi", "iifi", "xxxx", "iiii"],
];

#[derive(Clone, Copy, Debug)]
struct Row {
    local: usize,
    consent: usize,
    allow: usize,
}

fn rows() -> impl Iterator<Item = Row> {
    (0..4).flat_map(|local| {
        (0..5).flat_map(move |consent| {
            (0..4).map(move |allow| Row {
                local,
                consent,
                allow,
            })
        })
    })
}

fn scope(row: Row) -> Scope {
    Scope {
        local: LOCAL[row.local],
        consent_state: CONSENT[row.consent],
        allow_aggregate: ALLOW[row.allow],
        ..Scope::default()
    }
}

fn file(scope: Scope) -> ScopeFile {
    ScopeFile {
        path: "telemetry.toml".into(),
        state: ScopeState::Read,
        scope,
        told: Vec::new(),
    }
}

fn settled(user: Scope, managed: Scope, environment: &[(&str, &str)], spoken: Spoken) -> Config {
    let lookup = |name: &str| {
        let mut said = environment.iter();
        let said = said.find(|(known, _)| *known == name);
        said.map(|(_, value)| (*value).to_owned())
    };
    let mut config = Config::read(lookup);
    let spoken = Spoken {
        otlp_in_environment: config.export.is_said,
        ..spoken
    };
    if spoken.endpoint_in_code {
        config.export.exporters = Some(vec![Exporter::OtlpHttp]);
    }
    config.settle(Some(file(user)), file(managed), spoken, lookup);
    config
}

fn letter(decision: Decision) -> char {
    match decision {
        Decision::Open(Reason::Consented(_)) => 'A',
        Decision::Closed(Reason::NotAsked) => 'u',
        Decision::Closed(Reason::LocalOnly(_)) => 'l',
        Decision::Closed(Reason::Said("allow_aggregate", _)) => 'f',
        Decision::Closed(Reason::LocalIsOff) => 'x',
        Decision::Closed(Reason::Invalid(..)) => 'i',
        other => panic!("no decision of the aggregate plane: {other:?}"),
    }
}

fn source(decision: Decision) -> Option<Source> {
    match decision.reason() {
        Reason::Said(_, source)
        | Reason::Invalid(_, source)
        | Reason::LocalOnly(source)
        | Reason::Consented(source) => Some(source),
        _ => None,
    }
}

#[test]
fn every_combination_of_local_consent_allowance_pins_and_mistakes_has_its_decision() {
    let mut combinations = 0;
    for user in rows() {
        for pins in rows() {
            // A pin counts where there is one, but for a `local = false` of the user under one that cannot be read.
            let pick = |pin: usize, own: usize| if pin == 0 { own } else { pin };
            let local = match (pins.local, user.local) {
                (3, 2) => 2,
                (pin, own) => pick(pin, own),
            };
            let consent = pick(pins.consent, user.consent);
            let allow = pick(pins.allow, user.allow);
            let expected = AGGREGATE[consent][local].as_bytes()[allow];

            let config = settled(scope(user), scope(pins), &[], Spoken::default());
            let gate = Gate::of(&config);
            let decisions = gate.decisions();
            let what = format!("user {user:?}, managed {pins:?}: {decisions:?}");
            assert_eq!(letter(decisions.aggregate), char::from(expected), "{what}");
            assert_eq!(decisions.local.is_open(), local != 2, "{what}");
            // Whoever is named as the source has said it, and managed before the user.
            let by = |decision: Decision, pin: usize, own: usize| {
                source(decision).is_none_or(|source| match source {
                    Source::Managed => pin != 0,
                    Source::File => own != 0 && (pin == 0 || (pin, own) == (3, 2)),
                    _ => false,
                })
            };
            assert!(by(decisions.local, pins.local, user.local), "{what}");
            if let Decision::Open(_) = decisions.aggregate {
                assert!(
                    by(decisions.aggregate, pins.consent, user.consent),
                    "{what}"
                );
            }
            // Consent is about aggregates, and opens nothing else.
            assert!(!decisions.trajectories.is_open(), "{what}");
            assert!(!decisions.otlp.is_open(), "{what}");
            combinations += 1;
        }
    }
    assert_eq!(combinations, 80 * 80);
}

#[test]
fn whatever_is_said_the_two_switches_close_all_that_leaves() {
    for pins in rows() {
        let mut managed = scope(pins);
        managed.trajectories = Said::Is(true);
        managed.otlp_enabled = Said::Is(true);
        let mut config = settled(Scope::default(), managed, &[], Spoken::default());
        config.export.disabled = true;
        let gate = Gate::of(&config);
        let decisions = gate.decisions();
        for decision in [
            decisions.aggregate,
            decisions.otlp,
            decisions.otlp_logs,
            decisions.console,
            decisions.live_content,
        ] {
            assert_eq!(
                decision,
                Decision::Closed(Reason::SdkIsDisabled),
                "{pins:?}"
            );
        }
        assert!(gate.spans(&config.export).is_empty());
        config.enabled = false;
        let gate = Gate::of(&config);
        let off = Decision::Closed(Reason::TelemetryIsOff);
        assert_eq!(gate.decisions().local, off);
        assert_eq!(gate.decisions().trajectories, off);
        assert!(!gate.keeps());
    }
}

/// Who speaks, what the file says, the environment, whether code asks for OTLP, and what comes of it.
type Wish = (
    &'static str,
    Said<bool>,
    &'static [(&'static str, &'static str)],
    bool,
    &'static str,
);

/// Who speaks of OTLP besides the managed file.
const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
const OTLP: (&str, &str) = ("HERMES_OTEL_EXPORTER", "otlp");
const NONE: (&str, &str) = ("HERMES_OTEL_EXPORTER", "none");

#[test]
fn managed_beats_code_beats_the_environment_beats_the_file() {
    // Columns: managed unsaid, true, false, invalid. `y` spans leave over OTLP.
    #[rustfmt::skip]
    let table: [Wish; 11] = [
        ("nobody",                          Said::Nothing,   &[],               false, "nynn"),
        ("the file on",                     Said::Is(true),  &[],               false, "yynn"),
        ("the file off",                    Said::Is(false), &[],               false, "nynn"),
        ("the file unreadable",             Said::Invalid,   &[],               false, "nynn"),
        ("an endpoint",                     Said::Nothing,   &[ENDPOINT],       false, "yynn"),
        ("an endpoint, the file off",       Said::Is(false), &[ENDPOINT],       false, "nynn"),
        ("an endpoint, the file unreadable", Said::Invalid,  &[ENDPOINT],       false, "nynn"),
        ("the environment, the file off",   Said::Is(false), &[OTLP],           false, "yynn"),
        ("the environment against the file", Said::Is(true), &[NONE],           false, "nynn"),
        ("code, the file off",              Said::Is(false), &[],               true,  "yynn"),
        ("code against the environment",    Said::Invalid,   &[NONE],           true,  "yynn"),
    ];
    for (who, said, environment, in_code, expected) in table {
        for (managed, expected) in LOCAL.into_iter().zip(expected.chars()) {
            let user = Scope {
                otlp_enabled: said,
                ..Scope::default()
            };
            let managed_scope = Scope {
                otlp_enabled: managed,
                ..Scope::default()
            };
            let spoken = Spoken {
                otlp_in_code: in_code,
                endpoint_in_code: in_code,
                ..Spoken::default()
            };
            let config = settled(user, managed_scope, environment, spoken);
            let permits = Gate::of(&config).spans(&config.export);
            assert_eq!(
                permits.len() == 1,
                expected == 'y',
                "{who}, managed {managed:?}"
            );
        }
    }
}

#[test]
fn log_records_obey_the_managed_file_and_else_whoever_asks_for_them() {
    let asks = [("OTEL_LOGS_EXPORTER", "otlp,console")];
    for (managed, exits) in LOCAL.into_iter().zip([2, 2, 1, 1]) {
        let managed = Scope {
            otlp_enabled: managed,
            ..Scope::default()
        };
        let user = Scope {
            otlp_enabled: Said::Is(false),
            ..Scope::default()
        };
        let config = settled(user, managed, &asks, Spoken::default());
        assert_eq!(Gate::of(&config).logs(&config.export).len(), exits);
    }
}

#[test]
fn content_leaves_by_trajectories_alone_and_nowhere_where_the_machine_forbids_it() {
    let wanted = ContentRules::from(Content::Exported(Placement::ON_SPAN));
    for user in LOCAL {
        for managed in LOCAL {
            let with = |trajectories| Scope {
                trajectories,
                ..Scope::default()
            };
            let config = settled(with(user), with(managed), &[], Spoken::default());
            let gate = Gate::of(&config);
            let holds = if managed == Said::Nothing {
                user
            } else {
                managed
            };
            let is_open = holds == Said::Is(true);
            assert_eq!(gate.decisions().trajectories.is_open(), is_open);
            let may_leave = matches!(managed, Said::Nothing | Said::Is(true));
            let expected = if may_leave {
                wanted
            } else {
                Content::Local.into()
            };
            assert_eq!(
                gate.content(wanted),
                expected,
                "{user:?}, managed {managed:?}"
            );
            // One kind alone asks no less for leave than all of them.
            let one = [(ContentClass::ToolResult, ContentCapture::On)];
            let of_one = gate.content(ContentRules::new(Content::Off, &one));
            assert_eq!(of_one.leaving != Classes::NONE, may_leave);
            assert_eq!(gate.content(Content::Off.into()), Content::Off.into());
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_opens_nothing_and_stops_no_store() {
    for (user, managed) in [
        (Scope::unreadable(), Scope::default()),
        (Scope::default(), Scope::unreadable()),
    ] {
        let config = settled(user, managed, &[], Spoken::default());
        let decisions = *Gate::of(&config).decisions();
        assert!(decisions.local.is_open());
        assert_eq!(letter(decisions.aggregate), 'i');
        assert!(!decisions.trajectories.is_open());
        assert!(!decisions.otlp.is_open());
    }
    let config = settled(
        Scope::default(),
        Scope::unreadable(),
        &[OTLP, ENDPOINT],
        Spoken::default(),
    );
    assert!(Gate::of(&config).spans(&config.export).is_empty());
    assert!(!Gate::of(&config).decisions().otlp_logs.is_open());
}

#[test]
fn numbers_come_from_whoever_speaks_first_and_makes_sense() {
    let said = |days| Scope {
        retention_days: days,
        max_bytes: Said::Is(1),
        ..Scope::default()
    };
    let spoken = Spoken {
        retention_days: Some(3),
        ..Spoken::default()
    };
    for (file, managed, spoken, days) in [
        (Said::Is(1), Said::Is(2), spoken, Some(2)),
        (Said::Is(1), Said::Invalid, spoken, Some(3)),
        (Said::Is(1), Said::Nothing, Spoken::default(), Some(1)),
        (Said::Invalid, Said::Nothing, Spoken::default(), None),
    ] {
        let config = settled(said(file), said(managed), &[], spoken);
        assert_eq!(config.retention_days, days);
        assert_eq!(config.max_bytes, Some(1));
    }
}

#[test]
fn a_decision_says_why() {
    let consented = Scope {
        consent_state: Said::Is(ConsentState::Aggregate),
        ..Scope::default()
    };
    let forbidden = Scope {
        allow_aggregate: Said::Is(false),
        ..Scope::default()
    };
    let config = settled(consented, forbidden, &[], Spoken::default());
    let asked = super::Asked {
        is_on: true,
        is_sdk_disabled: false,
        planes: &config.planes,
    };
    let said = decide(asked).aggregate.to_string();
    assert_eq!(said, "off (`allow_aggregate`, managed)");
}
