//! One process of the measurement: one subscriber, so many threads, one form of late fields.

use std::fmt::Write as _;
use std::hint::{black_box, spin_loop};
use std::process::Command;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use crate::scenario::{Fate, QUEUE, Scenario};
use crate::span::{Form, in_parent, spans};

/// Spans that are timed together: far less than a slice of the scheduler, so that a sample during
/// which the thread lost its processor stands out.
const SAMPLE: usize = 50;
/// A sample that took so many times the median is left out: no span does that, a lost processor does.
const DISTURBED: f64 = 4.0;
/// Spans of a burst, over all threads: what Hermes's queues hold, so that none is lost.
const BURST: usize = 160 * SAMPLE;
/// Untimed spans that set Hermes's writer to work, by filling more than half of its queue.
const BACKLOG: usize = QUEUE / 2 + 1_000;
/// Spans of a burst while the writer works that backlog off.
const BUSY_BURST: usize = 80 * SAMPLE;
/// Bursts that are run and forgotten, until memory and caches are as they stay.
const WARM_UP: usize = 2;
/// One span per so long, at the slow pace.
const PACE: Duration = Duration::from_micros(200);
/// Spans at the slow pace that are run and forgotten.
const SLOW_WARM_UP: usize = 500;
/// How long an idle process is watched.
const IDLE: Duration = Duration::from_secs(2);

/// The word that tells a process that it is one of these.
pub(crate) const MARK: &str = "--measure";

/// What one process measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) scenario: Scenario,
    pub(crate) form: Form,
    pub(crate) pace: Pace,
}

/// How fast the spans come, and how many are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as they can be made: bursts, and after each a pause until all is written.
    Burst { threads: usize, bursts: usize },
    /// One span per 200 µs.
    Slow { spans: usize },
    /// None at all.
    Idle,
}

/// What a process has to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The time of one span on its thread: the mean of the samples that were not disturbed.
    pub(crate) span_ns: f64,
    /// The part of the samples that were.
    pub(crate) disturbed: f64,
    /// The latency of a span at the slow pace.
    pub(crate) p50_ns: f64,
    pub(crate) p99_ns: f64,
    /// Allocations of a span on its thread.
    pub(crate) allocations: f64,
    /// Spans that were not kept although they were to be, and not sent.
    pub(crate) unkept: f64,
    pub(crate) unsent: f64,
    /// Processor time of an idle process, in parts of one core.
    pub(crate) idle: f64,
}

impl Job {
    /// Runs the job in a process of its own.
    pub(crate) fn run(self, collector: &str) -> Figures {
        let (pace, threads, count) = match self.pace {
            Pace::Burst { threads, bursts } => ("burst", threads, bursts),
            Pace::Slow { spans } => ("slow", 1, spans),
            Pace::Idle => ("idle", 0, 0),
        };
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([MARK, self.scenario.word(), self.form.name(), pace])
            .args([&threads.to_string(), &count.to_string(), collector]);
        // The settings of whoever runs this are not what is measured.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("HERMES_") || text.starts_with("OTEL_") {
                command.env_remove(&name);
            }
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{self:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Figures::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// The same for all jobs whose figures are compared.
    pub(crate) fn way(&self) -> (&'static str, usize) {
        let threads = match self.pace {
            Pace::Burst { threads, .. } => threads,
            Pace::Slow { .. } | Pace::Idle => 0,
        };
        (self.form.name(), threads)
    }

    /// Measures in this process; `words` are those after [`MARK`]. Returns the line to be printed.
    pub(crate) fn measure(words: &[String]) -> String {
        let [scenario, form, pace, threads, count, collector] = words else {
            panic!("{MARK} wants six words")
        };
        let scenario = Scenario::of_word(scenario).unwrap();
        let form = Form::ALL.into_iter().find(|f| f.name() == form).unwrap();
        let (threads, count) = (threads.parse().unwrap(), count.parse().unwrap());
        let figures = match pace.as_str() {
            "burst" => bursts(scenario, form, threads, count, collector),
            "slow" => slowly(scenario, form, count, collector),
            _ => idle(scenario, collector),
        };
        figures.line()
    }
}

/// What is done with a burst.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Burst {
    WarmUp,
    Count,
    Time,
}

/// The bursts of one process, and where its threads wait for each other.
struct Bursts {
    form: Form,
    /// Untimed spans before each burst, per thread.
    backlog: usize,
    /// Spans of a burst, per thread.
    spans: usize,
    plan: Vec<Burst>,
    start: Barrier,
    end: Barrier,
}

impl Bursts {
    /// Runs them on one thread; returns the time per span of each sample, and the allocations of the
    /// burst that is counted.
    fn produce(&self) -> (Vec<f64>, u64) {
        let mut samples = Vec::with_capacity(self.plan.len() * self.spans / SAMPLE);
        let mut allocations = 0;
        for burst in &self.plan {
            self.start.wait();
            in_parent(|| {
                spans(self.form, self.backlog);
                match burst {
                    Burst::WarmUp => spans(self.form, self.spans),
                    Burst::Count => {
                        let counted = allocation_counter::measure(|| spans(self.form, self.spans));
                        allocations = counted.count_total;
                    }
                    // The counting allocator is cheaper while it does not count.
                    Burst::Time => allocation_counter::opt_out(|| {
                        for _ in 0..self.spans / SAMPLE {
                            let started = Instant::now();
                            spans(self.form, SAMPLE);
                            samples.push(per_span(started.elapsed(), SAMPLE));
                        }
                    }),
                }
            });
            self.end.wait();
        }
        (samples, allocations)
    }
}

