//! What is kept of content, and how much of it.

use super::Builder;
use crate::config::{ContentCapture, ContentClass};

impl Builder {
    /// What is kept of content. Default: `HERMES_OTEL_CAPTURE_CONTENT`, else nothing.
    pub fn capture_content(mut self, content: ContentCapture) -> Self {
        self.content = Some(content);
        self
    }

    /// What is kept of one kind of content, whatever is said of content in general; the last word on
    /// a kind holds. What may not be kept is taken out of the messages that it stands in, and what may
    /// be kept and not leave is taken out of what leaves.
    ///
    /// ```
    /// use hermes::{ContentCapture, ContentClass};
    ///
    /// let builder = hermes::builder()
    ///     .capture_content(ContentCapture::On)
    ///     .capture_class(ContentClass::UserMessage, ContentCapture::Local)
    ///     .capture_class(ContentClass::Reasoning, ContentCapture::Off);
    /// # drop(builder);
    /// ```
    pub fn capture_class(mut self, class: ContentClass, content: ContentCapture) -> Self {
        self.content_classes.push((class, content));
        self
    }

    /// The longest value of content that is kept, in characters; what is longer is cut, and says by how much. Default:
    /// 65,536; less than 1,024 counts as that, and more than 1,048,576 as that. How long attributes are that leave is said
    /// by the conventions.
    ///
    /// ```
    /// let builder = hermes::builder().capture_max_chars(8_192);
    /// # drop(builder);
    /// ```
    pub fn capture_max_chars(mut self, chars: usize) -> Self {
        self.extent.set_chars(chars);
        self
    }

    /// Whether the texts of errors are kept, redacted and cut to 500 characters. Default: yes.
    pub fn capture_error_text(mut self, keep: bool) -> Self {
        self.extent.error_text = keep;
        self
    }
}
