//! All observations of a run, in order, with the machine and the builds they were made on.
//!
//! A recording is a file of JSON lines: a head, then a line for each load as it was finished, then the run's end.
//! Nothing in it is normalised. A killed run loses at most the load in hand.

mod merge;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::agent::kernel::{KernelDump, SeenRules};
use crate::agent::protocol::{End, Text};
use crate::catalog::{Backend, Build, BuildId, Family, Missing};
use crate::plan::step::{Action, Answer, Role, RuleSet, Stage, Step};
use crate::plan::{LaneKind, Load, Operation, Shard};
use crate::scenario::{Outcome, Scenario};

pub use merge::{MergeError, merge};

/// How much is written at a time, in bytes.
const PIECE: usize = 256 << 10;

/// The version of the format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// A recording in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// What the run was.
    pub head: Head,
    /// Every load, in the order in which they were finished.
    pub loads: Vec<LoadRecord>,
    /// How the run ended; none if it was killed.
    pub end: Option<RunEnd>,
}

/// What a run was: the first line of its recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// [`FORMAT`].
    pub recording: u32,
    /// The lab's version.
    pub lab: String,
    /// When the run began.
    pub started: jiff::Timestamp,
    /// Where it ran.
    pub host: Host,
    /// What was done with each pairing.
    pub operations: Vec<Operation>,
    /// The builds that took part, witnesses included.
    pub builds: Vec<Build>,
    /// The builds that could not be had.
    pub missing: Vec<Missing>,
    /// Who said what the kernel held.
    pub witness: BTreeMap<Backend, BuildId>,
    /// The scenarios, whole.
    pub scenarios: Vec<Scenario>,
    /// How many pairings were to be run, counted once for each scenario and family; of a shard, in all shards together.
    pub pairings: usize,
    /// Which part of the plan was run; none where all of it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// The machine a run was made on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// The engine and its version: `docker 20.10.24`, `native (root)`.
    pub engine: String,
    /// Why this engine: it was asked for, or what made it the one. Null where nobody wrote it down.
    #[serde(default)]
    pub engine_reason: Option<String>,
    /// What is otherwise here than it would be elsewhere, and may be seen in verdicts.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// How a run ended: the last line of its recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// When.
    pub finished: jiff::Timestamp,
    /// Why before its plan was through; none if the plan was through.
    #[serde(default)]
    pub cut_short: Option<String>,
}

/// All observations of one load, in order. Texts and dumps are kept once each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// The scenario's name.
    pub scenario: String,
    /// Which of its rulesets.
    pub family: Family,
    /// Who wrote.
    pub writer: BuildId,
    /// Who read.
    pub readers: Vec<ReaderRecord>,
    /// The kind of lane.
    pub kind: LaneKind,
    /// Every distinct text that was read or written.
    pub texts: Vec<Text>,
    /// Every distinct dump. A rule that is in several of them is one in memory.
    #[serde(deserialize_with = "sharing_rules")]
    pub dumps: Vec<Arc<KernelDump>>,
    /// What was done and seen, in order.
    pub observations: Vec<Observation>,
}

/// A reader of a load and its witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderRecord {
    /// Who read.
    pub id: BuildId,
    /// Who said what the kernel then held.
    #[serde(default)]
    pub witness: Option<BuildId>,
}

/// The place of a text in its load's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextRef(usize);

/// The place of a dump in its load's dumps. Two observations with the same reference saw the same kernel state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DumpRef(usize);

impl std::fmt::Display for DumpRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0 + 1)
    }
}

/// One step as it was done, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Which part of the procedure it belongs to.
    pub stage: Stage,
    /// What it was for.
    pub role: Role,
    /// The reader it was done for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader: Option<BuildId>,
    /// The rules that were in the lane, or were to be.
    pub rules: RuleSet,
    /// The one rule that it was about, by its place in the scenario's ruleset from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<usize>,
    /// What was seen.
    #[serde(flatten)]
    pub seen: Seen,
}

