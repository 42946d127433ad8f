//! What a run took, and what it was made of.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use miette::miette;
use serde::Serialize;

use super::failure::{Failure, OrFailure};
use crate::plan::step::Stage;
use crate::recording::{Commands, LoadRecord, Seen};
use crate::runner::Event;

/// What a run took so far.
#[derive(Debug, Clone, Default)]
pub struct Timings {
    phases: BTreeMap<Phase, Duration>,
    lanes: usize,
    /// When the last lane could take its first load.
    lanes_ready: Option<Instant>,
    loads: usize,
    /// In the order in which they ended, which is that of the recording.
    in_lanes: Vec<InLane>,
    commands: BTreeMap<Stage, usize>,
    dumps: usize,
    resets: usize,
    packets: usize,
    executed: Commands,
}

/// What a load took in its lane: commands, dumps, packets, and what the lab does between them.
#[derive(Debug, Clone, Copy)]
struct InLane {
    begun: Instant,
    took: Duration,
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
    /// Each load, in the order of the recording.
    each_load: Vec<LoadDocument>,
    /// How many commands builds were asked to run, by the part of the procedure they belong to.
    commands: &'a BTreeMap<Stage, usize>,
    /// How many of them were run, and how many were known from another pairing.
    executed: Commands,
    /// How often the kernel was read.
    dumps: usize,
    /// How often a lane was emptied, or a fresh namespace taken.
    resets: usize,
    /// How often a scenario's packets were sent.
    packets: usize,
    /// The most memory that the lab itself had, in bytes; none where the system does not say.
    peak_memory: Option<u64>,
}

/// The form of what a load took.
#[derive(Serialize)]
struct LoadDocument {
    /// Seconds in its lane.
    seconds: f64,
    /// Whether it began when every lane was open, so that the lanes' start had no part in what it took.
    after_lanes: bool,
}

impl Timings {
    /// Counts what `work` takes to a phase.
    pub fn of<T>(&mut self, phase: Phase, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.add(phase, begun.elapsed());
        done
    }

    /// How many commands were run so far.
    pub fn executed(&self) -> Commands {
        self.executed
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
            Event::LaneReady { took, at, .. } => {
                let longest = self.phases.entry(Phase::Lanes).or_default();
                *longest = (*longest).max(*took);
                self.lanes_ready = self.lanes_ready.max(Some(*at));
            }
            Event::Steps(_) | Event::NotKept(_) => {}
            Event::Through(commands) => self.executed = *commands,
            Event::Load {
                record,
                begun,
                took,
            } => {
                self.in_lanes.push(InLane {
                    begun: *begun,
                    took: *took,
                });
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

    /// All of it, as JSON.
    ///
    /// # Errors
    /// None that is known: it is a fault of the lab.
    pub fn json(&self) -> Result<String, Failure> {
        let phases = self.phases.iter();
        let in_lanes = self.in_lanes.iter();
        let each_load = in_lanes.clone().map(|load| LoadDocument {
            seconds: load.took.as_secs_f64(),
            after_lanes: self.lanes_ready.is_none_or(|ready| ready <= load.begun),
        });
        let document = Document {
            seconds: phases.map(|(of, took)| (*of, took.as_secs_f64())).collect(),
            lanes: self.lanes,
            loads: self.loads,
            in_lanes: in_lanes.map(|load| load.took.as_secs_f64()).sum(),
            each_load: each_load.collect(),
            commands: &self.commands,
            executed: self.executed,
            dumps: self.dumps,
            resets: self.resets,
            packets: self.packets,
            peak_memory: peak_memory(),
        };
        let text = serde_json::to_string_pretty(&document);
        let text = text.map_err(|error| miette!("{error}")).or_fault()?;
        Ok(text + "\n")
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
