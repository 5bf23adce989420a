//! Planes and consent: what files say is obeyed with managed first, nothing leaves but by the gate, and what
//! would leave can be looked at before.

use std::fs;
use std::path::{Path, PathBuf};

use hermes::privacy::{ConsentState, Decision, Origin, Reason, Source, Why};
use hermes::{Builder, ContentCapture};
use tempfile::TempDir;

use crate::support::collector::{Collector, ReceivedSpan};
use crate::support::{Bench, SOON, script};

/// A folder with the two files of settings.
struct Home(TempDir);

impl Home {
    fn new(user: &str, managed: &str) -> Self {
        let home = Home(tempfile::tempdir().unwrap());
        for (path, text) in [(home.user(), user), (home.managed(), managed)] {
            if !text.is_empty() {
                fs::write(&path, text).unwrap();
                set_mode(&path, 0o600);
            }
        }
        home
    }

    fn user(&self) -> PathBuf {
        self.0.path().join("telemetry.toml")
    }

    fn managed(&self) -> PathBuf {
        self.0.path().join("managed.toml")
    }

    fn of(&self, builder: Builder) -> Builder {
        builder
            .settings_file(self.user())
            .__managed_file(self.managed())
    }

    fn builder(&self) -> Builder {
        self.of(hermes::builder())
    }

    fn bench(&self, set_up: impl FnOnce(Builder) -> Builder) -> Bench {
        Bench::with(|builder| set_up(self.of(builder)))
    }

    /// Paths differ from run to run.
    fn shown(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "HOME")
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) {}

fn otlp(enabled: bool, collector: &Collector) -> String {
    let endpoint = collector.endpoint();
    format!("[export.otlp]\nenabled = {enabled}\nendpoint = \"{endpoint}\"\n")
}

#[test]
fn the_file_turns_export_on_and_names_the_variables_that_hold_header_values() {
    let collector = Collector::start();
    // A variable that cargo sets for every test.
    let text = otlp(true, &collector) + "headers_env = { X-Tenant = \"CARGO_PKG_NAME\" }\n";
    let home = Home::new(&text, "");
    let bench = home.bench(|builder| builder);
    bench.run(script::session);
    assert_eq!(collector.wait_for(6, SOON).len(), 6);
    assert_eq!(collector.header("x-tenant").unwrap(), "hermes-tracing");

    let privacy = bench.telemetry.privacy();
    let status = privacy.status();
    let headers = status.setting("export.otlp.headers_env").unwrap();
    assert_eq!(headers.value.as_deref(), Some("x-tenant = CARGO_PKG_NAME"));
    let (debug, shown) = (format!("{privacy:?}"), status.to_string());
    let json = serde_json::to_string(&status).unwrap();
    for text in [debug, shown, json] {
        assert!(!text.contains("hermes-tracing"), "{text}");
    }
}

#[test]
fn a_header_whose_variable_is_missing_is_not_sent_and_told() {
    let collector = Collector::start();
    let text = otlp(true, &collector) + "headers_env = { x-tenant = \"HERMES_TEST_NOT_SET\" }\n";
    let home = Home::new(&text, "");
    let bench = home.bench(|builder| builder);
    bench.run(script::session);
    assert_eq!(collector.wait_for(6, SOON).len(), 6);
    assert_eq!(collector.header("x-tenant"), None);
    let troubles = bench.telemetry.privacy().status().troubles;
    assert_eq!(
        troubles,
        [
            "export.otlp.headers_env.x-tenant (file): the variable HERMES_TEST_NOT_SET is not set, so the \
             header is not sent; set the variable, or take the key out"
        ]
    );
}

#[test]
fn a_managed_pin_beats_code_and_nothing_leaves_however_it_is_asked_for() {
    let collector = Collector::start();
    let home = Home::new("", "export.otlp.enabled = false\n");
    let bench = home.bench(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .exporters("otlp")
            .export_logs(true)
    });
    bench.run(|| {
        script::session();
        tracing::info!("an event");
    });
    let kept = bench.spans().len();
    assert_eq!(kept, 6, "the store goes on");
    drop(bench);
    assert_eq!(collector.requests(), 0);
    let status = home.builder().privacy().status();
    let by = Reason::Said("export.otlp.enabled", Source::Managed);
    assert_eq!(status.plane("otlp"), Some(Decision::Closed(by)));
}

