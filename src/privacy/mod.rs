//! What may be kept and what may leave: asked for, shown, changed and looked at before it leaves.
//!
//! ```
//! # let home = tempfile::tempdir().unwrap();
//! # let file = home.path().join("telemetry.toml");
//! # let privacy = hermes::builder().settings_file(&file).privacy();
//! // let privacy = hermes::builder().privacy();
//! let status = privacy.status();
//! println!("{status}");
//! assert!(status.plane("local").unwrap().is_open());
//! assert!(!status.plane("aggregate").unwrap().is_open());
//! ```

mod consent;
mod edit;
#[cfg(all(feature = "sqlite", feature = "otlp"))]
mod preview;
mod status;

use std::fmt;
use std::path::PathBuf;

pub use consent::{ConsentChange, Origin};
#[cfg(all(feature = "sqlite", feature = "otlp"))]
pub use preview::Preview;
pub use status::{FileStatus, PlaneStatus, SettingStatus};

use crate::config::{Config, ContentRedaction, ContentRules, ExportConfig, Planes, ScopeFile};
pub use crate::config::{ConsentState, Source};
pub use crate::policy::{Decision, Reason};
use crate::policy::{Extent, Gate, Rules, label};
#[cfg(all(feature = "sqlite", feature = "otlp"))]
pub use crate::sink::{PreviewAttribute, PreviewEvent, PreviewSpan, Why};

/// The settings of planes and consent as they were when they were read, with the source of each.
///
/// [`Builder::privacy`](crate::Builder::privacy) reads them without starting anything;
/// [`Telemetry::privacy`](crate::Telemetry::privacy) has those that a running agent obeys. What is changed in the
/// files afterwards is obeyed by whatever reads them next.
#[derive(Clone)]
pub struct Privacy {
    gate: Gate,
    planes: Planes,
    files: Vec<ScopeFile>,
    export: ExportConfig,
    content: ContentRules,
    content_redaction: ContentRedaction,
    redaction: Rules,
    extent: Extent,
    /// The file that the user may change.
    path: Option<PathBuf>,
    troubles: Vec<String>,
}

impl Privacy {
    pub(crate) fn new(config: &Config, extent: Extent, redaction: Rules) -> Self {
        let gate = Gate::of(config);
        Privacy {
            content: gate.content(ContentRules::new(config.content, &config.content_classes)),
            redaction,
            gate,
            planes: config.planes.clone(),
            files: config.files.clone(),
            export: config.export.clone(),
            content_redaction: config.content_redaction,
            extent,
            path: config.user_file.clone(),
            troubles: config.warnings.iter().map(|told| label(told)).collect(),
        }
    }
}

/// What is said of endpoints may hold passwords.
impl fmt::Debug for Privacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Privacy")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
