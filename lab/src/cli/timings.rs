//! What a run took, and what it was made of: `--timings`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use miette::miette;
use serde::Serialize;

use super::exit::{Exit, Failure, Or};
use crate::plan::step::Stage;
use crate::recording::{LoadRecord, Seen};
use crate::runner::Event;

/// What a run took so far.
#[derive(Debug, Clone, Default)]
pub struct Timings {
    phases: BTreeMap<Phase, Duration>,
    lanes: usize,
    loads: usize,
    /// The time of all loads in all lanes: commands, dumps, packets, and what the lab does between them.
    in_lanes: Duration,
    commands: BTreeMap<Stage, usize>,
    dumps: usize,
    resets: usize,
    packets: usize,
}

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The engine and the builds are found.
    Start,
    /// The plan is laid out.
    Plan,
    /// The longest that a lane took to open.
    Lanes,
    /// From the first lane's opening to the end of the last load.
    Run,
    /// What was seen is judged, while lanes go on.
    Judge,
    /// What was seen is written to the recording.
    Record,
    /// The reports are made and written.
    Report,
}

/// The form of the file.
#[derive(Serialize)]
struct Document<'a> {
    /// Seconds, by phase.
    seconds: BTreeMap<Phase, f64>,
    /// How many lanes were opened.
    lanes: usize,
    /// How many loads were run.
    loads: usize,
    /// Seconds of all loads in all lanes.
    in_lanes: f64,
    /// How many commands builds were asked to run, by the part of the procedure they belong to.
    commands: &'a BTreeMap<Stage, usize>,
    /// How often the kernel was read.
    dumps: usize,
    /// How often a lane was emptied, or a fresh namespace taken.
    resets: usize,
    /// How often a scenario's packets were sent.
    packets: usize,
    /// The most memory that the lab itself had, in bytes; none where the system does not say.
    peak_memory: Option<u64>,
}

impl Timings {
    /// Counts what `work` takes to a phase.
    pub fn of<T>(&mut self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.add(phase, begun.elapsed());
        done
    }

    /// Adds to a phase.
    pub fn add(&mut self, phase: Phase, took: Duration) {
        *self.phases.entry(phase).or_default() += took;
    }

    /// What a phase took so far.
    pub fn phase(&self, phase: Phase) -> Duration {
        self.phases.get(&phase).copied().unwrap_or_default()
    }

    /// Something happened during the run.
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::LaneOpening { .. } => self.lanes += 1,
            Event::LaneReady { took, .. } => {
                let longest = self.phases.entry(Phase::Lanes).or_default();
                *longest = (*longest).max(*took);
            }
            Event::Steps(_) => {}
            Event::Load { record, took } => {
                self.in_lanes += *took;
                self.count(record);
            }
        }
    }

    /// Counts what one load is made of.
    pub fn count(&mut self, load: &LoadRecord) {
        self.loads += 1;
        for observation in &load.observations {
            match &observation.seen {
                Seen::Command(_) => *self.commands.entry(observation.stage).or_default() += 1,
                Seen::Dump(_) | Seen::Chain(_) => self.dumps += 1,
                Seen::Reset => self.resets += 1,
                Seen::Probes(_) => self.packets += 1,
                Seen::Furnished { .. } => {}
            }
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let phases = self.phases.iter();
        let document = Document {
            seconds: phases.map(|(of, took)| (*of, took.as_secs_f64())).collect(),
            lanes: self.lanes,
            loads: self.loads,
            in_lanes: self.in_lanes.as_secs_f64(),
            commands: &self.commands,
            dumps: self.dumps,
            resets: self.resets,
            packets: self.packets,
            peak_memory: peak_memory(),
        };
        let text = serde_json::to_string_pretty(&document)
            .map_err(|error| miette!("{error}"))
            .or_exit(Exit::Fault)?;
        std::fs::write(path, text + "\n")
            .map_err(|error| miette!("{} cannot be written: {error}", path.display()))
            .or_exit(Exit::Lacks)
    }
}

/// The most memory that this process ever had.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}