#[test]
fn a_managed_endpoint_takes_the_place_of_every_other() {
    let (ours, theirs) = (Collector::start(), Collector::start());
    let home = Home::new("", &otlp(true, &ours));
    let bench = home.bench(|builder| builder.otlp_endpoint(theirs.endpoint()));
    bench.run(script::session);
    assert_eq!(ours.wait_for(6, SOON).len(), 6);
    drop(bench);
    assert_eq!(theirs.requests(), 0);
}

#[test]
fn what_is_owed_from_before_leaves_by_the_same_gate() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("t.db");
    let collector = Collector::start();
    let run = |home: &Home, endpoint: &str, makes_spans: bool| {
        let builder = home.builder().store_path(&store).otlp_endpoint(endpoint);
        let (layer, telemetry) = builder.build().unwrap();
        if makes_spans {
            use tracing_subscriber::layer::SubscriberExt;
            let subscriber = tracing_subscriber::registry().with(layer);
            tracing::subscriber::with_default(subscriber, script::session);
        }
        telemetry.flush(SOON).unwrap();
        telemetry
    };
    // Nobody listens there: all six come to be owed.
    run(&Home::new("", ""), "http://127.0.0.1:9", true)
        .shutdown(SOON)
        .unwrap();
    let closed = Home::new("", "export.otlp.enabled = false\n");
    run(&closed, &collector.endpoint(), true)
        .shutdown(SOON)
        .unwrap();
    assert_eq!(collector.requests(), 0);
    // Six of the first process. What was recorded while the gate was closed was never owed.
    let telemetry = run(&Home::new("", ""), &collector.endpoint(), false);
    assert_eq!(collector.wait_for(6, SOON).len(), 6);
    telemetry.shutdown(SOON).unwrap();
    assert_eq!(collector.spans().len(), 6);
}

#[test]
fn without_the_local_plane_nothing_is_kept_and_export_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("kept/t.db");
    let collector = Collector::start();
    let home = Home::new("local = false\n", "");
    let bench = home.bench(|builder| {
        builder
            .store_path(&store)
            .event_log(folder.path().join("kept/events.jsonl"))
            .otlp_endpoint(collector.endpoint())
    });
    bench.run(script::session);
    assert_eq!(collector.wait_for(6, SOON).len(), 6);
    assert!(bench.telemetry.store().is_err());
    drop(bench);
    assert!(!folder.path().join("kept").exists());
}

#[test]
fn content_stays_where_the_machine_says_so() {
    let collector = Collector::start();
    let home = Home::new("", "trajectories.enabled = false\n");
    let bench = home.bench(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .capture_content(ContentCapture::On)
    });
    bench.run(script::session);
    let sent = format!("{:?}", collector.wait_for(6, SOON));
    assert!(!sent.contains("notes.txt"), "{sent}");
    let tool = bench.span("hermes.tool.read_file");
    assert_eq!(tool.attributes["hermes.tool.args"], "notes.txt");
    let preview = bench.telemetry.privacy().preview([tool]);
    let withheld = &preview.spans[0].withheld;
    let args = ("hermes.tool.args".to_owned(), Why::ContentIsManaged);
    assert!(withheld.contains(&args), "{withheld:?}");
}

#[test]
fn secrets_go_whatever_the_file_says_and_the_wish_is_answered() {
    let home = Home::new("redact_secrets = false\n", "");
    let bench = home.bench(|builder| builder.capture_content(ContentCapture::Local));
    bench.run(|| {
        let session = hermes::session("s").start();
        session
            .tool("t")
            .args("password=hunter22hunter22")
            .start()
            .end();
    });
    let args = bench.span("hermes.tool.t").attributes["hermes.tool.args"].to_string();
    assert!(args.contains("[secret:"), "{args}");
    let status = bench.telemetry.privacy().status();
    assert_eq!(
        status.troubles,
        ["`redact_secrets = false` has no effect: secrets are redacted in any case"]
    );
    let setting = status.setting("redact_secrets").unwrap();
    assert_eq!(setting.value.as_deref(), Some("true"));
}

