//! The tables, and which gates are met.

use std::fmt::{self, Write};

use crate::measure::{Figures, Job, Pace, quantile};
use crate::rounds::Results;
use crate::scenario::Scenario;
use crate::span::Form;

/// Tables and gates as Markdown, and whether every gate is met.
pub(crate) fn report(results: &Results) -> (String, bool) {
    let mut text = String::new();
    machine(&mut text).unwrap();
    full_speed(&mut text, results).unwrap();
    slow_pace(&mut text, results).unwrap();
    idle(&mut text, results).unwrap();
    let gates = gates(results);
    gate_table(&mut text, &gates).unwrap();
    (text, gates.iter().all(Gate::is_met))
}

/// A row of the first table: one subscriber, one form, so many threads.
#[derive(Clone, Copy)]
struct Cell {
    scenario: Scenario,
    form: Form,
    threads: usize,
}

impl Cell {
    const fn one(scenario: Scenario, form: Form) -> Self {
        Cell {
            scenario,
            form,
            threads: 1,
        }
    }

    fn all(self, results: &Results) -> Vec<&Figures> {
        results.of(|job: &Job| {
            job.scenario == self.scenario
                && job.form == self.form
                && matches!(job.pace, Pace::Burst { threads, .. } if threads == self.threads)
        })
    }

    /// The median of the rounds.
    fn ns(self, results: &Results) -> f64 {
        median(&self.all(results), |figures| figures.span_ns)
    }

    /// The median of the rounds' ratios: what both had of the machine at the time falls out.
    fn ratio(self, to: Cell, results: &Results) -> f64 {
        let (own, others) = (self.all(results), to.all(results));
        let pairs = own.iter().zip(&others);
        let ratios = pairs.map(|(own, other)| own.span_ns / other.span_ns);
        quantile(ratios.collect(), 0.5)
    }

    /// The best round.
    fn best_ns(self, results: &Results) -> f64 {
        lowest(&self.all(results), |figures| figures.span_ns)
    }
}

/// Every process of a subscriber at full speed, in whatever form and on however many threads.
fn bursts(results: &Results, scenario: Scenario) -> Vec<&Figures> {
    results.of(|job| job.scenario == scenario && matches!(job.pace, Pace::Burst { .. }))
}

fn slow(results: &Results, scenario: Scenario) -> Vec<&Figures> {
    results.of(|job| job.scenario == scenario && matches!(job.pace, Pace::Slow { .. }))
}

fn median(figures: &[&Figures], pick: impl Fn(&Figures) -> f64) -> f64 {
    quantile(figures.iter().map(|figures| pick(figures)).collect(), 0.5)
}

fn lowest(figures: &[&Figures], pick: impl Fn(&Figures) -> f64) -> f64 {
    quantile(figures.iter().map(|figures| pick(figures)).collect(), 0.0)
}

fn highest(figures: &[&Figures], pick: impl Fn(&Figures) -> f64) -> f64 {
    quantile(figures.iter().map(|figures| pick(figures)).collect(), 1.0)
}

fn machine(text: &mut String) -> fmt::Result {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").ok();
    let model = model
        .as_deref()
        .and_then(|info| {
            info.lines()
                .find_map(|line| line.strip_prefix("model name"))
        })
        .map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    writeln!(text, "{cores} cores, {model}; load at the end {load}.\n")
}

