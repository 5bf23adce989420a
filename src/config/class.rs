//! Kinds of content, so that each can be kept, or may leave, by itself.

use super::content::{Content, ContentCapture, Placement};

/// Kinds of content: what [`Builder::capture_class`](crate::Builder::capture_class) decides on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentClass {
    /// What users say, and what is looked for on their behalf.
    UserMessage,
    /// What the program tells the model: system and developer instructions, definitions of tools.
    System,
    /// What tools are called with.
    ToolArguments,
    /// What tools and retrievers give back.
    ToolResult,
    /// What models answer.
    ModelOutput,
    /// What models think before they answer, in whichever message it stands.
    Reasoning,
    /// Everything else: fields that no convention knows, what events say.
    Other,
}

impl ContentClass {
    const ALL: [ContentClass; 7] = [
        ContentClass::UserMessage,
        ContentClass::System,
        ContentClass::ToolArguments,
        ContentClass::ToolResult,
        ContentClass::ModelOutput,
        ContentClass::Reasoning,
        ContentClass::Other,
    ];
}

/// Some kinds of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Classes(u8);

impl Classes {
    pub(crate) const NONE: Classes = Classes(0);
    pub(crate) const ALL: Classes = Classes::of(&ContentClass::ALL);

    pub(crate) const fn of(classes: &[ContentClass]) -> Self {
        let (mut set, mut at) = (0, 0);
        while at < classes.len() {
            set |= 1 << classes[at] as u8;
            at += 1;
        }
        Classes(set)
    }

    pub(crate) fn has(self, class: ContentClass) -> bool {
        self.0 & 1 << class as u8 != 0
    }

    pub(crate) fn has_all(self, others: Classes) -> bool {
        self.0 & others.0 == others.0
    }

    pub(crate) fn has_any(self, others: Classes) -> bool {
        self.0 & others.0 != 0
    }
}

/// What is kept of each kind of content, and where it may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ContentRules {
    /// Kept on this machine.
    pub(crate) kept: Classes,
    /// May leave it: never more than what is kept.
    pub(crate) leaving: Classes,
    /// Where what leaves stands.
    pub(crate) placement: Placement,
}

/// What code says of single kinds.
pub(crate) type ClassWishes = Vec<(ContentClass, ContentCapture)>;

impl ContentRules {
    /// The rule for all, but for the kinds of which something else is said; the last word holds.
    pub(crate) fn new(all: Content, wishes: &[(ContentClass, ContentCapture)]) -> Self {
        let general = match all {
            Content::Off => ContentCapture::Off,
            Content::Local => ContentCapture::Local,
            Content::Exported(_) => ContentCapture::On,
        };
        let (mut kept, mut leaving) = (0, 0);
        for class in ContentClass::ALL {
            let said = wishes.iter().rev().find(|(named, _)| *named == class);
            let bit = 1 << class as u8;
            match said.map_or(general, |(_, wish)| *wish) {
                ContentCapture::Off => {}
                ContentCapture::Local => kept |= bit,
                ContentCapture::On => {
                    kept |= bit;
                    leaving |= bit;
                }
            }
        }
        ContentRules {
            kept: Classes(kept),
            leaving: Classes(leaving),
            placement: match all {
                _ if leaving == 0 => Placement::NOWHERE,
                Content::Exported(placement) => placement,
                Content::Off | Content::Local => Placement::ON_SPAN,
            },
        }
    }
}

impl From<Content> for ContentRules {
    fn from(all: Content) -> Self {
        ContentRules::new(all, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::{Classes, Content, ContentCapture, ContentClass, ContentRules, Placement};

    #[test]
    fn a_kind_of_which_something_is_said_goes_its_own_way() {
        let exported = Content::Exported(Placement::ON_SPAN);
        let rules = ContentRules::new(
            exported,
            &[
                (ContentClass::Reasoning, ContentCapture::On),
                (ContentClass::Reasoning, ContentCapture::Off),
                (ContentClass::UserMessage, ContentCapture::Local),
            ],
        );
        assert!(!rules.kept.has(ContentClass::Reasoning));
        assert!(rules.kept.has(ContentClass::UserMessage));
        assert!(!rules.leaving.has(ContentClass::UserMessage));
        assert!(rules.leaving.has(ContentClass::ModelOutput));
        let one = [(ContentClass::ToolResult, ContentCapture::On)];
        let rules = ContentRules::new(Content::Off, &one);
        assert_eq!(rules.kept, Classes::of(&[ContentClass::ToolResult]));
        assert_eq!(rules.placement, Placement::ON_SPAN);
        assert_eq!(ContentRules::from(Content::Off).kept, Classes::NONE);
        assert_eq!(ContentRules::from(Content::Local).kept, Classes::ALL);
        assert_eq!(
            ContentRules::from(Content::Local).placement,
            Placement::NOWHERE
        );
    }
}
