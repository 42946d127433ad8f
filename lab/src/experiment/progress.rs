//! Progress on standard error: bars where people look at a terminal, else a line a step. The only room with indicatif.

use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::catalog::Tool;
use crate::images;
use crate::report::wording::counted;
use crate::runner;
use crate::scenario::Scenario;

/// Shows how far the work is.
pub struct Progress {
    bars: Option<MultiProgress>,
    of_images: Mutex<HashMap<images::Step, ProgressBar>>,
    run: Mutex<Option<ProgressBar>>,
}

impl Progress {
    /// Bars where both standard output and standard error are terminals, else lines; nothing where `quiet`.
    pub fn new(quiet: bool) -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let bars = match (quiet, terminal) {
            (true, _) => Some(MultiProgress::with_draw_target(ProgressDrawTarget::hidden())),
            (false, true) => Some(MultiProgress::new()),
            (false, false) => None,
        };
        Progress {
            bars,
            of_images: Mutex::default(),
            run: Mutex::default(),
        }
    }

    /// The first word, before anything is waited for.
    pub fn begins(&self) {
        let words = "looking for an engine";
        match &self.bars {
            Some(bars) => *lock(&self.run) = Some(spinner(bars, words.to_owned())),
            None => say(format_args!("{words}")),
        }
    }

    /// Something happened while images were made.
    pub fn image(&self, event: images::Event) {
        let Some(bars) = &self.bars else {
            return line_of_image(&event);
        };
        let mut known = lock(&self.of_images);
        match event {
            images::Event::Started(step) => {
                known.insert(step.clone(), spinner(bars, step.to_string()));
            }
            images::Event::Progress {
                step,
                done,
                total,
                unit,
            } => {
                if let Some(bar) = known.get(&step) {
                    bar.set_message(format!("{step}: {}", amount(done, total, unit)));
                }
            }
            images::Event::Waiting(step) => {
                let bar = known
                    .entry(step.clone())
                    .or_insert_with(|| spinner(bars, step.to_string()));
                bar.set_message(format!("{step}: another run is at it, waiting"));
            }
            // What failed is in the list of what cannot be had, with its reason.
            images::Event::Finished(step) | images::Event::Failed { step, .. } => {
                if let Some(bar) = known.remove(&step) {
                    bar.finish_and_clear();
                }
            }
        }
    }

    /// Scenarios that nobody of those chosen can write are not run.
    pub fn left_out<'s>(&self, scenarios: impl Iterator<Item = &'s Scenario>) {
        let mut names: BTreeMap<(Tool, Vec<Tool>), Vec<&str>> = BTreeMap::new();
        for scenario in scenarios {
            let tools = (scenario.tool(), scenario.tools_beside());
            names.entry(tools).or_default().push(&scenario.name);
        }
        for ((tool, beside), names) in names {
            self.note(&not_run(&names, tool, &beside));
        }
    }

    /// Something that people who wait may want to know.
    pub fn note(&self, words: &str) {
        match &self.bars {
            Some(bars) => {
                let _ = bars.println(words);
            }
            None => say(format_args!("{words}")),
        }
    }

    /// A plan of so many loads and pairings begins.
    pub fn run_begins(&self, loads: usize, pairings: usize) {
        match &self.bars {
            Some(bars) => {
                let bar = bars.add(ProgressBar::new(loads as u64));
                bar.set_style(style(
                    "{spinner} {msg} [{bar:30}] {pos}/{len} loads, {elapsed}",
                    "{msg}",
                ));
                bar.set_message(format!("running {}", counted(pairings, "pairing")));
                bar.enable_steady_tick(Duration::from_millis(100));
                *lock(&self.run) = Some(bar);
            }
            None => say(format_args!(
                "running {} in {}",
                counted(pairings, "pairing"),
                counted(loads, "load")
            )),
        }
    }

    /// Something happened during the run.
    pub fn run(&self, event: &runner::Event) {
        match (&self.bars, event) {
            (
                None,
                runner::Event::LaneOpening {
                    number,
                    kind,
                    builds,
                },
            ) => {
                say(format_args!(
                    "lane {number}: starting a lane of {} ({kind})",
                    counted(*builds, "build")
                ));
            }
            (None, runner::Event::LaneReady { number, took, .. }) => {
                say(format_args!(
                    "lane {number}: ready after {:.1} s",
                    took.as_secs_f64()
                ));
            }
            (None, runner::Event::Load { record, took, .. }) => say(format_args!(
                "{} {}: {} wrote, {} read, {} steps in {:.2} s",
                record.scenario,
                record.family,
                record.writer,
                record.readers.len(),
                record.observations.len(),
                took.as_secs_f64()
            )),
            (Some(_), event) => {
                if let Some(bar) = &*lock(&self.run) {
                    show(bar, event);
                }
            }
            (_, runner::Event::NotKept(trouble)) => say(format_args!("memory: {trouble}")),
            (None, runner::Event::Through(commands)) => say(format_args!(
                "{} of {} commands were run, and {} to bring states about again",
                commands.run, commands.asked, commands.again
            )),
            (None, runner::Event::Steps(_)) => {}
        }
    }

    /// Clears what is shown, so that results can be printed.
    pub fn done(&self) {
        if let Some(bar) = lock(&self.run).take() {
            bar.finish_and_clear();
        }
        for (_, bar) in lock(&self.of_images).drain() {
            bar.finish_and_clear();
        }
    }
}

