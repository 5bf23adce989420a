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
        median(&self.all(results), |figures| figures.median_ns)
    }

    /// The best burst of all rounds.
    fn min_ns(self, results: &Results) -> f64 {
        lowest(&self.all(results), |figures| figures.min_ns)
    }
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
        "| ns per span, median (best) | 1 thread, batched | separate | 2 threads, batched \
         | x Registry | x OTel trimmed | allocations | not kept | not sent |"
    )?;
    writeln!(text, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
    let registry = Cell::one(Scenario::Registry, Form::Batched).ns(results);
    let otel = Cell::one(Scenario::OtelTrimmed, Form::Batched).ns(results);
    for scenario in Scenario::ALL {
        let [batched, separate] = Form::ALL.map(|form| Cell::one(scenario, form));
        let both = Cell {
            threads: 2,
            ..batched
        };
        let all: Vec<_> = [batched, separate]
            .iter()
            .flat_map(|cell| cell.all(results))
            .collect();
        if all.is_empty() {
            continue;
        }
        write!(text, "| {} ", scenario.title())?;
        for cell in [batched, separate, both] {
            let (ns, min_ns) = (cell.ns(results), cell.min_ns(results));
            write!(text, "| {ns:.0} ({min_ns:.0}) ")?;
        }
        let ns = batched.ns(results);
        write!(text, "| {:.2} | {:.2} ", ns / registry, ns / otel)?;
        let allocations = highest(&all, |figures| figures.allocations);
        write!(text, "| {} ", Tidy(allocations, ""))?;
        for missing in [
            highest(&all, |figures| figures.unkept),
            highest(&all, |figures| figures.unsent),
        ] {
            write!(text, "| {} ", Tidy(missing * 100.0, " %"))?;
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
    /// The same figure from the best bursts, where there is one: less noise, and no tail.
    best: f64,
}

impl Gate {
    /// A figure that was not measured misses no gate.
    fn is_met(&self) -> bool {
        self.measured.is_nan() || self.measured <= self.bound
    }
}

fn gates(results: &Results) -> Vec<Gate> {
    let ratio = |what, form, scenario, to, bound| {
        let (cell, base) = (Cell::one(scenario, form), Cell::one(to, form));
        Gate {
            what,
            bound,
            measured: cell.ns(results) / base.ns(results),
            best: cell.min_ns(results) / base.min_ns(results),
        }
    };
    let local = Scenario::HermesLocal;
    let p99 = |scenario| median(&slow(results, scenario), |figures| figures.p99_ns);
    let allocations: Vec<_> = Form::ALL
        .iter()
        .flat_map(|form| Cell::one(local, *form).all(results))
        .collect();
    #[rustfmt::skip]
    let gates = vec![
        ratio("local, batched, x Registry", Form::Batched, local, Scenario::Registry, 3.0),
        ratio("local, batched, x OTel trimmed", Form::Batched, local, Scenario::OtelTrimmed, 0.3),
        ratio("local, separate, x Registry", Form::Separate, local, Scenario::Registry, 4.0),
        ratio("local, separate, x OTel trimmed", Form::Separate, local, Scenario::OtelTrimmed, 0.4),
        Gate {
            what: "local, allocations a span",
            bound: 0.0,
            measured: highest(&allocations, |figures| figures.allocations),
            best: f64::NAN,
        },
        ratio("local + OTLP, batched, x OTel trimmed", Form::Batched, Scenario::HermesOtlp, Scenario::OtelTrimmed, 1.35),
        ratio("local + OTLP, separate, x OTel trimmed", Form::Separate, Scenario::HermesOtlp, Scenario::OtelTrimmed, 1.35),
        Gate {
            what: "local, p99 at the slow pace, x OTel trimmed",
            bound: 0.6,
            measured: p99(local) / p99(Scenario::OtelTrimmed),
            best: f64::NAN,
        },
    ];
    gates
}

fn gate_table(text: &mut String, gates: &[Gate]) -> fmt::Result {
    writeln!(text, "| gate | bound | measured | of the best bursts | |")?;
    writeln!(text, "|---|---:|---:|---:|---|")?;
    for gate in gates {
        let (bound, measured) = (gate.bound, gate.measured);
        let verdict = match (measured.is_nan(), gate.is_met()) {
            (true, _) => "not measured".to_owned(),
            (_, true) => "met".to_owned(),
            (_, false) => format!("MISSED by {:.2}", measured - bound),
        };
        writeln!(
            text,
            "| {} | {bound} | {measured:.2} | {} | {verdict} |",
            gate.what,
            Tidy(gate.best, "")
        )?;
    }
    Ok(())
}

/// A number that may be missing, or exactly nothing.
struct Tidy(f64, &'static str);

impl fmt::Display for Tidy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tidy(number, unit) = *self;
        if number.is_nan() {
            f.write_str("-")
        } else if number == 0.0 {
            write!(f, "0{unit}")
        } else {
            write!(f, "{number:.2}{unit}")
        }
    }
}
