//! Which traces leave: what a sampler says at their start, in OpenTelemetry's words.

/// What the environment's `OTEL_TRACES_SAMPLER` says of spans that start. It decides what is exported and
/// never what is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HeadSampling {
    pub(crate) rule: HeadRule,
    /// Whether a span with a parent goes where its parent goes, be it in another process.
    pub(crate) follows_parent: bool,
}

/// Of which traces the spans leave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum HeadRule {
    All,
    None,
    /// This share of them, found by their ids.
    Ratio(f64),
}

/// What the names of samplers mean. (`jaeger_remote` and `xray` are not known here, as to no SDK for Rust.)
const SAMPLERS: &str = "one of always_on, always_off, traceidratio, parentbased_always_on, \
                        parentbased_always_off, parentbased_traceidratio";

impl Default for HeadSampling {
    /// `parentbased_always_on`, as OpenTelemetry specifies.
    fn default() -> Self {
        HeadSampling {
            rule: HeadRule::All,
            follows_parent: true,
        }
    }
}

impl HeadSampling {
    /// The sampler of this name, a share taken from `ratio` where it needs one.
    fn named(name: &str, ratio: impl FnOnce() -> f64) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let (follows_parent, base) = match name.strip_prefix("parentbased_") {
            Some(base) => (true, base),
            None => (false, name.as_str()),
        };
        let rule = match base {
            "always_on" => HeadRule::All,
            "always_off" => HeadRule::None,
            "traceidratio" => HeadRule::Ratio(ratio()),
            _ => return None,
        };
        Some(HeadSampling {
            rule,
            follows_parent,
        })
    }
}

/// The words for a sampler: its name, and the share that some take.
#[derive(Clone, Debug, Default)]
pub(crate) struct SamplerWords {
    pub(crate) name: Option<String>,
    pub(crate) share: Option<String>,
}

impl SamplerWords {
    /// Reads the words, which are called by these two names in warnings.
    pub(super) fn read(&self, called: [&str; 2], warnings: &mut Vec<String>) -> HeadSampling {
        let Some(name) = &self.name else {
            return HeadSampling::default();
        };
        let mut bad_share = None;
        let sampler = HeadSampling::named(name, || {
            let Some(share) = &self.share else { return 1.0 };
            let ratio = share.parse().ok();
            let ratio = ratio.filter(|ratio: &f64| (0.0..=1.0).contains(ratio));
            ratio.unwrap_or_else(|| {
                bad_share = Some(share);
                1.0
            })
        });
        if let Some(share) = bad_share {
            let name = called[1];
            warnings.push(format!(
                "{name}={share:?} is not a number from 0 to 1; using 1"
            ));
        }
        sampler.unwrap_or_else(|| {
            let called = called[0];
            warnings.push(format!(
                "{called}={name:?} is not {SAMPLERS}; using parentbased_always_on"
            ));
            HeadSampling::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{HeadRule, HeadSampling};
    use crate::config::Config;

    fn read(sampler: &str, arg: &str) -> (HeadSampling, Vec<String>) {
        let config = Config::read(|name| match name {
            "OTEL_TRACES_SAMPLER" => Some(sampler.to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some(arg.to_owned()),
            _ => None,
        });
        (config.export.head, config.warnings)
    }

    #[test]
    fn every_sampler_of_the_specification_is_known() {
        for (name, rule, follows_parent) in [
            ("", HeadRule::All, true),
            ("always_on", HeadRule::All, false),
            ("always_off", HeadRule::None, false),
            ("traceidratio", HeadRule::Ratio(0.25), false),
            ("parentbased_always_on", HeadRule::All, true),
            ("parentbased_always_off", HeadRule::None, true),
            (" ParentBased_TraceIdRatio ", HeadRule::Ratio(0.25), true),
        ] {
            let head = HeadSampling {
                rule,
                follows_parent,
            };
            assert_eq!(read(name, " 0.25 "), (head, Vec::new()), "{name}");
        }
        assert_eq!(read("traceidratio", "").0.rule, HeadRule::Ratio(1.0));
    }

    #[test]
    fn what_makes_no_sense_is_named_with_what_is_used_instead() {
        for name in ["xray", "jaeger_remote", "parentbased_", "0.5"] {
            let (head, warnings) = read(name, "");
            assert_eq!(head, HeadSampling::default());
            let [warning] = &warnings[..] else {
                panic!("{warnings:?}")
            };
            assert!(warning.starts_with(&format!("OTEL_TRACES_SAMPLER={name:?} is not one of")));
            assert!(warning.ends_with("; using parentbased_always_on"));
        }
        for arg in ["half", "1.5", "-0.1", "NaN"] {
            let (head, warnings) = read("traceidratio", arg);
            assert_eq!(head.rule, HeadRule::Ratio(1.0));
            let expected =
                format!("OTEL_TRACES_SAMPLER_ARG={arg:?} is not a number from 0 to 1; using 1");
            assert_eq!(warnings, [expected]);
        }
        assert!(read("always_off", "half").1.is_empty(), "nobody reads it");
    }
}
