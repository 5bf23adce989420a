//! Which files of settings are read, and how they stand beside what code and the environment say.

use std::path::{Path, PathBuf};

use super::Builder;
use crate::config::{self, Config, MANAGED, ScopeFile, Spoken};
use crate::policy::Rules;
use crate::privacy::Privacy;

/// Where files of settings are, where it is not where they always are.
#[derive(Debug, Default)]
pub(super) struct Files {
    user: Option<PathBuf>,
    managed: Option<PathBuf>,
}

impl Builder {
    /// Where the user's settings are. Default: `telemetry.toml` in `HERMES_HOME`.
    ///
    /// The machine's, in `/etc/hermes/telemetry.toml`, are read in any case and beat all others, key by key.
    ///
    /// ```
    /// let builder = hermes::builder().settings_file("/srv/agent/telemetry.toml");
    /// # drop(builder);
    /// ```
    pub fn settings_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.user = Some(path.into());
        self
    }

    /// Another file in place of the machine's, for tests of Hermes itself. Neither the environment nor a
    /// file can say this.
    #[doc(hidden)]
    pub fn __managed_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.managed = Some(path.into());
        self
    }

    /// Reads what is said of planes and consent in code, environment and files, and starts nothing.
    ///
    /// ```
    /// # let home = tempfile::tempdir().unwrap();
    /// # let file = home.path().join("telemetry.toml");
    /// let privacy = hermes::builder().settings_file(file).privacy();
    /// assert_eq!(privacy.consent(), hermes::privacy::ConsentState::Unknown);
    /// ```
    #[must_use]
    pub fn privacy(mut self) -> Privacy {
        let config = self.configure();
        // Where a pattern cannot be used nothing is recorded: `build` says so.
        let redaction = self.redaction.rules(config.content_redaction);
        let redaction = redaction.unwrap_or(Rules {
            personal: true,
            ..Rules::default()
        });
        Privacy::new(&config, self.extent, redaction)
    }

    /// All that is said, each in its place.
    pub(super) fn configure(&mut self) -> Config {
        let mut config = Config::from_env();
        let spoken = Spoken {
            retention_days: self.retention_days,
            max_bytes: self.max_bytes,
            otlp_in_code: self.exporters.is_some() || self.otlp_endpoint.is_some(),
            otlp_in_environment: config.export.is_said,
            endpoint_in_code: self.otlp_endpoint.is_some(),
        };
        self.apply_to(&mut config);
        let user = self.files.user.take();
        let managed = self.files.managed.take();
        let user = user.or_else(|| Some(config.home.as_ref()?.join(config::FILE)));
        config.user_file.clone_from(&user);
        let managed = managed.as_deref().unwrap_or(Path::new(MANAGED));
        config.settle(
            user.as_deref().map(ScopeFile::of_user),
            ScopeFile::of_machine(managed),
            spoken,
            config::variable,
        );
        config
    }
}
