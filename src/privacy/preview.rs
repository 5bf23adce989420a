//! What would leave over OTLP under the present settings, looked at and not sent.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::Privacy;
use crate::config::{Classes, ContentRules};
use crate::policy::{Decision, Policy};
use crate::record::seed;
use crate::sink::{PreviewSpan, Why, previewed, previewed_resource};
use crate::store::RecordedSpan;

/// Stored spans as a collector would get them, made by the code that exports; [`Privacy::preview`] gives it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Preview {
    /// Whether spans leave over OTLP at present, and why. Where they do not, the rest says what would leave
    /// if they did.
    pub decision: Decision,
    /// What all spans are said to be about. It is the operator's, and leaves as it is.
    pub resource: Map<String, Value>,
    /// The spans, in the order given. Those that still run are not among them: they leave when they end.
    pub spans: Vec<PreviewSpan>,
}

impl Privacy {
    /// Shows what would leave of stored spans under the present settings: names, times, attributes with why
    /// each is there, events, and the names of what is withheld with why. Nothing is sent.
    ///
    /// Sampling is not applied, and spans of other libraries, which are not in the store, are not shown. What was
    /// not kept when it was recorded, content above all, cannot leave and is not named.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tracing_subscriber::layer::SubscriberExt;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let builder = hermes::builder().store_path(folder.path().join("t.db"));
    /// # let builder = builder.settings_file(folder.path().join("telemetry.toml"));
    /// # let (layer, telemetry) = builder.build()?;
    /// # tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    /// hermes::session("s-1").start().end();
    /// # });
    /// telemetry.flush(Duration::from_secs(5))?;
    /// let store = telemetry.store()?;
    /// let run = &store.runs(&hermes::RunFilter::default())?[0];
    ///
    /// let preview = telemetry.privacy().preview(store.spans_of_run(run.run_id)?);
    /// assert!(!preview.decision.is_open());
    /// let names: Vec<_> = preview.spans[0].attributes.iter().map(|a| a.name.as_str()).collect();
    /// assert!(names.contains(&"hermes.session.id"));
    /// # Ok::<(), hermes::Error>(())
    /// ```
    #[must_use]
    pub fn preview(&self, spans: impl IntoIterator<Item = RecordedSpan>) -> Preview {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&seed().to_le_bytes());
        key[8..].copy_from_slice(&seed().to_le_bytes());
        let rules = self.redaction.clone();
        let policy = Policy::new(self.content, self.extent, key, rules);
        let ContentRules { kept, leaving, .. } = self.content;
        let withheld = if kept == Classes::NONE {
            Why::ContentIsOff
        } else if !self.gate.decisions().live_content.is_open() {
            Why::ContentIsManaged
        } else if kept == leaving {
            Why::NotExported
        } else {
            Why::ContentStays
        };
        Preview {
            decision: self.gate.decisions().otlp,
            resource: previewed_resource(&self.export),
            spans: previewed(spans, Arc::new(policy), self.export.naming, withheld),
        }
    }
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "otlp: {}", self.decision)?;
        writeln!(f, "resource: {}", Value::Object(self.resource.clone()))?;
        for span in &self.spans {
            writeln!(f, "{span}")?;
        }
        Ok(())
    }
}

impl Serialize for Preview {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({
            "is_open": self.decision.is_open(),
            "reason": self.decision.reason().to_string(),
            "resource": self.resource,
            "spans": self.spans,
        })
        .serialize(serializer)
    }
}