/// What a collector gets of a span, and what was shown of it before.
fn assert_same(sent: &ReceivedSpan, shown: &hermes::privacy::PreviewSpan, profile: &str) {
    let what = format!("{profile}: {} {}", sent.name, shown.name);
    assert_eq!(sent.name, shown.name, "{what}");
    assert_eq!(sent.trace_id, shown.trace_id.to_string(), "{what}");
    assert_eq!(sent.parent_span_id, shown.parent_span_id, "{what}");
    assert_eq!(sent.kind, shown.kind, "{what}");
    assert_eq!(
        (sent.start_ns, sent.end_ns),
        (shown.start_ns, shown.end_ns),
        "{what}"
    );
    assert_eq!(
        sent.status_message,
        shown.error.clone().unwrap_or_default(),
        "{what}"
    );
    let attributes = shown.attributes.iter();
    let attributes = attributes.map(|shown| (shown.name.clone(), shown.value.clone()));
    assert_eq!(sent.attributes, attributes.collect(), "{what}");
    let events = shown.events.iter();
    let events = events.map(|event| (event.name.clone(), event.attributes.clone()));
    assert_eq!(sent.events, events.collect::<Vec<_>>(), "{what}");
}

#[test]
fn a_preview_shows_exactly_what_a_collector_gets_in_every_profile() {
    let profiles = [
        "hermes",
        "genai",
        "genai-1.41",
        "genai-1.36",
        "hermes-classic",
        "genai,openinference",
    ];
    for profile in profiles {
        for content in [
            ContentCapture::Off,
            ContentCapture::Local,
            ContentCapture::On,
        ] {
            let collector = Collector::start();
            let bench = Home::new("", "").bench(|builder| {
                builder
                    .otlp_endpoint(collector.endpoint())
                    .semconv(profile)
                    .capture_content(content)
            });
            bench.run(|| {
                script::session();
                let failed = hermes::tool("t").args("a").start();
                failed.fail("no such file");
            });
            let sent = collector.wait_for(7, SOON);
            let preview = bench.telemetry.privacy().preview(bench.all_spans());
            assert!(preview.decision.is_open());
            assert_eq!(preview.spans.len(), 7);
            assert_eq!(sent.len(), 7);
            for shown in &preview.spans {
                let id = shown.span_id.to_string();
                let sent = sent.iter().find(|sent| sent.span_id == id).unwrap();
                assert_same(sent, shown, profile);
                assert_eq!(sent.resource, preview.resource);
            }
            // Profile genai-1.36 has no attributes for content.
            let names_content = profile != "genai-1.36";
            let mut whys = preview.spans.iter().flat_map(|span| &span.attributes);
            let has_content = whys.any(|attribute| attribute.why == Why::ContentIsExported);
            let expected = names_content && content == ContentCapture::On;
            assert_eq!(has_content, expected, "{profile}");
            let mut withheld = preview.spans.iter().flat_map(|span| &span.withheld);
            let stays = withheld.any(|(_, why)| *why == Why::ContentStays);
            let expected = names_content && content == ContentCapture::Local;
            assert_eq!(stays, expected, "{profile}");
        }
    }
}