fn bursts(
    scenario: Scenario,
    form: Form,
    threads: usize,
    timed: usize,
    collector: &str,
) -> Figures {
    let installed = scenario.install(collector);
    let (backlog, burst) = match scenario {
        Scenario::HermesBusy => (BACKLOG, BUSY_BURST),
        _ => (0, BURST),
    };
    let mut plan = vec![Burst::WarmUp; WARM_UP];
    plan.push(Burst::Count);
    plan.extend(std::iter::repeat_n(Burst::Time, timed));
    let bursts = Bursts {
        form,
        backlog: backlog / threads,
        spans: burst / threads,
        plan,
        start: Barrier::new(threads + 1),
        end: Barrier::new(threads + 1),
    };

    let (mut samples, mut allocations) = (Vec::new(), 0);
    thread::scope(|scope| {
        let producers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| bursts.produce()))
            .collect();
        for _ in &bursts.plan {
            bursts.start.wait();
            bursts.end.wait();
            installed.settle();
        }
        for producer in producers {
            let (own, counted) = producer.join().unwrap();
            samples.extend(own);
            allocations += counted;
        }
    });

    // The parent of each burst counts too.
    let made = bursts.plan.len() * threads * (bursts.backlog + bursts.spans + 1);
    let (span_ns, disturbed) = undisturbed(&samples);
    Figures {
        span_ns,
        disturbed,
        allocations: count(allocations) / count((bursts.spans * threads) as u64),
        ..Figures::of_fate(installed.finish(), made as u64)
    }
}

fn slowly(scenario: Scenario, form: Form, timed: usize, collector: &str) -> Figures {
    let installed = scenario.install(collector);
    let mut latencies = Vec::with_capacity(timed);
    in_parent(|| {
        allocation_counter::opt_out(|| {
            let mut next = Instant::now();
            for index in 0..SLOW_WARM_UP + timed {
                next += PACE;
                while Instant::now() < next {
                    spin_loop();
                }
                let started = Instant::now();
                spans(form, 1);
                let took = started.elapsed();
                if index >= SLOW_WARM_UP {
                    latencies.push(per_span(took, 1));
                }
                // After a pause that was not ours, the next span comes in its own time.
                next = next.max(Instant::now());
            }
        });
    });
    let made = (SLOW_WARM_UP + timed + 1) as u64;
    Figures {
        p50_ns: quantile(latencies.clone(), 0.5),
        p99_ns: quantile(latencies, 0.99),
        ..Figures::of_fate(installed.finish(), made)
    }
}

fn idle(scenario: Scenario, collector: &str) -> Figures {
    let installed = scenario.install(collector);
    in_parent(|| spans(Form::Batched, 1));
    installed.settle();
    let before = processor_time();
    thread::sleep(IDLE);
    let used = before
        .zip(processor_time())
        .map_or(f64::NAN, |(before, after)| {
            after.saturating_sub(before).as_secs_f64()
        });
    black_box(installed.finish());
    Figures {
        idle: used / IDLE.as_secs_f64(),
        ..Figures::default()
    }
}

/// The processor time of all threads of this process; `None` where the system does not tell.
fn processor_time() -> Option<Duration> {
    let mut total = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task").ok()? {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        let ns = text.split_whitespace().next()?.parse().ok()?;
        total += Duration::from_nanos(ns);
    }
    Some(total)
}

impl Figures {
    fn of_fate(fate: Fate, made: u64) -> Self {
        let share_missing = |got: Option<u64>| {
            got.map_or(f64::NAN, |got| {
                count(made.saturating_sub(got)) / count(made)
            })
        };
        Figures {
            unkept: share_missing(fate.kept),
            unsent: share_missing(fate.sent),
            ..Figures::default()
        }
    }

    fn fields(&mut self) -> [&mut f64; 8] {
        [
            &mut self.span_ns,
            &mut self.disturbed,
            &mut self.p50_ns,
            &mut self.p99_ns,
            &mut self.allocations,
            &mut self.unkept,
            &mut self.unsent,
            &mut self.idle,
        ]
    }

    fn line(mut self) -> String {
        self.fields().iter().fold(String::new(), |mut line, value| {
            write!(line, "{value} ").unwrap();
            line
        })
    }

    fn parse(line: &str) -> Self {
        let mut figures = Figures::default();
        let mut words = line.split_whitespace();
        for field in figures.fields() {
            *field = words.next().unwrap().parse().unwrap();
        }
        figures
    }
}

/// The mean of the samples without those that were disturbed, and the part that these are.
fn undisturbed(samples: &[f64]) -> (f64, f64) {
    let limit = DISTURBED * quantile(samples.to_vec(), 0.5);
    let kept: Vec<_> = samples.iter().filter(|ns| **ns <= limit).collect();
    let part = count(kept.len() as u64) / count(samples.len() as u64);
    let mean = kept.iter().copied().sum::<f64>() / count(kept.len() as u64);
    (mean, 1.0 - part)
}

/// The value below which the given part of the values lies.
pub(crate) fn quantile(mut values: Vec<f64>, part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index among some thousand values"
    )]
    let index = (count(last as u64) * part).round() as usize;
    values.get(index).copied().unwrap_or(f64::NAN)
}

fn per_span(time: Duration, spans: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count(spans as u64)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}
