//! Log lines that say which trace and span they belong to, for `tracing_subscriber::fmt`.
//!
//! [`WithIds`] goes around the format that a `fmt` layer has anyway. A line that is written inside a span
//! then bears `trace_id` and `span_id`, the same as in the store and on OTLP, so that one finds the other.

mod line;

use std::any::TypeId;
use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Pretty, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use line::{Ids, Layout};

/// A format of log lines, with `trace_id` and `span_id` added to each line inside a span.
///
/// The ids are those of the nearest Hermes span around the event that is kept; where spans are exported, a
/// span of another library counts as well, for it has its place in the exported trace. Outside of any such
/// span, and without a Hermes layer, a line is what it would be without this.
///
/// A line of text ends in ` trace_id=… span_id=…`, a pretty one has them on a line of their own, and a line
/// that is a JSON object gets them as its last members, at the top level. What an event says itself under
/// one of these names at that place stays as it is, and nothing is added.
///
/// Lines of the layer's own about a span (`with_span_events`) bear the ids of that span, but for the line that
/// it is new: where it has no ids yet, those of the span around it.
///
/// The order of the layers does not matter, nor do their filters: a line that a filter lets through bears
/// the ids of its span even where the same filter hides the span.
///
/// ```
/// use hermes::logs::WithIds;
/// use tracing_subscriber::fmt;
/// # type Subscriber = tracing_subscriber::Registry;
///
/// let text = fmt::layer::<Subscriber>().map_event_format(WithIds::new);
/// let compact = fmt::layer::<Subscriber>().compact().map_event_format(WithIds::new);
/// let json = fmt::layer::<Subscriber>().json().flatten_event(true).map_event_format(WithIds::new);
/// # drop((text, compact, json));
/// ```
#[derive(Clone, Debug)]
pub struct WithIds<E> {
    format: E,
    /// The same for terminals: a format cannot be told from outside that what it writes to has colours.
    coloured: Option<E>,
    layout: Layout,
}

impl<F, T> WithIds<Format<F, T>>
where
    F: Clone + 'static,
    T: Clone,
{
    /// Around one of `tracing_subscriber`'s own formats: full, compact, pretty or JSON.
    ///
    /// Colours are as the layer has them (`fmt::Layer::with_ansi`); what the format itself was told of
    /// colours counts where the layer has none.
    #[must_use]
    pub fn new(format: Format<F, T>) -> Self {
        crate::capture::expect_lines();
        let is_pretty = TypeId::of::<F>() == TypeId::of::<Pretty>();
        WithIds {
            coloured: Some(format.clone().with_ansi(true)),
            format,
            layout: if is_pretty {
                Layout::Pretty
            } else {
                Layout::Line
            },
        }
    }
}

impl<E> WithIds<E> {
    /// Around a format of the program's own.
    ///
    /// Lines inside a span are written without colours: such a format cannot be told that it may use them.
    ///
    /// ```
    /// use std::fmt;
    /// use hermes::logs::WithIds;
    /// use tracing::{Event, Subscriber};
    /// use tracing_subscriber::fmt::format::Writer;
    /// use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
    /// use tracing_subscriber::registry::LookupSpan;
    ///
    /// struct Terse;
    ///
    /// impl<S, N> FormatEvent<S, N> for Terse
    /// where
    ///     S: Subscriber + for<'a> LookupSpan<'a>,
    ///     N: for<'a> FormatFields<'a> + 'static,
    /// {
    ///     fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
    ///         context.format_fields(writer.by_ref(), event)?;
    ///         writeln!(writer)
    ///     }
    /// }
    ///
    /// let layer = tracing_subscriber::fmt::layer::<tracing_subscriber::Registry>()
    ///     .event_format(WithIds::around(Terse));
    /// # drop(layer);
    /// ```
    #[must_use]
    pub fn around(format: E) -> Self {
        crate::capture::expect_lines();
        WithIds {
            format,
            coloured: None,
            layout: Layout::Line,
        }
    }
}

impl<S, N, E> FormatEvent<S, N> for WithIds<E>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    E: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let visible = context.parent_span().map(|span| span.id());
        let Some(ids) = crate::capture::ids_around(event, visible.as_ref()) else {
            return self.format.format_event(context, writer, event);
        };
        let coloured = self.coloured.as_ref().filter(|_| writer.has_ansi_escapes());
        let format = coloured.unwrap_or(&self.format);
        let mut line = String::with_capacity(256);
        format.format_event(context, Writer::new(&mut line), event)?;
        let ids = Ids {
            trace_id: ids.0,
            span_id: ids.1,
            has_colours: coloured.is_some(),
        };
        ids.add_to(&line, self.layout, &mut writer)
    }
}