#[test]
fn a_preview_reads_well() {
    let home = Home::new("", "");
    let bench = home.bench(|builder| builder.capture_content(ContentCapture::Local));
    bench.run(|| {
        let tool = hermes::session("s")
            .start()
            .tool("read_file")
            .call_id("c1")
            .args("notes.txt")
            .start();
        tool.fail("no such file");
    });
    let preview = bench.telemetry.privacy().preview(bench.all_spans());
    let shown = preview.to_string();
    let id = bench.span("hermes.tool.read_file").span_id.to_string();
    assert!(
        shown.starts_with("otlp: off (the default)\nresource: {"),
        "{shown}"
    );
    assert!(
        shown.contains(&format!("hermes.tool.read_file (INTERNAL, {id})\n")),
        "{shown}"
    );
    for line in [
        "  error: no such file\n",
        "  gen_ai.tool.call.id = \"c1\"  (metadata)\n",
        "  hermes.tool.args is withheld  (content stays on this machine)\n",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let json = serde_json::to_value(&preview).unwrap();
    assert_eq!(json["is_open"], false);
    assert_eq!(
        json["spans"][0]["attributes"]["hermes.session.id"]["why"],
        "metadata"
    );
}

#[test]
fn the_status_names_every_key_with_its_value_and_its_source() {
    let home = Home::new(
        "# by hand\nconsent_state = \"aggregate\"\nretention_days = 30\ncontent_redaction = \"all\"\n\
         [export.otlp]\nendpoint = \"https://ada:hush@c.example:4318/?key=hush\"\n",
        "allow_aggregate = false\nmax_bytes = 1000\n",
    );
    let privacy = home.builder().max_bytes(7).privacy();
    let status = privacy.status();
    let shown = home.shown(&status.to_string());
    insta::assert_snapshot!(shown, @r#"
    local         on (the default)
    aggregate     off (`allow_aggregate`, managed); nothing uploads any
    trajectories  off (the default)
    otlp          off (the default)
    content       not kept

    local                    true  (default)
    allow_aggregate          false  (managed)
    consent_state            aggregate  (file)
    install_id               -  (default)
    retention_days           30  (file)
    max_bytes                1000  (managed)
    redact_secrets           true  (default)
    content_redaction        pii  (file, cannot be read)
    trajectories.enabled     false  (default)
    export.otlp.enabled      false  (default)
    export.otlp.endpoint     https://c.example:4318  (file)
    export.otlp.headers_env  -  (default)

    HOME/telemetry.toml: read
    HOME/managed.toml: read
    ! HOME/telemetry.toml: line 4: `content_redaction` is "none" or "pii", and what stands there (a value of type string) is not; correct it
    "#);
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json["settings"]["max_bytes"]["value"], "1000");
    assert_eq!(json["planes"]["aggregate"]["is_open"], false);
    assert!(!format!("{json}{privacy:?}").contains("hush"));
}

#[test]
fn consent_is_written_beside_comments_and_unknown_keys_and_every_change_is_kept() {
    use ConsentState::{Aggregate, Local, Unknown};

    let home = Home::new(
        "# mine\nconsent_state = \"local\" # for now\nfuture_key = [1, 2]\n\n[export.otlp]\nenabled = false # no\n",
        "",
    );
    let privacy = || home.builder().privacy();
    assert_eq!(privacy().consent(), ConsentState::Local);
    assert!(privacy().consent_history().unwrap().is_empty());
    privacy().set_consent(ConsentState::Aggregate).unwrap();
    let id = privacy().install_id().unwrap().to_owned();
    assert_eq!(
        fs::read_to_string(home.user()).unwrap(),
        format!(
            "# mine\nconsent_state = \"aggregate\" # for now\nfuture_key = [1, 2]\ninstall_id = \"{id}\"\n\n\
             [export.otlp]\nenabled = false # no\n"
        )
    );
    assert!(privacy().status().plane("aggregate").unwrap().is_open());
    privacy().set_consent(ConsentState::Unknown).unwrap();
    assert!(!privacy().status().plane("aggregate").unwrap().is_open());
    assert_eq!(privacy().install_id(), Some(id.as_str()), "made once");
    let other = privacy().reset_install_id().unwrap();
    assert_ne!(other, id);
    assert_eq!(privacy().install_id(), Some(other.as_str()));

    let history = privacy().consent_history().unwrap();
    let changes: Vec<_> = history
        .iter()
        .map(|c| (c.seq, c.from, c.to, c.origin))
        .collect();
    assert_eq!(
        changes,
        [
            (1, Unknown, Local, Origin::Found),
            (2, Local, Aggregate, Origin::Set),
            (3, Aggregate, Unknown, Origin::Set),
        ]
    );
    assert!(history.iter().all(|change| change.time_ns > 0));
    assert!(
        history[1]
            .to_string()
            .ends_with("Z local → aggregate (set)"),
        "{}",
        history[1]
    );
}

#[test]
fn a_history_whose_last_line_was_cut_off_goes_on() {
    let home = Home::new("", "");
    let privacy = || home.builder().privacy();
    privacy().set_consent(ConsentState::Local).unwrap();
    let path = home.user().with_file_name("consent.jsonl");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"seq\":2,\"ti");
    fs::write(&path, text).unwrap();
    privacy().set_consent(ConsentState::Aggregate).unwrap();
    let states: Vec<_> = privacy()
        .consent_history()
        .unwrap()
        .iter()
        .map(|c| c.to)
        .collect();
    assert_eq!(states, [ConsentState::Local, ConsentState::Aggregate]);
}

#[cfg(unix)]
mod files {
    //! What may be wrong with a file, each told in one line, and nothing opened by any of them.

    use std::os::unix::fs::{MetadataExt, symlink};

    use hermes::ErrorKind;

    use super::*;

    const CONSENTS: &str =
        "consent_state = \"aggregate\"\nexport.otlp.enabled = true\ntrajectories.enabled = true\n";

