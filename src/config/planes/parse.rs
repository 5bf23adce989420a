//! Reads the text of a `telemetry.toml`: each key by its own rule, and a line for whatever makes no sense.

use toml_edit::{Document, Item, TableLike};

use super::{ConsentState, ContentRedaction, HeadersEnv, Said, Scope};

/// What a text says, and what is wrong with it. A text that is not TOML says nothing that can be relied on.
///
/// No value stands in what is told: it may be a key that was pasted in the wrong place.
pub(crate) fn scope(text: &str) -> (Scope, Vec<String>) {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let line = error.span().map_or(0, |span| line(text, span.start));
            let told = format!(
                "line {line}: it is not TOML ({}); correct it",
                reason(&error)
            );
            return (Scope::unreadable(), vec![told]);
        }
    };
    let mut reading = Reading {
        text,
        told: Vec::new(),
    };
    let root: &dyn TableLike = document.as_table();
    reading.unknown(root, "", &KEYS);
    let trajectories = reading.table(root, "trajectories", "", &["enabled"]);
    let export = reading.table(root, "export", "", &["otlp"]);
    let otlp = export.and_inner(|export| {
        reading.table(
            export,
            "otlp",
            "export.",
            &["enabled", "endpoint", "headers_env"],
        )
    });
    let scope = Scope {
        local: reading.flag(root, "", "local"),
        allow_aggregate: reading.flag(root, "", "allow_aggregate"),
        consent_state: reading.word(
            root,
            "consent_state",
            "\"unknown\", \"local\" or \"aggregate\"",
            ConsentState::named,
        ),
        install_id: reading.word(root, "install_id", "a UUID", |id| {
            is_install_id(id).then(|| id.to_owned())
        }),
        retention_days: reading.number(root, "retention_days"),
        max_bytes: reading.number(root, "max_bytes"),
        redact_secrets: reading.flag(root, "", "redact_secrets"),
        content_redaction: reading.word(
            root,
            "content_redaction",
            "\"none\" or \"pii\"",
            ContentRedaction::named,
        ),
        trajectories: trajectories
            .and_inner(|table| reading.flag(table, "trajectories.", "enabled")),
        otlp_enabled: otlp.and_inner(|table| reading.flag(table, "export.otlp.", "enabled")),
        otlp_endpoint: otlp.and_inner(|table| reading.endpoint(table)),
        headers_env: otlp.and_inner(|table| reading.headers(table)),
    };
    (scope, reading.told)
}

const KEYS: [&str; 10] = [
    "local",
    "allow_aggregate",
    "consent_state",
    "install_id",
    "retention_days",
    "max_bytes",
    "redact_secrets",
    "content_redaction",
    "trajectories",
    "export",
];

/// Whether a text is an id as [`crate::privacy`] makes them.
fn is_install_id(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

impl<T> Said<T> {
    /// What is said inside a table that may be missing, or no table.
    fn and_inner<U>(self, read: impl FnOnce(T) -> Said<U>) -> Said<U> {
        match self {
            Said::Is(table) => read(table),
            Said::Nothing => Said::Nothing,
            Said::Invalid => Said::Invalid,
        }
    }
}

struct Reading<'t> {
    text: &'t str,
    told: Vec<String>,
}

