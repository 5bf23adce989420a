use super::{CaptureFilter, split};
use crate::record::Facts;
use crate::semconv::{Fact, Kind};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};

/// The metadata of a callsite of this name and level, in the target `my_agent::noise`.
macro_rules! metadata {
    ($level:ident, $name:literal) => {
        tracing::span!(target: "my_agent::noise", Level::$level, $name).metadata()
    };
}

fn keeps(directives: &str, level: Level, kind: Kind, facts: &[(Fact, &'static str)]) -> bool {
    let (filter, troubles) = CaptureFilter::parse(directives);
    assert!(troubles.is_empty(), "{troubles:?}");
    let mut known = Facts::default();
    for (fact, value) in facts {
        known.set(*fact, *value);
    }
    let mut kept = None;
    // A span's metadata can be had only while some subscriber wants it.
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let metadata: &Metadata<'_> = match (level, kind) {
            (Level::DEBUG, Kind::Tool) => metadata!(DEBUG, "hermes.tool"),
            (Level::DEBUG, _) => metadata!(DEBUG, "hermes.chat"),
            (_, Kind::Tool) => metadata!(INFO, "hermes.tool"),
            (_, Kind::Session) => metadata!(INFO, "hermes.session"),
            _ => metadata!(INFO, "hermes.chat"),
        }
        .unwrap();
        let is_kept = filter.keeps(metadata, Some(kind), &known, &[]);
        assert!(
            filter.may_keep(metadata) || !is_kept,
            "what is kept must have been let in"
        );
        kept = Some(is_kept);
    });
    kept.unwrap()
}

#[test]
fn without_directives_everything_of_ours_is_kept() {
    assert!(keeps("", Level::DEBUG, Kind::Chat, &[]));
}

#[test]
fn a_level_keeps_what_is_at_least_as_important() {
    assert!(keeps("info", Level::INFO, Kind::Chat, &[]));
    assert!(!keeps("info", Level::DEBUG, Kind::Chat, &[]));
}

#[test]
fn a_bare_span_name_means_that_span_alone() {
    assert!(keeps("chat", Level::INFO, Kind::Chat, &[]));
    assert!(!keeps("chat", Level::INFO, Kind::Tool, &[]));
    assert!(keeps("hermes.tool", Level::INFO, Kind::Tool, &[]));
}

#[test]
fn off_subtracts_from_everything() {
    assert!(!keeps("hermes.tool=off", Level::INFO, Kind::Tool, &[]));
    assert!(keeps("hermes.tool=off", Level::INFO, Kind::Chat, &[]));
    assert!(!keeps(
        "info,my_agent::noise=off",
        Level::INFO,
        Kind::Chat,
        &[]
    ));
    assert!(keeps(
        "info,my_agent::noi=off",
        Level::INFO,
        Kind::Chat,
        &[]
    ));
}

#[test]
fn fields_subtract_single_spans() {
    let directives = r#"info,hermes.tool[{name="secret"}]=off"#;
    let tool = |name| {
        keeps(
            directives,
            Level::INFO,
            Kind::Tool,
            &[(Fact::ToolName, name)],
        )
    };
    assert!(!tool("secret"));
    assert!(tool("secret_keeper"));
    assert!(!keeps(
        "hermes.tool.secret=off",
        Level::INFO,
        Kind::Tool,
        &[(Fact::ToolName, "secret")]
    ));
    assert!(keeps(
        "hermes.tool.secret=off",
        Level::INFO,
        Kind::Tool,
        &[(Fact::ToolName, "other")]
    ));
}

#[test]
fn the_most_specific_directive_decides() {
    let directives = r#"off,my_agent=info,hermes.tool=off,hermes.tool[{name="keep.*"}]=info"#;
    let tool = |name| {
        keeps(
            directives,
            Level::INFO,
            Kind::Tool,
            &[(Fact::ToolName, name)],
        )
    };
    assert!(tool("keep_me"));
    assert!(!tool("other"));
    assert!(keeps(directives, Level::INFO, Kind::Chat, &[]));
}

#[test]
fn a_target_and_a_span_can_be_named_together() {
    assert!(!keeps(
        "my_agent[hermes.chat]=off",
        Level::INFO,
        Kind::Chat,
        &[]
    ));
    assert!(keeps(
        "other[hermes.chat]=off",
        Level::INFO,
        Kind::Chat,
        &[]
    ));
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_holds() {
    let (filter, troubles) =
        CaptureFilter::parse("hermes.tool=loud,info,a]b=off,[{=x}]=off,=,=info");
    assert_eq!(troubles.len(), 5, "{troubles:?}");
    assert!(troubles[0].contains("\"hermes.tool=loud\" ends in \"loud\", which is no level"));
    assert_eq!(filter.default, Some(LevelFilter::INFO));
}

#[test]
fn commas_inside_brackets_and_quotes_do_not_split() {
    assert_eq!(
        split(r#"a[{x="1,2",y=3}]=off,b"#),
        [r#"a[{x="1,2",y=3}]=off"#, "b"]
    );
}

proptest::proptest! {
    #[test]
    fn no_list_of_directives_breaks_the_reader(list in r#"[a-z=,:\[\]{}" .*]{0,60}"#) {
        let (filter, troubles) = CaptureFilter::parse(&list);
        // Whatever could not be read is named, and none of it switches capture off.
        if filter.directives.is_empty() && !troubles.is_empty() {
            proptest::prop_assert!(filter.is_empty() || filter.default.is_some());
        }
    }
}

#[cfg(feature = "otlp-logs")]
#[test]
fn what_is_said_of_targets_holds_for_events_and_what_is_said_of_spans_does_not() {
    let level = |list: &str| {
        CaptureFilter::parse(list)
            .0
            .level_of_events("my_agent::noise")
    };
    assert_eq!(level(""), None);
    assert_eq!(level("hermes.tool=off,chat"), None);
    assert_eq!(level("warn,hermes.tool=info"), Some(LevelFilter::WARN));
    assert_eq!(level("warn,my_agent=debug"), Some(LevelFilter::DEBUG));
    assert_eq!(
        level("my_agent::noise=off,my_agent=info"),
        Some(LevelFilter::OFF)
    );
    assert_eq!(
        level("other=info"),
        Some(LevelFilter::OFF),
        "it is all there is"
    );
    assert_eq!(level("other=off"), None);
}