/// What was seen of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// A command as it was run.
    Command(CommandRecord),
    /// The kernel's rules.
    Dump(DumpRef),
    /// The kernel's rules of one chain.
    Chain(DumpRef),
    /// The lane was emptied.
    Reset,
    /// What the scenario needs was made.
    Furnished {
        /// What the kernel lacks for it, in its own words; none where all was made.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lacks: Option<String>,
    },
    /// What became of each of the scenario's packets, by the probe's name.
    Probes(Vec<(String, Outcome)>),
}

/// One command as it was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandRecord {
    /// Whose.
    pub build: BuildId,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// What it read from standard input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<TextRef>,
    /// How it ended.
    pub end: End,
    /// Its standard output.
    pub stdout: TextRef,
    /// Its standard error.
    pub stderr: TextRef,
}

impl LoadRecord {
    /// The text behind a reference of this load.
    pub fn text(&self, text: TextRef) -> &Text {
        &self.texts[text.0]
    }

    /// The dump behind a reference of this load.
    pub fn dump(&self, dump: DumpRef) -> &KernelDump {
        &self.dumps[dump.0]
    }

    /// What it refers to and is not there, in it or in the head. A file that was tampered with may do that.
    fn dangling(&self, head: &Head) -> Option<&'static str> {
        let has_build = |id: &BuildId| head.builds.iter().any(|build| &build.id == id);
        let scenario = head.scenarios.iter().find(|of| of.name == self.scenario);
        let rules = scenario.map_or(0, |scenario| scenario.rule_count(self.family));
        let in_order = [
            (scenario.is_none(), "a scenario"),
            (!self.ids().all(has_build), "a build"),
            (
                !self.observations.iter().all(|of| self.holds(of)),
                "a text or a dump",
            ),
            (
                self.observations
                    .iter()
                    .any(|of| of.rules.last().is_some_and(|rule| rule >= rules)),
                "a rule",
            ),
        ];
        in_order
            .into_iter()
            .find_map(|(dangles, what)| dangles.then_some(what))
    }

    fn ids(&self) -> impl Iterator<Item = &BuildId> {
        let readers = self.readers.iter();
        let of_readers = readers.flat_map(|of| [Some(&of.id), of.witness.as_ref()]);
        let of_commands = self.observations.iter().map(|of| match &of.seen {
            Seen::Command(command) => Some(&command.build),
            _ => None,
        });
        let others = of_readers.chain(of_commands).flatten();
        std::iter::once(&self.writer).chain(others)
    }

    fn holds(&self, observation: &Observation) -> bool {
        match &observation.seen {
            Seen::Command(command) => [command.stdin, Some(command.stdout), Some(command.stderr)]
                .iter()
                .flatten()
                .all(|text| text.0 < self.texts.len()),
            Seen::Dump(dump) | Seen::Chain(dump) => dump.0 < self.dumps.len(),
            Seen::Reset | Seen::Furnished { .. } | Seen::Probes(_) => true,
        }
    }
}

/// Keeps what is seen of one load while it runs.
pub struct LoadRecorder {
    record: LoadRecord,
    /// The texts and dumps that it has, by a hash of theirs.
    known: HashMap<u64, Vec<usize>>,
    /// The dumps that came, by where they are in memory: the same come again and again. Nothing else can be there as long as
    /// they are here.
    came: HashMap<usize, (Weak<KernelDump>, DumpRef)>,
    hasher: RandomState,
    rules: SeenRules,
}

impl LoadRecorder {
    /// An empty record of `load`.
    pub fn new(load: &Load) -> Self {
        let readers = load.readers.iter();
        let record = LoadRecord {
            scenario: load.scenario.clone(),
            family: load.family,
            writer: load.writer.id.clone(),
            readers: readers
                .map(|r| ReaderRecord {
                    id: r.build.id.clone(),
                    witness: r.witness.clone(),
                })
                .collect(),
            kind: load.kind,
            texts: Vec::new(),
            dumps: Vec::new(),
            observations: Vec::new(),
        };
        LoadRecorder {
            record,
            known: HashMap::new(),
            came: HashMap::new(),
            hasher: RandomState::new(),
            rules: SeenRules::default(),
        }
    }

