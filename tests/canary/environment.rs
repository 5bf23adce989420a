//! Variables with secrets in them: in their places, in the wrong ones, and in what they say of the process itself.

use std::path::Path;
use std::process::Command;

use crate::child_as;
use crate::search::percent_encoded;
use crate::secret::Secret;
use crate::wire::Wire;

/// What a child reads that works: where it sends to, and as whom.
pub(crate) fn set(command: &mut Command, profile: usize, collector: &Wire, secrets: &[Secret]) {
    let userinfo = percent_encoded(&secrets[3].core);
    let key = percent_encoded(&secrets[4].core);
    let protocol = ["http/protobuf", "grpc"][profile % 2];
    command
        .env("HERMES_LOG_LEVEL", "debug")
        .env("HERMES_OTEL_EXPORTER", "otlp,otlp_grpc,console")
        .env("OTEL_LOGS_EXPORTER", "otlp,console")
        .env("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", protocol)
        .env(
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "SPAN_AND_EVENT",
        )
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!(
                "http://operator:{userinfo}@{}?api_key={userinfo}",
                collector.address()
            ),
        )
        .env(
            "OTEL_EXPORTER_OTLP_HEADERS",
            format!("x-operator={key},x-canary=canary-header-004"),
        )
        .env("OTEL_RESOURCE_ATTRIBUTES", resource(secrets).join(","))
        .env("TRACEPARENT", &secrets[5].core);
}

/// Each secret as an attribute of the process: in a value, under a name that tells, as a name itself.
fn resource(secrets: &[Secret]) -> Vec<String> {
    let secrets = of_resource(secrets);
    let pairs = secrets.iter().flat_map(|secret| {
        let key = secret.marker("resource_key");
        let (core, text) = (
            percent_encoded(&secret.core),
            percent_encoded(&secret.say("resource")),
        );
        let mut pairs = vec![
            format!("note.{}={text}", secret.number),
            format!("db{}.password={core}", secret.number),
            format!("{key}=api_key%3D{core}"),
        ];
        if secret.is_known_alone() && !secret.core.contains('=') {
            pairs.push(format!("{}=x", secret.core));
        }
        pairs
    });
    pairs.collect()
}

/// Some of each kind: of vendors', under telling names, private keys.
fn of_resource(secrets: &[Secret]) -> Vec<&Secret> {
    let each = secrets.iter();
    each.filter(|secret| secret.number % 8 == 3).collect()
}

/// Notes what of the environment goes in.
pub(crate) fn feed(secrets: &[Secret]) {
    for secret in of_resource(secrets) {
        let _ = (secret.marker("resource"), secret.marker("resource_key"));
    }
}

/// Variables that take any text for their value, and tell of what makes no sense.
const TOLD: [&str; 12] = [
    "HERMES_LOG_LEVEL",
    "HERMES_OTEL_ENABLED",
    "HERMES_OTEL_EXPORTER",
    "HERMES_OTEL_SEMCONV",
    "HERMES_OTEL_CAPTURE_CONTENT",
    "HERMES_CAPTURE",
    "OTEL_SDK_DISABLED",
    "OTEL_LOGS_EXPORTER",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_TRACES_SAMPLER",
];

/// How the collector is reached, of which the first mistake is told alone.
const CONNECTION: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
];

/// Those of which nothing need be told.
const QUIET: [&str; 8] = [
    "HERMES_EVENT_LOG",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SERVICE_NAME",
    "TRACEPARENT",
    "BAGGAGE",
];

/// Children whose variables hold secrets by mistake, each secret in one variable of one child; with them goes what each
/// must tell of.
pub(crate) fn mistaken(secrets: &[Secret], home: &Path) -> Vec<(Command, Vec<&'static str>)> {
    let mut children = Vec::new();
    let mut secrets = secrets.iter();
    for connection in CONNECTION.iter().cycle() {
        let mut settings = child_as("mistaken", home);
        let told = give(&mut settings, &TOLD, &mut secrets);
        children.push((settings, told));
        let mut exports = child_as("mistaken", home);
        exports.env("HERMES_OTEL_EXPORTER", "otlp");
        exports.env("OTEL_LOGS_EXPORTER", "otlp");
        let told = ["OTEL_EXPORTER_OTLP_PROTOCOL", connection];
        let told = give(&mut exports, &told, &mut secrets);
        children.push((exports, told));
        if secrets.len() == 0 {
            break;
        }
    }
    children
}

/// Gives a secret to each variable, as far as there are any, and to those of which nothing need be told.
fn give<'s>(
    command: &mut Command,
    told: &[&'static str],
    secrets: &mut impl Iterator<Item = &'s Secret>,
) -> Vec<&'static str> {
    let mut given = Vec::new();
    for (name, secret) in told.iter().chain(&QUIET).zip(secrets) {
        command.env(name, mistake(name, secret));
        given.push(*name);
    }
    given.retain(|name| told.contains(name));
    given
}

fn mistake(name: &str, secret: &Secret) -> String {
    match name {
        "HERMES_EVENT_LOG" => format!("/dev/null/{}/events.jsonl", secret.text),
        "HERMES_CAPTURE" => format!("a=b={}", secret.text),
        _ => secret.text.clone(),
    }
}

/// What such a child does: all that there is to be said of the settings is said.
pub(crate) fn run_mistaken() {
    let (layer, telemetry) = hermes::builder().build().unwrap();
    let subscriber =
        tracing_subscriber::layer::SubscriberExt::with(tracing_subscriber::registry(), layer);
    tracing::subscriber::with_default(subscriber, || drop(hermes::session("s").start()));
    let status = telemetry.privacy().status();
    let json = serde_json::to_string(&status).unwrap();
    println!(
        "{status} {status:?} {json} {telemetry:?} {:?}",
        telemetry.stats()
    );
}
