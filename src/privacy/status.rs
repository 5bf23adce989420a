//! Which planes are on and why, and what every key holds and from whom, for people and for programs.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::Privacy;
use crate::config::{Classes, Exporter, Said, ScopeState, Setting, Source};
use crate::policy::{Decision, label};

/// Which planes and ways out are open, and what every key holds; [`Privacy::status`] gives it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlaneStatus {
    /// The planes `local`, `aggregate` and `trajectories`, then the ways out `otlp`, and `otlp_logs` and
    /// `console` where they are asked for.
    pub planes: Vec<(&'static str, Decision)>,
    /// What of content is kept, and where it goes.
    pub content: &'static str,
    /// Every key.
    pub settings: Vec<SettingStatus>,
    /// The files, the user's first.
    pub files: Vec<FileStatus>,
    /// What cannot be done as it is said, a line each.
    pub troubles: Vec<String>,
}

/// What one key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingStatus {
    /// The key, as in `telemetry.toml`.
    pub key: &'static str,
    /// Its value, without secrets; `None` where it has none.
    pub value: Option<String>,
    /// Who said so.
    pub source: Source,
    /// Whether what is said there can be read; where not, `value` is what is used instead.
    pub is_valid: bool,
}

/// A file of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileStatus {
    /// Where it is.
    pub path: PathBuf,
    /// `missing`, `read`, or `unusable`.
    pub state: &'static str,
}

impl Privacy {
    /// Which planes and ways out are open, why, and what every key holds and from whom.
    #[must_use]
    pub fn status(&self) -> PlaneStatus {
        let decisions = self.gate.decisions();
        let mut planes = vec![
            ("local", decisions.local),
            ("aggregate", decisions.aggregate),
            ("trajectories", decisions.trajectories),
            ("otlp", decisions.otlp),
        ];
        let logs = self.export.chosen_for_logs();
        if logs.iter().any(|exporter| exporter.is_otlp()) {
            planes.push(("otlp_logs", decisions.otlp_logs));
        }
        let spans = self.export.chosen();
        if logs
            .iter()
            .chain(&spans)
            .any(|exporter| *exporter == Exporter::Console)
        {
            planes.push(("console", decisions.console));
        }
        let files = self.files.iter().map(|file| FileStatus {
            path: file.path.clone(),
            state: match file.state {
                ScopeState::Missing => "missing",
                ScopeState::Read => "read",
                ScopeState::Unusable => "unusable",
            },
        });
        PlaneStatus {
            planes,
            content: match (self.content.kept, self.content.leaving) {
                (Classes::NONE, _) => "not kept",
                (_, Classes::NONE) => "kept on this machine",
                (Classes::ALL, Classes::ALL) => "kept, and exported",
                _ => "kept, and exported, kind by kind",
            },
            settings: self.settings(),
            files: files.collect(),
            troubles: self.troubles.clone(),
        }
    }

    fn settings(&self) -> Vec<SettingStatus> {
        let planes = &self.planes;
        let text = |text: &dyn fmt::Display| Some(text.to_string());
        vec![
            setting("local", &planes.local, Some("true"), |value| text(value)),
            setting(
                "allow_aggregate",
                &planes.allow_aggregate,
                Some("true"),
                |value| text(value),
            ),
            setting(
                "consent_state",
                &planes.consent_state,
                Some("unknown"),
                |value| text(value),
            ),
            setting("install_id", &planes.install_id, None, |value| text(value)),
            setting(
                "retention_days",
                &planes.retention_days,
                Some("90"),
                |value| text(value),
            ),
            setting(
                "max_bytes",
                &planes.max_bytes,
                Some("2147483648"),
                |value| text(value),
            ),
            SettingStatus {
                // Whatever is said of it.
                value: Some("true".to_owned()),
                ..setting(
                    "redact_secrets",
                    &planes.redact_secrets,
                    None,
                    |_: &bool| None,
                )
            },
            SettingStatus {
                value: Some(self.content_redaction.as_str().to_owned()),
                ..setting("content_redaction", &planes.content_redaction, None, |_| {
                    None
                })
            },
            setting(
                "trajectories.enabled",
                &planes.trajectories,
                Some("false"),
                |value| text(value),
            ),
            setting(
                "export.otlp.enabled",
                &planes.otlp_enabled,
                Some("false"),
                |value| text(value),
            ),
            setting("export.otlp.endpoint", &planes.otlp_endpoint, None, |url| {
                Some(shown(url))
            }),
            setting(
                "export.otlp.headers_env",
                &planes.headers_env,
                None,
                |headers| {
                    let headers = headers.iter();
                    let pairs = headers.map(|(header, variable)| format!("{header} = {variable}"));
                    Some(pairs.collect::<Vec<_>>().join(", "))
                },
            ),
        ]
    }
}