    /// Keeps one step and what came of it. A dump in `answer` becomes the equal one that is kept already.
    pub fn keep(&mut self, step: &Step, answer: &mut Answer) {
        let seen = match (&step.action, answer) {
            (Action::Command { build, argv, stdin }, Answer::Ran(ran)) => {
                Seen::Command(CommandRecord {
                    build: build.clone(),
                    argv: argv.clone(),
                    stdin: stdin.as_ref().map(|text| self.text(text)),
                    end: ran.end,
                    stdout: self.text(&ran.stdout),
                    stderr: self.text(&ran.stderr),
                })
            }
            (Action::Probe(probes), Answer::Probed(outcomes)) => {
                let names = probes.iter().map(|(_, probe)| probe.name.clone());
                Seen::Probes(names.zip(outcomes.iter().cloned()).collect())
            }
            (Action::DumpChain(_), Answer::Dumped(dump)) => Seen::Chain(self.dump(dump)),
            (_, Answer::Dumped(dump)) => Seen::Dump(self.dump(dump)),
            (_, Answer::Furnished(furnished)) => Seen::Furnished {
                lacks: furnished.as_ref().err().cloned(),
            },
            (_, Answer::Ran(_) | Answer::Reset | Answer::Probed(_)) => Seen::Reset,
        };
        let Step {
            stage,
            role,
            reader,
            rules,
            rule,
            ..
        } = step.clone();
        self.record.observations.push(Observation {
            stage,
            role,
            reader,
            rules,
            rule,
            seen,
        });
    }

    /// The record as it stands.
    pub fn finish(self) -> LoadRecord {
        self.record
    }

    fn text(&mut self, text: &Text) -> TextRef {
        let known = self.known.entry(self.hasher.hash_one(text)).or_default();
        let texts = &mut self.record.texts;
        let is_it = |at: &&usize| texts.get(**at).is_some_and(|of| of == text);
        if let Some(at) = known.iter().find(is_it) {
            return TextRef(*at);
        }
        known.push(texts.len());
        texts.push(text.clone());
        TextRef(texts.len() - 1)
    }

    fn dump(&mut self, dump: &mut Arc<KernelDump>) -> DumpRef {
        let address = Arc::as_ptr(dump).addr();
        if let Some((_, known)) = self.came.get(&address) {
            *dump = self.record.dumps[known.0].clone();
            return *known;
        }
        let came = Arc::downgrade(dump);
        let place = self.dump_of_rules(dump);
        self.came.insert(address, (came, place));
        place
    }

    fn dump_of_rules(&mut self, dump: &mut Arc<KernelDump>) -> DumpRef {
        let known = self.known.entry(self.hasher.hash_one(&*dump)).or_default();
        let dumps = &mut self.record.dumps;
        let is_it = |at: &&usize| dumps.get(**at).is_some_and(|of| of == dump);
        if let Some(at) = known.iter().find(is_it) {
            *dump = dumps[*at].clone();
            return DumpRef(*at);
        }
        self.rules.share_with(Arc::make_mut(dump));
        known.push(dumps.len());
        dumps.push(dump.clone());
        DumpRef(dumps.len() - 1)
    }
}

/// Reads dumps, one after the other, so that no more than one of them has rules of its own that another has too.
fn sharing_rules<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Arc<KernelDump>>, D::Error> {
    struct Dumps;
    impl<'de> Visitor<'de> for Dumps {
        type Value = Vec<Arc<KernelDump>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of dumps")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let (mut rules, mut dumps) = (SeenRules::default(), Vec::new());
            while let Some(mut dump) = list.next_element::<KernelDump>()? {
                rules.share_with(&mut dump);
                dumps.push(Arc::new(dump));
            }
            Ok(dumps)
        }
    }
    from.deserialize_seq(Dumps)
}