impl Reading<'_> {
    fn wrong(&mut self, item: &Item, name: &str, expected: &str) {
        let line = item.span().map_or(0, |span| line(self.text, span.start));
        let kind = item.type_name();
        self.told.push(format!(
            "line {line}: `{name}` is {expected}, and what stands there (a value of type {kind}) is not; correct it"
        ));
    }

    /// Keys that nobody reads: most likely misspelt, and so a wish that is not heard.
    fn unknown(&mut self, table: &dyn TableLike, prefix: &str, known: &[&str]) {
        for (key, item) in table.iter() {
            if !known.contains(&key) {
                let line = item.span().map_or(0, |span| line(self.text, span.start));
                // A key's own text, redacted and cut: it may be anything.
                let key: String = crate::policy::label(key).chars().take(64).collect();
                let (prefix, known) = (prefix.to_owned(), known.join(", "));
                self.told.push(format!(
                    "line {line}: there is no key `{prefix}{}`, so it has no effect; the keys here are {known}",
                    key.escape_debug()
                ));
            }
        }
    }

    fn table<'d>(
        &mut self,
        parent: &'d dyn TableLike,
        key: &str,
        prefix: &str,
        known: &[&str],
    ) -> Said<&'d dyn TableLike> {
        let name = format!("{prefix}{key}");
        let Some(item) = parent.get(key) else {
            return Said::Nothing;
        };
        let Some(table) = item.as_table_like() else {
            self.wrong(item, &name, "a table");
            return Said::Invalid;
        };
        self.unknown(table, &format!("{name}."), known);
        Said::Is(table)
    }

    fn read<T>(
        &mut self,
        table: &dyn TableLike,
        prefix: &str,
        key: &str,
        expected: &str,
        read: impl FnOnce(&Item) -> Option<T>,
    ) -> Said<T> {
        let Some(item) = table.get(key) else {
            return Said::Nothing;
        };
        if let Some(value) = read(item) {
            return Said::Is(value);
        }
        self.wrong(item, &format!("{prefix}{key}"), expected);
        Said::Invalid
    }

    fn flag(&mut self, table: &dyn TableLike, prefix: &str, key: &str) -> Said<bool> {
        self.read(table, prefix, key, "true or false", Item::as_bool)
    }

    fn word<T>(
        &mut self,
        table: &dyn TableLike,
        key: &str,
        expected: &str,
        named: impl Fn(&str) -> Option<T>,
    ) -> Said<T> {
        self.read(table, "", key, expected, |item| named(item.as_str()?))
    }

    fn number<T: TryFrom<i64>>(&mut self, table: &dyn TableLike, key: &str) -> Said<T> {
        self.read(table, "", key, "a whole number from 0", |item| {
            T::try_from(item.as_integer()?).ok()
        })
    }

    fn endpoint(&mut self, otlp: &dyn TableLike) -> Said<String> {
        const EXPECTED: &str = "an URL such as \"http://localhost:4318\"";
        self.read(otlp, "export.otlp.", "endpoint", EXPECTED, |item| {
            let url = item.as_str()?.trim();
            let uri: http::Uri = url.parse().ok()?;
            let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
            (is_http && uri.authority().is_some()).then(|| url.to_owned())
        })
    }

    /// A header that makes no sense is left out, and told.
    fn headers(&mut self, otlp: &dyn TableLike) -> Said<HeadersEnv> {
        const NAME: &str = "export.otlp.headers_env";
        let table = match self.table_of_any(otlp) {
            Said::Is(table) => table,
            Said::Nothing => return Said::Nothing,
            Said::Invalid => return Said::Invalid,
        };
        let mut headers = HeadersEnv::new();
        for (header, item) in table.iter() {
            let is_header = http::HeaderName::from_bytes(header.as_bytes()).is_ok();
            let variable = item.as_str().filter(|name| is_header && is_variable(name));
            if let Some(variable) = variable {
                headers.push((header.to_ascii_lowercase(), variable.to_owned()));
            } else {
                let expected =
                    "the name of a header with the name of a variable that holds its value";
                self.wrong(item, NAME, expected);
            }
        }
        Said::Is(headers)
    }

    fn table_of_any<'d>(&mut self, otlp: &'d dyn TableLike) -> Said<&'d dyn TableLike> {
        let Some(item) = otlp.get("headers_env") else {
            return Said::Nothing;
        };
        let Some(table) = item.as_table_like() else {
            self.wrong(item, "export.otlp.headers_env", "a table");
            return Said::Invalid;
        };
        Said::Is(table)
    }
}

