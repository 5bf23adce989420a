//! What each hook is told, under the host's own names: as fields, by setters, or as JSON.

macro_rules! arguments {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $form:ident,)* })*) => {$(
        $(#[$doc])*
        ///
        /// Every field may be missing: what the host does not say is found out or left out.
        #[derive(Clone, Debug, Default, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: Option<arguments!(@type $form)>,)*
        }

        impl $name {
            /// Nothing said yet; the setters, or the fields, say it.
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }

            /// Reads the arguments that a host passes as a JSON object. Names that Hermes does not know are
            /// passed over, and so is what is empty or no value of its kind.
            #[must_use]
            pub fn from_json(arguments: &serde_json::Value) -> Self {
                Self {
                    $($field: crate::hooks::reading::$form(arguments, stringify!($field)),)*
                }
            }

            $(
                $(#[$field_doc])*
                #[must_use]
                pub fn $field(mut self, $field: impl Into<arguments!(@type $form)>) -> Self {
                    self.$field = Some($field.into());
                    self
                }
            )*
        }
    )*};
    (@type text) => { String };
    (@type json) => { serde_json::Value };
    (@type int) => { i64 };
    (@type number) => { f64 };
    (@type seconds) => { f64 };
    (@type millis) => { f64 };
    (@type truth) => { bool };
    (@type time) => { std::time::SystemTime };
}

mod conversation;
mod model;
mod tool;

pub use conversation::{
    LlmAnswer, LlmCall, SessionEnd, SessionFinalize, SessionStart, SubagentStart, SubagentStop,
};
pub use model::{ApiAnswer, ApiError, ApiRequest};
pub use tool::{ApprovalRequest, ApprovalResponse, ToolCall, ToolResult};