/// One line of the file after the head.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line<L> {
    Load(L),
    End(RunEnd),
}

/// Why a recording could not be written or read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RecordingError {
    /// The file cannot be opened, read or written.
    #[error("the recording {} cannot be {doing}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Not a recording, or damaged.
    #[error("{}:{line}: this is no line of a recording: {source}", path.display())]
    #[diagnostic(help("a recording is what `iptables-lab matrix --record FILE` writes"))]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A load refers to what the recording does not hold.
    #[error("{}:{line}: this load refers to {what} that the recording does not hold", path.display())]
    Incomplete {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is not there.
        what: &'static str,
    },
    /// Another version of the format.
    #[error("{}:1: this is a recording of format {found}, and this program reads format {FORMAT}", path.display())]
    #[diagnostic(help("judge it with the release of iptables-lab that made it"))]
    OtherFormat {
        /// Which file.
        path: PathBuf,
        /// The format it says it has.
        found: u64,
    },
}

/// Writes a recording, line by line. A line that cannot be written whole, as on a full disk, is taken back.
pub struct RecordingWriter {
    path: PathBuf,
    file: File,
    /// The bytes of the lines that were written whole.
    whole: u64,
}

impl RecordingWriter {
    /// Opens the file, so that a path that cannot be written is found before the run and not after it. What it holds
    /// stays until the head is written.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be opened.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let file = File::options().append(true).create(true).open(path);
        let file = file.map_err(|source| io_error(path, "written", source))?;
        Ok(RecordingWriter {
            path: path.to_owned(),
            file,
            whole: 0,
        })
    }

    /// Opens the file of a run that was cut short, to add to its first `keep` bytes.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be opened.
    pub fn resume(path: &Path, keep: u64) -> Result<Self, RecordingError> {
        let file = File::options().append(true).open(path);
        let file = file.and_then(|file| file.set_len(keep).map(|()| file));
        let file = file.map_err(|source| io_error(path, "written", source))?;
        Ok(RecordingWriter {
            path: path.to_owned(),
            file,
            whole: keep,
        })
    }

    /// Writes the first line, in the place of all that the file held.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be written.
    pub fn head(&mut self, head: &Head) -> Result<(), RecordingError> {
        self.cut()
            .map_err(|source| io_error(&self.path, "written", source))?;
        self.line(head)
    }

    /// Writes a load.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be written.
    pub fn load(&mut self, load: &LoadRecord) -> Result<(), RecordingError> {
        self.line(&Line::Load(load))
    }

    /// Writes the last line.
    ///
    /// # Errors
    /// [`RecordingError::Io`] if it cannot be written.
    pub fn end(&mut self, end: &RunEnd) -> Result<(), RecordingError> {
        self.line(&Line::<LoadRecord>::End(end.clone()))
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), RecordingError> {
        match write_line(&self.file, line) {
            Ok(length) => {
                self.whole += length;
                Ok(())
            }
            Err(source) => {
                // The error that counts is the first one; a part of a line that stays is left out by who reads it.
                let _ = self.cut();
                Err(io_error(&self.path, "written", source))
            }
        }
    }

    /// Cuts the file off behind its last whole line. A pipe or a device has no length.
    fn cut(&self) -> io::Result<()> {
        match self.file.metadata()?.is_file() {
            true => self.file.set_len(self.whole),
            false => Ok(()),
        }
    }
}

/// Writes a line as it is made, for that of a load of many rules is long. Gives its length in bytes.
fn write_line(file: &File, line: &impl Serialize) -> io::Result<u64> {
    /// Counts what goes through.
    struct Counted<W>(W, u64);

    impl<W: Write> Write for Counted<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let written = self.0.write(bytes)?;
            self.1 += written as u64;
            Ok(written)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    let mut text = BufWriter::with_capacity(PIECE, Counted(file, 0));
    serde_json::to_writer(&mut text, line)?;
    text.write_all(b"\n")?;
    text.flush()?;
    Ok(text.get_ref().1)
}

