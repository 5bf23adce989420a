//! The OTel layer as Hermes needs it: a span whose record says what it carries is not told its fields.
//!
//! The exporter takes everything but ids, parent and links from the record ([`super::rename`]). The
//! attributes that the layer would make of the fields, an allocation and a copy each, are most of
//! what a span costs there.

use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// An OTel layer that hears of the callsites that are exported, and of fields where nobody else
/// knows them.
#[derive(Debug)]
pub(crate) struct Unladen<L, E, K> {
    otel: L,
    is_exported: E,
    is_known: K,
}

impl<L, E, K> Unladen<L, E, K>
where
    E: Fn(&Metadata<'_>) -> bool + 'static,
    K: Fn(&Id) -> bool + 'static,
{
    /// `is_known` is asked after capture has seen the span, and stays the same while it is open.
    pub(crate) fn new(otel: L, is_exported: E, is_known: K) -> Self {
        Unladen {
            otel,
            is_exported,
            is_known,
        }
    }
}

impl<S, L, E, K> Layer<S> for Unladen<L, E, K>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
    E: Fn(&Metadata<'_>) -> bool + 'static,
    K: Fn(&Id) -> bool + 'static,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.otel.on_register_dispatch(dispatch);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.otel.on_layer(subscriber);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let metadata = attributes.metadata();
        if !(self.is_exported)(metadata) {
            return;
        }
        if !(self.is_known)(id) {
            self.otel.on_new_span(attributes, id, context);
            return;
        }
        let none = metadata.fields().value_set(&[]);
        let unladen = match attributes.parent() {
            Some(parent) => Attributes::child_of(parent.clone(), metadata, &none),
            None if attributes.is_root() => Attributes::new_root(metadata, &none),
            None => Attributes::new(metadata, &none),
        };
        self.otel.on_new_span(&unladen, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if !(self.is_known)(id) {
            self.otel.on_record(id, values, context);
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        self.otel.on_follows_from(id, follows, context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if (self.is_exported)(event.metadata()) {
            self.otel.on_event(event, context);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.otel.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.otel.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.otel.on_close(id, context);
    }

    fn on_id_change(&self, old: &Id, new: &Id, context: Context<'_, S>) {
        self.otel.on_id_change(old, new, context);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Empty, Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Subscriber, info, info_span};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};
    use tracing_subscriber::registry::LookupSpan;

    use super::Unladen;

    /// Writes down what it hears.
    #[derive(Clone, Default)]
    struct Ear(Arc<Mutex<Vec<String>>>);

    struct Fields<'a>(&'a mut String);

    impl Visit for Fields<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, " {field}={value:?}");
        }
    }

    impl Ear {
        fn heard(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    impl<S> Layer<S> for Ear
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, context: Context<'_, S>) {
            let mut said = attributes.metadata().name().to_owned();
            attributes.record(&mut Fields(&mut said));
            if attributes.is_root() {
                said += " at the root";
            }
            if let Some(parent) = attributes.parent().and_then(|id| context.span(id)) {
                let _ = write!(said, " in {}", parent.name());
            }
            self.0.lock().unwrap().push(said);
        }

        fn on_record(&self, _: &Id, values: &Record<'_>, _: Context<'_, S>) {
            let mut said = "recorded".to_owned();
            values.record(&mut Fields(&mut said));
            self.0.lock().unwrap().push(said);
        }

        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut said = "event".to_owned();
            event.record(&mut Fields(&mut said));
            self.0.lock().unwrap().push(said);
        }
    }

    fn scene() {
        let one = info_span!("one", a = 1, b = Empty);
        one.record("b", 2);
        let _two = info_span!(parent: &one, "two", a = 1);
        let _three = info_span!(parent: None, "three", a = 1);
        let _inside = one.enter();
        info!(target: "elsewhere", c = 3);
        info!(c = 3);
    }

    fn heard(is_known: bool) -> Vec<String> {
        let ear = Ear::default();
        let layer = Unladen::new(
            ear.clone(),
            |metadata: &tracing::Metadata<'_>| metadata.target() != "elsewhere",
            move |_: &Id| is_known,
        );
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, scene);
        ear.heard()
    }

    #[test]
    fn a_known_span_keeps_its_place_and_loses_its_fields() {
        assert_eq!(
            heard(true),
            ["one", "two in one", "three at the root", "event c=3"]
        );
    }

    #[test]
    fn a_span_that_nobody_knows_is_told_whole() {
        assert_eq!(
            heard(false),
            [
                "one a=1",
                "recorded b=2",
                "two a=1 in one",
                "three a=1 at the root",
                "event c=3"
            ]
        );
    }
}
