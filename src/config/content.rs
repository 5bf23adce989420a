//! What is kept of prompts, arguments, results and answers, and where it may go.

/// What is kept of prompts, arguments, results and answers.
///
/// The default is [`ContentCapture::Off`]. Secrets are redacted in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentCapture {
    /// Nothing; what the code writes as content is not even formatted.
    #[default]
    Off,
    /// Kept in the store of this machine, never exported.
    Local,
    /// Kept in the store, and on exported spans.
    On,
}

/// What is kept of content, and where it may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing.
    #[default]
    Off,
    /// Kept in the local store alone.
    Local,
    /// Kept, and exported as said.
    Exported(Placement),
}

/// Where exported content stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    /// As attributes of the span.
    pub(crate) on_span: bool,
    /// As an event of the span.
    pub(crate) on_event: bool,
}

impl Content {
    /// What code asks for, standing where the environment wants it to stand.
    pub(crate) fn set(self, wish: ContentCapture) -> Self {
        match (wish, self) {
            (ContentCapture::Off, _) => Content::Off,
            (ContentCapture::Local, _) => Content::Local,
            (ContentCapture::On, placed @ Content::Exported(_)) => placed,
            (ContentCapture::On, _) => Content::Exported(Placement::ON_SPAN),
        }
    }
}

impl Placement {
    pub(crate) const NOWHERE: Placement = Placement {
        on_span: false,
        on_event: false,
    };
    pub(crate) const ON_SPAN: Placement = Placement {
        on_span: true,
        on_event: false,
    };
}