fn full_speed(text: &mut String, results: &Results) -> fmt::Result {
    writeln!(
        text,
        "| ns per span (best round) | 1 thread, batched | separate | 2 threads, batched \
         | batched x Registry | x OTel trimmed | allocations | not kept | not sent | disturbed |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    let registry = Cell::one(Scenario::Registry, Form::Batched);
    let otel = Cell::one(Scenario::OtelTrimmed, Form::Batched);
    for scenario in Scenario::ALL {
        let [batched, separate] = Form::ALL.map(|form| Cell::one(scenario, form));
        let both = Cell {
            threads: 2,
            ..batched
        };
        let all = bursts(results, scenario);
        if all.is_empty() {
            continue;
        }
        write!(text, "| {} ", scenario.title())?;
        for cell in [batched, separate, both] {
            let (ns, best_ns) = (cell.ns(results), cell.best_ns(results));
            write!(text, "| {ns:.0} ({best_ns:.0}) ")?;
        }
        let [to_registry, to_otel] = [registry, otel].map(|base| batched.ratio(base, results));
        write!(text, "| {to_registry:.2} | {to_otel:.2} ")?;
        let allocations = highest(&all, |figures| figures.allocations);
        write!(text, "| {} ", Tidy(allocations, ""))?;
        for part in [
            highest(&all, |figures| figures.unkept),
            highest(&all, |figures| figures.unsent),
            median(&all, |figures| figures.disturbed),
        ] {
            write!(text, "| {} ", Tidy(part * 100.0, " %"))?;
        }
        writeln!(text, "|")?;
    }
    writeln!(text)
}

fn slow_pace(text: &mut String, results: &Results) -> fmt::Result {
    writeln!(
        text,
        "| one span per 200 µs | p50 ns | p99 ns | p99 x OTel trimmed |"
    )?;
    writeln!(text, "|---|---:|---:|---:|")?;
    let otel = median(&slow(results, Scenario::OtelTrimmed), |f| f.p99_ns);
    for scenario in Scenario::ALL {
        let all = slow(results, scenario);
        if all.is_empty() {
            continue;
        }
        let p99 = median(&all, |figures| figures.p99_ns);
        writeln!(
            text,
            "| {} | {:.0} ({:.0}-{:.0}) | {:.0} ({:.0}-{:.0}) | {:.2} |",
            scenario.title(),
            median(&all, |figures| figures.p50_ns),
            lowest(&all, |figures| figures.p50_ns),
            highest(&all, |figures| figures.p50_ns),
            p99,
            lowest(&all, |figures| figures.p99_ns),
            highest(&all, |figures| figures.p99_ns),
            p99 / otel,
        )?;
    }
    writeln!(text)
}

fn idle(text: &mut String, results: &Results) -> fmt::Result {
    writeln!(text, "| an idle process | % of one core |")?;
    writeln!(text, "|---|---:|")?;
    for scenario in Scenario::ALL {
        for figures in results.of(|job| job.scenario == scenario && job.pace == Pace::Idle) {
            let percent = figures.idle * 100.0;
            writeln!(text, "| {} | {percent:.2} |", scenario.title())?;
        }
    }
    writeln!(text)
}

/// A bound that a figure must keep.
struct Gate {
    what: &'static str,
    bound: f64,
    measured: f64,
    /// The same figure from the best rounds, where there is one: less noise.
    best: f64,
}

impl Gate {
    /// A gate whose figure was not measured is not met.
    fn is_met(&self) -> bool {
        self.measured <= self.bound
    }
}

fn gates(results: &Results) -> Vec<Gate> {
    let ratio = |what, form, scenario, to, bound| {
        let (cell, base) = (Cell::one(scenario, form), Cell::one(to, form));
        Gate {
            what,
            bound,
            measured: cell.ratio(base, results),
            best: cell.best_ns(results) / base.best_ns(results),
        }
    };
    let local = Scenario::HermesLocal;
    let p99 = |scenario| median(&slow(results, scenario), |figures| figures.p99_ns);
    let best_p99 = |scenario| lowest(&slow(results, scenario), |figures| figures.p99_ns);
    #[rustfmt::skip]
    let gates = vec![
        ratio("local, batched, x Registry", Form::Batched, local, Scenario::Registry, 3.0),
        ratio("local, batched, x OTel trimmed", Form::Batched, local, Scenario::OtelTrimmed, 0.3),
        ratio("local, separate, x Registry", Form::Separate, local, Scenario::Registry, 4.0),
        ratio("local, separate, x OTel trimmed", Form::Separate, local, Scenario::OtelTrimmed, 0.4),
        Gate {
            what: "local, allocations a span",
            bound: 0.0,
            measured: highest(&bursts(results, local), |figures| figures.allocations),
            best: f64::NAN,
        },
        ratio("local + OTLP, batched, x OTel trimmed", Form::Batched, Scenario::HermesOtlp, Scenario::OtelTrimmed, 1.35),
        ratio("local + OTLP, separate, x OTel trimmed", Form::Separate, Scenario::HermesOtlp, Scenario::OtelTrimmed, 1.35),
        Gate {
            what: "local, p99 at the slow pace, x OTel trimmed",
            bound: 0.6,
            measured: p99(local) / p99(Scenario::OtelTrimmed),
            best: best_p99(local) / best_p99(Scenario::OtelTrimmed),
        },
    ];
    gates
}

fn gate_table(text: &mut String, gates: &[Gate]) -> fmt::Result {
    writeln!(text, "| gate | bound | measured | of the best rounds | |")?;
    writeln!(text, "|---|---:|---:|---:|---|")?;
    for gate in gates {
        let (bound, measured) = (gate.bound, gate.measured);
        let verdict = match (measured.is_nan(), gate.is_met()) {
            (true, _) => "not measured".to_owned(),
            (_, true) => "met".to_owned(),
            (_, false) => format!("MISSED by {}", Tidy(measured - bound, "")),
        };
        writeln!(
            text,
            "| {} | {bound} | {} | {} | {verdict} |",
            gate.what,
            Tidy(measured, ""),
            Tidy(gate.best, "")
        )?;
    }
    Ok(())
}

/// A number that may be missing, or exactly nothing: one allocation in eight thousand spans is not.
struct Tidy(f64, &'static str);

impl fmt::Display for Tidy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tidy(number, unit) = *self;
        if number.is_nan() {
            f.write_str("-")
        } else if number == 0.0 {
            write!(f, "0{unit}")
        } else if number.abs() < 0.01 {
            write!(f, "{number:.5}{unit}")
        } else {
            write!(f, "{number:.2}{unit}")
        }
    }
}
