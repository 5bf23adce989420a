//! The rounds: every job once in each, those that are compared one after the other and in an order that is
//! shuffled anew, so that drift hits all alike.

use std::io::Write;
use std::time::Instant;

use crate::collector;
use crate::measure::{Figures, Job, Pace};
use crate::scenario::Scenario;
use crate::span::Form;

/// What the one who runs it asked for.
#[derive(Debug)]
pub(crate) struct Wishes {
    rounds: usize,
    bursts: usize,
    slow_rounds: usize,
    slow_spans: usize,
    scenarios: Vec<Scenario>,
    /// A gate that is missed makes the run fail.
    pub(crate) gates: bool,
}

impl Wishes {
    /// Reads the arguments. Words it does not know are left alone: Cargo adds some of its own.
    pub(crate) fn read(words: &[String]) -> Self {
        let has = |wanted: &str| words.iter().any(|word| word == wanted);
        let after = |wanted: &str| {
            let at = words.iter().position(|word| word == wanted)?;
            words.get(at + 1)
        };
        let mut wishes = Wishes {
            rounds: 15,
            bursts: 4,
            slow_rounds: 5,
            slow_spans: 10_000,
            scenarios: Scenario::ALL.to_vec(),
            gates: has("--gate"),
        };
        if has("--quick") {
            (wishes.rounds, wishes.bursts) = (5, 4);
            (wishes.slow_rounds, wishes.slow_spans) = (1, 4_000);
        }
        // `cargo test --benches` only wants to see that it runs, and says no `--bench`.
        if !has("--bench") {
            (wishes.rounds, wishes.bursts) = (1, 1);
            (wishes.slow_rounds, wishes.slow_spans) = (1, 100);
            wishes.scenarios = vec![Scenario::HermesOtlp];
        }
        if let Some(rounds) = after("--rounds") {
            wishes.rounds = rounds.parse().unwrap();
        }
        if let Some(list) = after("--only") {
            let named: Vec<_> = list
                .split(',')
                .map(|word| {
                    Scenario::of_word(word).unwrap_or_else(|| panic!("there is no `{word}`"))
                })
                .collect();
            // All ratios are to these two.
            let bases = [Scenario::Registry, Scenario::OtelTrimmed];
            wishes
                .scenarios
                .retain(|scenario| named.contains(scenario) || bases.contains(scenario));
        }
        wishes
    }

    fn fast_jobs(&self) -> Vec<Job> {
        let bursts = self.bursts;
        let ways = [(Form::Batched, 1), (Form::Separate, 1), (Form::Batched, 2)];
        let job = |scenario, (form, threads)| Job {
            scenario,
            form,
            pace: Pace::Burst { threads, bursts },
        };
        self.scenarios
            .iter()
            .flat_map(|&scenario| ways.map(|way| job(scenario, way)))
            .collect()
    }

    fn slow_jobs(&self) -> Vec<Job> {
        let is_telling = |scenario: &&Scenario| {
            !matches!(
                scenario,
                Scenario::Nothing | Scenario::HermesBusy | Scenario::HermesFull
            )
        };
        let job = |&scenario| Job {
            scenario,
            form: Form::Batched,
            pace: Pace::Slow {
                spans: self.slow_spans,
            },
        };
        self.scenarios.iter().filter(is_telling).map(job).collect()
    }

    fn idle_jobs(&self) -> Vec<Job> {
        let is_telling = |scenario: &&Scenario| {
            matches!(
                scenario,
                Scenario::OtelTrimmed | Scenario::HermesLocal | Scenario::HermesOtlp
            )
        };
        let job = |&scenario| Job {
            scenario,
            form: Form::Batched,
            pace: Pace::Idle,
        };
        self.scenarios.iter().filter(is_telling).map(job).collect()
    }
}

/// What each job gave, one entry a round.
#[derive(Debug, Default)]
pub(crate) struct Results {
    entries: Vec<(Job, Figures)>,
}

impl Results {
    /// The figures of the jobs that fit, in the order of the rounds.
    pub(crate) fn of(&self, fits: impl Fn(&Job) -> bool) -> Vec<&Figures> {
        self.entries
            .iter()
            .filter(|(job, _)| fits(job))
            .map(|(_, figures)| figures)
            .collect()
    }
}

/// Runs all that is asked for, with a word on stderr as it goes.
pub(crate) fn run(wishes: &Wishes) -> Results {
    let collector = collector::start();
    let started = Instant::now();
    let mut dice = Dice::cast();
    let mut results = Results::default();
    let phases = [
        ("full speed", wishes.fast_jobs(), wishes.rounds),
        ("slow pace", wishes.slow_jobs(), wishes.slow_rounds),
        ("idle", wishes.idle_jobs(), 1),
    ];
    for (name, mut jobs, rounds) in phases {
        for round in 1..=rounds {
            let seconds = started.elapsed().as_secs();
            // Nobody may be there to read it.
            let _ = writeln!(
                std::io::stderr(),
                "{name}, round {round} of {rounds} ({seconds} s)"
            );
            dice.shuffle(&mut jobs);
            // What is compared runs within a few seconds.
            jobs.sort_by_key(Job::way);
            for job in &jobs {
                results.entries.push((*job, job.run(&collector)));
            }
        }
    }
    results
}

/// Random enough for an order: `SplitMix64`.
struct Dice(u64);

impl Dice {
    fn cast() -> Self {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        Dice(now.as_secs() ^ u64::from(now.subsec_nanos()).rotate_left(32))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn shuffle(&mut self, jobs: &mut [Job]) {
        for last in (1..jobs.len()).rev() {
            let other = usize::try_from(self.next() % (last as u64 + 1)).unwrap();
            jobs.swap(last, other);
        }
    }
}