/// Whether a text can be the name of a variable: what is pasted by mistake (`Bearer sk-…`) seldom can.
fn is_variable(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The number of the line, from 1.
fn line(text: &str, at: usize) -> usize {
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.split(|byte| *byte == b'\n').count()
}

/// The parser's own words, of which the first line quotes nothing.
fn reason(error: &toml_edit::TomlError) -> String {
    let first = error.message().lines().next().unwrap_or_default();
    first
        .split(['`', '"', '\''])
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ConsentState, ContentRedaction, Said, Scope, scope};

    #[test]
    fn every_key_is_read() {
        let (said, told) = scope(
            r#"
            local = true
            allow_aggregate = false
            consent_state = "aggregate"
            install_id = "0f8fad5b-d9cb-469f-a165-70867728950e"
            retention_days = 30
            max_bytes = 1_000_000
            redact_secrets = true
            content_redaction = "pii"
            [trajectories]
            enabled = true
            [export.otlp]
            enabled = true
            endpoint = "https://c.example:4318"
            headers_env = { Authorization = "COLLECTOR_TOKEN" }
            "#,
        );
        assert_eq!(told, Vec::<String>::new());
        let expected = Scope {
            local: Said::Is(true),
            allow_aggregate: Said::Is(false),
            consent_state: Said::Is(ConsentState::Aggregate),
            install_id: Said::Is("0f8fad5b-d9cb-469f-a165-70867728950e".to_owned()),
            retention_days: Said::Is(30),
            max_bytes: Said::Is(1_000_000),
            redact_secrets: Said::Is(true),
            content_redaction: Said::Is(ContentRedaction::Pii),
            trajectories: Said::Is(true),
            otlp_enabled: Said::Is(true),
            otlp_endpoint: Said::Is("https://c.example:4318".to_owned()),
            headers_env: Said::Is(vec![(
                "authorization".to_owned(),
                "COLLECTOR_TOKEN".to_owned(),
            )]),
        };
        assert_eq!(said, expected);
        assert_eq!(
            scope("export.otlp.enabled = false").0.otlp_enabled,
            Said::Is(false)
        );
    }

    #[test]
    fn each_mistake_is_told_with_its_line_and_none_with_its_value() {
        let text = "locale = true\nlocal = \"sk-secret\"\nconsent_state = \"Aggregate\"\n\
             retention_days = -1\ntrajectories = true\n[export.otlp]\nendpoint = \"sk-secret\"\n\
             [export.otlp.headers_env]\nauthorization = \"Bearer sk-secret\"\n";
        let (said, told) = scope(text);
        assert_eq!(said.local, Said::Invalid);
        assert_eq!(said.consent_state, Said::Invalid);
        assert_eq!(said.retention_days, Said::Invalid);
        assert_eq!(said.trajectories, Said::Invalid);
        assert_eq!(said.otlp_endpoint, Said::Invalid);
        assert_eq!(said.headers_env, Said::Is(Vec::new()));
        assert_eq!(told.len(), 7, "{told:#?}");
        for line in [1, 2, 3, 4, 5, 7, 9] {
            let begin = format!("line {line}: ");
            assert_eq!(
                told.iter().filter(|told| told.starts_with(&begin)).count(),
                1,
                "{told:#?}"
            );
        }
        assert!(!told.concat().contains("sk-secret"), "{told:#?}");
    }

    #[test]
    fn a_text_that_is_not_toml_says_nothing_that_can_be_relied_on() {
        for text in [
            "consent_state = ",
            "local = true\nlocal = false",
            "[export",
            "\u{0}",
        ] {
            let (said, told) = scope(text);
            assert_eq!(said, Scope::unreadable(), "{text:?}");
            assert_eq!(told.len(), 1, "{told:?}");
        }
        let (_, told) = scope("a = 1\nauthorization = Bearer sk-secret\n");
        assert!(told[0].starts_with("line 2: "), "{told:?}");
        assert!(!told[0].contains("secret"), "{told:?}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            let _ = scope(&text);
        }

        #[test]
        fn no_bytes_make_it_panic_either(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = crate::__private::settings_told(&bytes);
        }

        #[test]
        fn no_value_of_a_key_makes_the_reader_panic_or_grants_anything(
            key in "local|consent_state|allow_aggregate|export|export\\.otlp|trajectories|max_bytes",
            value in "[-\\[\\]{}\"'=., a-z0-9\n]{0,40}",
        ) {
            let (said, _) = scope(&format!("{key} = {value}"));
            let granted = Said::Is(ConsentState::Aggregate);
            prop_assert!(said.consent_state != granted || value.contains("aggregate"));
        }
    }
}