    fn troubles(home: &Home) -> Vec<String> {
        let status = home.builder().privacy().status();
        for plane in ["aggregate", "trajectories", "otlp"] {
            assert!(!status.plane(plane).unwrap().is_open(), "{plane}: {status}");
        }
        assert!(status.plane("local").unwrap().is_open());
        assert_eq!(status.troubles.len(), 1, "{status}");
        status
            .troubles
            .iter()
            .map(|told| home.shown(told))
            .collect()
    }

    #[test]
    fn without_anything_wrong_the_file_opens_what_it_says() {
        let home = Home::new(CONSENTS, "");
        let status = home.builder().privacy().status();
        for plane in ["aggregate", "trajectories", "otlp"] {
            assert!(status.plane(plane).unwrap().is_open(), "{plane}");
        }
    }

    #[test]
    fn a_file_that_everybody_may_write_counts_for_nothing() {
        let home = Home::new(CONSENTS, "");
        set_mode(&home.user(), 0o666);
        let told = troubles(&home);
        assert!(
            told[0].starts_with(
                "HOME/telemetry.toml: others may write it, or what stands in its folder; take that right away (chmod go-w)"
            ),
            "{told:?}"
        );
        let error = home
            .builder()
            .privacy()
            .set_consent(ConsentState::Local)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            fs::read_to_string(home.user()).unwrap(),
            CONSENTS,
            "left as it is"
        );
    }

    #[test]
    fn a_managed_file_that_its_group_may_write_or_that_is_a_link_closes_what_leaves() {
        let home = Home::new(CONSENTS, "max_bytes = 1\n");
        set_mode(&home.managed(), 0o664);
        assert!(troubles(&home)[0].starts_with("HOME/managed.toml: others may write it"));
        set_mode(&home.managed(), 0o644);
        set_mode(home.0.path(), 0o770);
        assert!(troubles(&home)[0].starts_with("HOME/managed.toml: others may write it"));
        set_mode(home.0.path(), 0o700);
        fs::rename(home.managed(), home.0.path().join("elsewhere.toml")).unwrap();
        set_mode(&home.0.path().join("elsewhere.toml"), 0o600);
        symlink(home.0.path().join("elsewhere.toml"), home.managed()).unwrap();
        let told = troubles(&home);
        assert!(
            told[0].starts_with("HOME/managed.toml: it is a symbolic link; put a plain file there"),
            "{told:?}"
        );
        // One that leads nowhere is no missing file either.
        fs::remove_file(home.0.path().join("elsewhere.toml")).unwrap();
        troubles(&home);
    }

    #[test]
    fn what_is_no_toml_no_text_no_file_or_too_much_is_told_with_what_to_do() {
        let home = Home::new(CONSENTS, "");
        let of = |text: &[u8]| {
            fs::write(home.user(), text).unwrap();
            troubles(&home).remove(0)
        };
        let broken = of(b"consent_state = \"aggregate\"\nlocal = = true\n");
        assert!(
            broken.starts_with("HOME/telemetry.toml: line 2: it is not TOML ("),
            "{broken}"
        );
        assert!(of(b"\xff").contains("it is not UTF-8; save it as UTF-8"));
        let long = [b"#".repeat(1024 * 1024), b"\n".to_vec()].concat();
        assert!(of(&long).contains("larger than 1 MiB"));
        fs::remove_file(home.user()).unwrap();
        fs::create_dir(home.user()).unwrap();
        assert!(troubles(&home)[0].contains("it is not a plain file; put one there"));
    }

    #[test]
    fn files_are_their_owners_alone_and_a_link_of_the_users_stays_one() {
        let home = Home::new("", "");
        let real = home.0.path().join("dotfiles.toml");
        fs::write(&real, "# mine\n").unwrap();
        symlink(&real, home.user()).unwrap();
        home.builder()
            .privacy()
            .set_consent(ConsentState::Local)
            .unwrap();
        assert!(fs::symlink_metadata(home.user()).unwrap().is_symlink());
        assert!(
            fs::read_to_string(&real)
                .unwrap()
                .contains("consent_state = \"local\"")
        );
        let history = home.user().with_file_name("consent.jsonl");
        for path in [real, history] {
            assert_eq!(
                fs::metadata(&path).unwrap().mode() & 0o777,
                0o600,
                "{}",
                path.display()
            );
        }
        let folder = home.0.path().join("new/home");
        let elsewhere = hermes::builder().settings_file(folder.join("telemetry.toml"));
        elsewhere
            .privacy()
            .set_consent(ConsentState::Local)
            .unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    }
}