/// A recording as it lies in a file, and how much of the file is whole.
pub struct Stored {
    /// What the file holds.
    pub recording: Recording,
    /// The bytes up to the end of its last whole load: where a resumed run goes on.
    pub whole: u64,
}

/// Reads a recording. A last line that was cut off, as a killed run leaves it, is left out.
///
/// # Errors
/// The file cannot be read, is no recording, or is one of another format.
pub fn read(path: &Path) -> Result<Stored, RecordingError> {
    let mut reader = RecordingReader::open(path)?;
    let mut loads = Vec::new();
    while let Some(load) = reader.load()? {
        loads.push(load);
    }
    let RecordingReader {
        head, end, whole, ..
    } = reader;
    let recording = Recording { head, loads, end };
    Ok(Stored { recording, whole })
}

/// Reads a recording load by load, so that it need not be in memory.
pub struct RecordingReader {
    /// What the run was.
    pub head: Head,
    /// How it ended, once all loads were read; none if it was killed.
    pub end: Option<RunEnd>,
    path: PathBuf,
    lines: BufReader<File>,
    /// The number of the line in hand.
    number: usize,
    /// The bytes up to the end of the last whole load.
    whole: u64,
}

impl RecordingReader {
    /// Opens the file and reads its head.
    ///
    /// # Errors
    /// The file cannot be read, is no recording, or is one of another format.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(|source| io_error(path, "read", source))?;
        let mut lines = BufReader::new(file);
        let mut line = Vec::new();
        let whole = next_line(&mut lines, &mut line, path)?;
        Ok(RecordingReader {
            head: head(&line, path)?,
            end: None,
            path: path.to_owned(),
            lines,
            number: 1,
            whole,
        })
    }

    /// The next load; none where there is no more. A last line that was cut off, as a killed run leaves it, is left out.
    ///
    /// # Errors
    /// The file cannot be read, or what comes is no line of a recording.
    pub fn load(&mut self) -> Result<Option<LoadRecord>, RecordingError> {
        let mut line = Vec::new();
        loop {
            let length = next_line(&mut self.lines, &mut line, &self.path)?;
            if !line.ends_with(b"\n") {
                return Ok(None);
            }
            self.number += 1;
            let (path, line_number) = (self.path.clone(), self.number);
            let read = serde_json::from_slice(&line);
            let load: LoadRecord = match read.map_err(|source| RecordingError::Malformed {
                path: path.clone(),
                line: line_number,
                source,
            })? {
                Line::Load(load) => load,
                Line::End(end) => {
                    self.end = Some(end);
                    continue;
                }
            };
            if let Some(what) = load.dangling(&self.head) {
                return Err(RecordingError::Incomplete {
                    path,
                    line: line_number,
                    what,
                });
            }
            self.whole += length;
            return Ok(Some(load));
        }
    }
}

fn head(line: &[u8], path: &Path) -> Result<Head, RecordingError> {
    #[derive(Deserialize)]
    struct Format {
        recording: u64,
    }
    let malformed = |source| RecordingError::Malformed {
        path: path.to_owned(),
        line: 1,
        source,
    };
    let format: Format = serde_json::from_slice(line).map_err(malformed)?;
    if format.recording != u64::from(FORMAT) {
        return Err(RecordingError::OtherFormat {
            path: path.to_owned(),
            found: format.recording,
        });
    }
    serde_json::from_slice(line).map_err(malformed)
}

fn next_line(
    reader: &mut impl BufRead,
    line: &mut Vec<u8>,
    path: &Path,
) -> Result<u64, RecordingError> {
    line.clear();
    let length = reader
        .read_until(b'\n', line)
        .map_err(|source| io_error(path, "read", source))?;
    Ok(length as u64)
}

fn io_error(path: &Path, doing: &'static str, source: io::Error) -> RecordingError {
    RecordingError::Io {
        path: path.to_owned(),
        doing,
        source,
    }
}