/// A line on standard error. That nobody reads it any more is no reason to end a run.
pub fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Of so many scenarios each is named that is not run; of more the first ones are.
const NAMED: usize = 3;

/// That nobody is there who writes these scenarios' rules: those of `tool`, and where they lie beside others', these too.
fn not_run(names: &[&str], tool: Tool, beside: &[Tool]) -> String {
    let (are, them) = match names.len() {
        1 => ("is", "it"),
        _ => ("are", "them"),
    };
    let named = names[..names.len().min(NAMED)].join(", ");
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let beside: String = beside.iter().map(|of| format!(" beside {of}")).collect();
    match beside.is_empty() {
        true => format!(
            "{named}{more} {are} not run: {tool} writes {them}, and none of the writers is one"
        ),
        false => format!(
            "{named}{more} {are} not run: {tool} writes {them}{beside}, into the same backend's tables, and none of the \
             writers does so"
        ),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The bar of a run after an event.
fn show(bar: &ProgressBar, event: &runner::Event) {
    match event {
        runner::Event::LaneOpening { kind, builds, .. } => {
            let builds = counted(*builds, "build");
            bar.set_message(format!("starting a lane of {builds} ({kind})"));
        }
        runner::Event::LaneReady { .. } => bar.set_message("running"),
        runner::Event::Load { record, .. } => {
            bar.set_message(format!("running {} {}", record.scenario, record.family));
            bar.inc(1);
        }
        runner::Event::Steps(_) | runner::Event::NotKept(_) | runner::Event::Through(_) => {}
    }
}

fn spinner(bars: &MultiProgress, message: String) -> ProgressBar {
    let bar = bars.add(ProgressBar::new_spinner());
    bar.set_style(style("{spinner} {wide_msg} {elapsed}", "{msg}"));
    bar.set_message(message);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// The style of a template, or of the simplest one should it be malformed.
fn style(template: &str, simplest: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).or_else(|_| ProgressStyle::with_template(simplest));
    style.unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn line_of_image(event: &images::Event) {
    match event {
        images::Event::Started(step) => say(format_args!("{step}")),
        images::Event::Waiting(step) => say(format_args!("{step}: another run is at it, waiting")),
        images::Event::Progress { .. }
        | images::Event::Finished(_)
        | images::Event::Failed { .. } => {}
    }
}

fn amount(done: u64, total: Option<u64>, unit: images::Unit) -> String {
    let shown = |count: u64| match unit {
        images::Unit::Bytes => indicatif::HumanBytes(count).to_string(),
        images::Unit::Lines => format!("{count} lines"),
    };
    match total {
        Some(total) => format!("{} of {}", shown(done), shown(total)),
        None => shown(done),
    }
}