fn setting<T>(
    key: &'static str,
    setting: &Setting<T>,
    default: Option<&str>,
    show: impl Fn(&T) -> Option<String>,
) -> SettingStatus {
    let said = setting.said.as_ref();
    SettingStatus {
        key,
        source: setting.source,
        is_valid: !matches!(said, Said::Invalid),
        value: match said {
            // Whatever was put there by mistake.
            Said::Is(value) => show(value).map(|shown| label(&shown)),
            Said::Nothing | Said::Invalid => default.map(str::to_owned),
        },
    }
}

/// A URL without userinfo and query, and without what looks like a secret in its path.
fn shown(url: &str) -> String {
    let Ok(uri) = url.trim().parse::<http::Uri>() else {
        return "(not an URL)".to_owned();
    };
    let scheme = uri
        .scheme_str()
        .map_or_else(String::new, |scheme| format!("{scheme}://"));
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit('@').next().unwrap_or_default();
    label(&format!(
        "{scheme}{host}{}",
        uri.path().trim_end_matches('/')
    ))
}

impl PlaneStatus {
    /// What is decided for a plane or a way out; `None` where there is none of this name.
    #[must_use]
    pub fn plane(&self, name: &str) -> Option<Decision> {
        let mut planes = self.planes.iter();
        planes
            .find(|(known, _)| *known == name)
            .map(|(_, decision)| *decision)
    }

    /// What one key holds; `None` where there is none of this name.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&SettingStatus> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}

impl fmt::Display for PlaneStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, decision) in &self.planes {
            let remark = match *name {
                "aggregate" => "; nothing uploads any",
                _ => "",
            };
            writeln!(f, "{name:<13} {decision}{remark}")?;
        }
        writeln!(f, "{:<13} {}\n", "content", self.content)?;
        for setting in &self.settings {
            let value = setting.value.as_deref().unwrap_or("-");
            let remark = if setting.is_valid {
                ""
            } else {
                ", cannot be read"
            };
            writeln!(
                f,
                "{:<24} {value}  ({}{remark})",
                setting.key, setting.source
            )?;
        }
        writeln!(f)?;
        for file in &self.files {
            writeln!(f, "{}: {}", file.path.display(), file.state)?;
        }
        for trouble in &self.troubles {
            writeln!(f, "! {trouble}")?;
        }
        Ok(())
    }
}

impl Serialize for PlaneStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let planes = self.planes.iter().map(|(name, decision)| {
            let said = json!({
                "is_open": decision.is_open(),
                "reason": decision.reason().to_string(),
            });
            ((*name).to_owned(), said)
        });
        let settings = self.settings.iter().map(|setting| {
            let said = json!({
                "value": setting.value,
                "source": setting.source.as_str(),
                "is_valid": setting.is_valid,
            });
            (setting.key.to_owned(), said)
        });
        let files = self
            .files
            .iter()
            .map(|file| json!({ "path": file.path.to_string_lossy(), "state": file.state }));
        json!({
            "planes": planes.collect::<serde_json::Map<_, Value>>(),
            "content": self.content,
            "settings": settings.collect::<serde_json::Map<_, Value>>(),
            "files": files.collect::<Vec<_>>(),
            "troubles": self.troubles,
        })
        .serialize(serializer)
    }
}
