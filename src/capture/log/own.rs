//! Which crates are the program's own: their messages are their author's words, and no others' content.
//!
//! Inside a span the span tells. Outside of any these do: the crate that the program is named after, and
//! those whose code is annotated.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use tracing::Metadata;

use crate::capture::event::crate_of;
use crate::semconv::Kind;

/// The crates that are known to be the program's own.
#[derive(Debug)]
pub(super) struct OwnCrates {
    executable: Option<String>,
    /// Written when a callsite is met for the first time.
    annotated: RwLock<HashSet<String>>,
}

impl Default for OwnCrates {
    fn default() -> Self {
        let path = std::env::current_exe().ok();
        let stem = path.as_ref().and_then(|path| path.file_stem()?.to_str());
        OwnCrates {
            executable: stem.map(crate_of_executable),
            annotated: RwLock::default(),
        }
    }
}

impl OwnCrates {
    /// Takes note of a span's callsite, where it is one of Hermes's and not in Hermes itself.
    pub(super) fn see(&self, metadata: &Metadata<'_>) {
        let name = crate_of(metadata.target());
        if Kind::of_span_name(metadata.name()).is_some() && name != "hermes" && !self.has(name) {
            let mut annotated = self
                .annotated
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            annotated.insert(name.to_owned());
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        if self.executable.as_deref() == Some(name) {
            return true;
        }
        let annotated = self.annotated.read();
        annotated
            .unwrap_or_else(PoisonError::into_inner)
            .contains(name)
    }
}

/// The crate that an executable is made of: cargo adds a hash of sixteen digits to tests and examples.
fn crate_of_executable(stem: &str) -> String {
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    let name = match stem.rsplit_once('-') {
        Some((name, hash)) if is_hash(hash) => name,
        _ => stem,
    };
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::crate_of_executable;

    #[test]
    fn an_executable_is_named_after_its_crate() {
        assert_eq!(crate_of_executable("my-agent"), "my_agent");
        assert_eq!(crate_of_executable("it-5f4fb3d9fb7e1113"), "it");
        assert_eq!(crate_of_executable("agent-v2"), "agent_v2");
    }
}
