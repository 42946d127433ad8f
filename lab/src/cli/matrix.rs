//! `matrix`: every pairing in every scenario.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use futures_util::FutureExt;
use miette::miette;
use tokio::sync::mpsc::unbounded_channel;

use super::exit::{Exit, Failure, Or};
use super::given::scenarios;
use super::needed::Pairs;
use super::operation::{Asked, operations};
use super::output::{OutputArgs, Outputs, require_possible};
use super::results::Results;
use super::select::select;
use super::session::{self, Session};
use super::timings::{Phase, Timings};
use super::{Common, PaceArgs, RunArgs};
use crate::catalog::{Backend, Build, BuildId, Missing};
use crate::engine::{Engine, EngineError};
use crate::fault;
use crate::images::Provision;
use crate::judge::Cell;
use crate::matrix::{Matrix, MatrixBuilder};
use crate::plan::sample::AskedRules;
use crate::plan::{Load, Operation, Plan, Selection, Shard, witness};
use crate::recording::{
    self, Head, Host, LoadRecord, Recording, RecordingError, RecordingWriter, RunEnd,
};
use crate::report::builds::not_available;
use crate::runner::{self, Event, Pace, Run, RunError};
use crate::scenario::Scenario;

#[derive(Args)]
pub struct MatrixArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Builds that write, by id or glob [default: all]. Repeats.
    #[arg(long, value_name = "ID")]
    writer: Vec<String>,
    /// Builds that read, by id or glob [default: all]. Repeats.
    #[arg(long, value_name = "ID")]
    reader: Vec<String>,
    /// What readers do [default: write, save, rewrite, recognition and effect, which decide about a pairing]. An operation brings
    /// those that it needs. Repeats.
    #[arg(long, value_enum, value_name = "OPERATION")]
    operation: Vec<Asked>,
    /// Keep every observation in this file, for `replay` and `show --from`.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Continue the recording of a run that was cut short. Nothing that it holds is run again.
    #[arg(long, value_name = "FILE", conflicts_with = "record")]
    resume: Option<PathBuf>,
    /// Write what the run took to this file, as JSON: seconds by phase, lanes, commands by operation, memory.
    #[arg(long, value_name = "FILE")]
    timings: Option<PathBuf>,
    /// Run only one part of the plan: 2/3 is the second part of three. `merge` puts the recordings together.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    output: OutputArgs,
}

pub async fn run(args: &MatrixArgs, common: &Common) -> Result<Exit, Failure> {
    let scenarios = scenarios(&args.run.input.scenario, &args.run.input.given)?;
    let operations = operations(&args.operation, &Operation::DECISIVE);
    require_possible(&args.output.fail_on, &operations)?;
    let outputs = Outputs::open(&args.output)?;
    if let Some(path) = args.record.as_ref().or(args.resume.as_ref())
        && args.output.output.contains(path)
    {
        let error = miette!("{} is both a recording and an --output", path.display());
        return Err(Failure::new(Exit::Usage, error));
    }
    let mut file = match &args.record {
        Some(path) => Some(RecordingWriter::create(path).or_exit(Exit::Usage)?),
        None => None,
    };
    let stored = match &args.resume {
        Some(path) => Some((path, recording::read(path).or_exit(Exit::Usage)?)),
        None => None,
    };
    let begun = Instant::now();
    let session = Session::open(common).await?;
    let pairs = Pairs {
        writers: &args.writer,
        readers: &args.reader,
    };
    let mut prepared = Prepared::new(&session, operations, scenarios, pairs).await?;
    prepared.timings.add(
        Phase::Start,
        begun
            .elapsed()
            .saturating_sub(prepared.timings.phase(Phase::Plan)),
    );
    if let Some(shard) = args.shard {
        prepared.keep(shard);
    }
    if let Some((path, stored)) = stored {
        prepared.take_up(stored.recording, args.run.pace.asked_rules())?;
        file = Some(RecordingWriter::resume(path, stored.whole).or_exit(Exit::Usage)?);
    }
    let mut shown = outputs.shown();
    let of_scenario = by_name(&prepared.head.scenarios);
    let head = prepared.head.clone();
    let recorded = prepared.recorded.as_deref().unwrap_or_default();
    let mut results = Results::new(&head, &prepared.plan, recorded, outputs.known());
    let gather = |load: &LoadRecord, cells: &[Cell]| {
        if let Some(line) = results.add(load, cells) {
            session.progress.note(&line);
        }
        if let (Some(shown), Some(scenario)) = (&mut shown, of_scenario.get(&load.scenario)) {
            shown.add(load, scenario, cells);
        }
    };
    let Ran {
        matrix,
        ended,
        mut timings,
    } = prepared
        .run(&session, &args.run.pace, file.as_mut(), gather)
        .await?;
    let exit = timings.of(Phase::Report, || outputs.finish(matrix, shown))?;
    if let Some(path) = &args.timings {
        timings.write(path)?;
    }
    ended?;
    Ok(exit)
}

/// A plan with everything it needs, ready to be run.
pub struct Prepared {
    plan: Plan,
    head: Head,
    engine: Box<dyn Engine>,
    /// What an earlier run recorded, and need not be run again; none where this run is the first.
    recorded: Option<Vec<LoadRecord>>,
    timings: Timings,
}

/// What came of a run.
pub struct Ran {
    /// The matrix of what was run.
    pub matrix: Matrix,
    /// How it ended.
    pub ended: Result<(), Failure>,
    /// What it took.
    pub timings: Timings,
}

impl Prepared {
    /// Provides the builds that the pairs need, and lays out the plan.
    ///
    /// # Errors
    /// A pattern names no build, no build can be had, or nothing is left to run.
    pub async fn new(
        session: &Session,
        operations: Vec<Operation>,
        scenarios: Vec<Scenario>,
        pairs: Pairs<'_>,
    ) -> Result<Self, Failure> {
        let provision = session.provide_for(&scenarios, pairs).await?;
        let ready = provision.builds.iter().map(|ready| &ready.build);
        if let Some(words) = not_available(&provision.missing, ready) {
            session.progress.note(&words);
        }
        let Pairs { writers, readers } = pairs;
        Prepared::of(session, &provision, operations, scenarios, writers, readers).await
    }

    /// Lays out the plan of builds that are there.
    ///
    /// # Errors
    /// A pattern names no build, or nothing is left to run.
    pub async fn of(
        session: &Session,
        provision: &Provision,
        operations: Vec<Operation>,
        scenarios: Vec<Scenario>,
        writers: &[String],
        readers: &[String],
    ) -> Result<Self, Failure> {
        let engine = session.engine(provision);
        let mut available = session::builds(provision);
        let mut missing = provision.missing.clone();
        // What is asked for is looked at before the kernel is.
        choose_both(&available, &missing, writers, readers)?;
        let lacking = session.lacking(engine.as_ref()).await?;
        available.retain(|build| {
            let reason = lacking.get(&build.backend);
            missing.extend(reason.map(|reason| Missing {
                id: build.id.clone(),
                reason: (*reason).to_owned(),
            }));
            reason.is_none()
        });
        let (writers, readers) = choose_both(&available, &missing, writers, readers)?;
        let selection = Selection {
            available: &available,
            writers: &writers,
            readers: &readers,
        };
        let mut timings = Timings::default();
        let plan = || Plan::new(&scenarios, selection, operations);
        let plan = timings.of(Phase::Plan, plan);
        let is_planned =
            |scenario: &Scenario| plan.loads.iter().any(|load| load.scenario == scenario.name);
        if plan.loads.is_empty() {
            return Err(nothing_to_run(&scenarios));
        }
        for scenario in scenarios.iter().filter(|of| !is_planned(of)) {
            session.progress.left_out(scenario);
        }
        let engine_of = Host {
            engine: engine.name(),
            engine_reason: Some(session.why.to_owned()),
            notes: engine.notes(),
            ..machine()
        };
        let head = head(&plan, scenarios, &available, missing, engine_of);
        let recorded = None;
        Ok(Prepared {
            plan,
            head,
            engine,
            recorded,
            timings,
        })
    }

    /// Leaves only one part of the plan.
    fn keep(&mut self, shard: Shard) {
        self.plan.keep(shard);
        self.head.shard = Some(shard);
    }

    /// Takes up the run that `recording` is of.
    ///
    /// # Errors
    /// It is the recording of another run: other builds, scenarios, operations or options, or another machine.
    fn take_up(&mut self, recording: Recording, asked: AskedRules) -> Result<(), Failure> {
        let (now, then) = (&self.head, &recording.head);
        let differing = [
            ("lab's version", now.lab != then.lab),
            ("machine", now.host != then.host),
            ("operations", now.operations != then.operations),
            ("builds", now.builds != then.builds),
            ("scenarios", now.scenarios != then.scenarios),
            ("pairings", now.pairings != then.pairings),
            ("shard", now.shard != then.shard),
            ("use of --all-rules", asked != then.asked_rules),
        ];
        if let Some((what, _)) = differing.into_iter().find(|(_, differs)| *differs) {
            let error = miette!(
                help = "give the same options as then, or record anew with --record",
                "the recording is of another run: its {what} are not this run's"
            );
            return Err(Failure::new(Exit::Usage, error));
        }
        let is_recorded = |load: &Load| {
            recording.loads.iter().any(|record| {
                let same_rules = record.scenario == load.scenario && record.family == load.family;
                same_rules && record.writer == load.writer.id && record.kind == load.kind
            })
        };
        self.plan.loads.retain(|load| !is_recorded(load));
        self.head = recording.head;
        self.recorded = Some(recording.loads);
        Ok(())
    }

    /// Runs the plan. Says what came of it, also where the run then ended early.
    ///
    /// # Errors
    /// The recording cannot even be begun.
    pub async fn run(
        mut self,
        session: &Session,
        pace: &PaceArgs,
        mut file: Option<&mut RecordingWriter>,
        keep: impl FnMut(&LoadRecord, &[Cell]),
    ) -> Result<Ran, Failure> {
        self.head.asked_rules = pace.asked_rules();
        if let (Some(file), None) = (&mut file, &self.recorded) {
            file.head(&self.head).or_exit(Exit::Lacks)?;
        }
        session
            .progress
            .run_begins(self.plan.loads.len(), self.plan.pairings());
        let mut listener = Listener {
            session,
            builder: MatrixBuilder::new(&self.head),
            file,
            keep,
            timings: self.timings,
        };
        for load in self.recorded.iter().flatten() {
            let cells = listener.builder.add(load);
            (listener.keep)(load, cells);
        }
        let (mut plan, scenarios) = (self.plan, by_name(&self.head.scenarios));
        if self.head.asked_rules == AskedRules::Sample {
            plan.sample(&scenarios);
        }
        let run = Run {
            plan,
            scenarios,
            builds: &self.head.builds,
            pace: Pace {
                lanes: pace.lanes.map_or_else(cores, usize::from),
                loads_a_lane: LOADS_A_LANE,
                timeout: pace.timeout,
            },
        };
        let begun = Instant::now();
        let running = listener.listen(run, self.engine.as_ref());
        let ended = AssertUnwindSafe(running).catch_unwind().await;
        listener.timings.add(Phase::Run, begun.elapsed());
        self.engine.settled().await;
        session.sweep().await;
        session.progress.done();
        let mut ended = ended.unwrap_or_else(|panic| resume_unwind(panic));
        let end = RunEnd {
            finished: jiff::Timestamp::now(),
            cut_short: ended.as_ref().err().map(ToString::to_string),
        };
        if let Some(Err(error)) = listener.file.map(|file| file.end(&end)) {
            ended = ended.and(Err(Stopped::Unwritten(error)));
        }
        let matrix = listener.builder.finish(Some(&end));
        fault::step();
        Ok(Ran {
            matrix,
            ended: ended.map_err(Stopped::failure),
            timings: listener.timings,
        })
    }
}

/// Not one of the scenarios has a writer and a reader among those chosen.
fn nothing_to_run(scenarios: &[Scenario]) -> Failure {
    let names: Vec<String> = scenarios
        .iter()
        .map(|scenario| format!("{} ({})", scenario.name, scenario.write.tool()))
        .collect();
    let error = miette!(
        help = "what nft writes needs an nft such as debian-nft-1.1.3-1 as --writer, all else an iptables; every \
                --reader is an iptables; `builds list` says which there are",
        "nothing is left to run: of {} none has both a writer and a reader among those chosen",
        names.join(", ")
    );
    Failure::new(Exit::Usage, error)
}

/// How many loads are worth opening a lane for.
const LOADS_A_LANE: usize = 8;

/// How many lanes of each kind are worth it.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4))
}

fn by_name(scenarios: &[Scenario]) -> BTreeMap<String, Arc<Scenario>> {
    let named = scenarios
        .iter()
        .map(|scenario| (scenario.name.clone(), Arc::new(scenario.clone())));
    named.collect()
}

/// Where the events of a run go: progress, the recording, the matrix, and whoever wants the loads.
struct Listener<'a, K> {
    session: &'a Session,
    builder: MatrixBuilder<'a>,
    file: Option<&'a mut RecordingWriter>,
    keep: K,
    timings: Timings,
}

impl<K: FnMut(&LoadRecord, &[Cell])> Listener<'_, K> {
    /// Takes `run` through `engine` until it is through, or interrupted, or cannot be recorded any more.
    async fn listen(&mut self, run: Run<'_>, engine: &dyn Engine) -> Result<(), Stopped> {
        let (sender, mut events) = unbounded_channel();
        let ended = {
            let running = runner::run(run, engine, sender);
            tokio::pin!(running);
            loop {
                tokio::select! {
                    Some(event) = events.recv() => if let Err(stopped) = self.hear(event) {
                        break Err(stopped);
                    },
                    ended = &mut running => break ended.map_err(Stopped::Run),
                    () = self.session.interrupted() => break Err(RunError::Interrupted.into()),
                }
            }
        };
        let mut rest = Ok(());
        while let Ok(event) = events.try_recv() {
            rest = rest.and(self.hear(event));
        }
        ended.and(rest)
    }

    fn hear(&mut self, event: Event) -> Result<(), Stopped> {
        self.session.progress.run(&event);
        self.timings.hear(&event);
        let Event::Load { record, .. } = event else {
            return Ok(());
        };
        fault::step();
        let begun = Instant::now();
        let cells = self.builder.add(&record);
        (self.keep)(&record, cells);
        self.timings.add(Phase::Judge, begun.elapsed());
        match &mut self.file {
            Some(file) => Ok(self.timings.of(Phase::Record, || file.load(&record))?),
            None => Ok(()),
        }
    }
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Unwritten(#[from] RecordingError),
}

impl Stopped {
    fn failure(self) -> Failure {
        let exit = match &self {
            Stopped::Run(RunError::Interrupted) => Exit::Interrupted,
            Stopped::Run(RunError::Control(_) | RunError::Engine(EngineError::Fault(_))) => {
                Exit::Fault
            }
            Stopped::Run(RunError::Engine(EngineError::Lost(_) | EngineError::Refused { .. }))
            | Stopped::Unwritten(_) => Exit::Lacks,
        };
        let error =
            miette!("the run ended early, with the results of what was run till then: {self}");
        Failure::new(exit, error)
    }
}

fn head(
    plan: &Plan,
    scenarios: Vec<Scenario>,
    available: &[Build],
    missing: Vec<Missing>,
    host: Host,
) -> Head {
    let takes_part = |build: &&Build| {
        plan.lanes
            .values()
            .any(|members| members.contains(&build.id))
    };
    Head {
        recording: recording::FORMAT,
        lab: env!("CARGO_PKG_VERSION").to_owned(),
        started: jiff::Timestamp::now(),
        host,
        operations: plan.operations.clone(),
        builds: available.iter().filter(takes_part).cloned().collect(),
        missing,
        witness: Backend::ALL
            .into_iter()
            .filter_map(|backend| Some((backend, witness(available, backend, None)?.id.clone())))
            .filter(|(_, id)| plan.lanes.values().any(|members| members.contains(id)))
            .collect(),
        pairings: plan.pairings(),
        shard: None,
        scenarios,
        asked_rules: AskedRules::default(),
    }
}

/// The kernel and architecture of this machine.
fn machine() -> Host {
    let name = nix::sys::utsname::uname().ok();
    let text = |field: Option<&std::ffi::OsStr>| {
        field.map_or_else(String::new, |text| text.to_string_lossy().into_owned())
    };
    Host {
        kernel: text(name.as_ref().map(|name| name.release())),
        arch: text(name.as_ref().map(|name| name.machine())),
        engine: String::new(),
        engine_reason: None,
        notes: Vec::new(),
    }
}

/// The writers and the readers among the available builds.
fn choose_both(
    available: &[Build],
    missing: &[Missing],
    writers: &[String],
    readers: &[String],
) -> Result<(Vec<Build>, Vec<Build>), Failure> {
    let chosen = |patterns| chosen(available, missing, patterns);
    Ok((chosen(writers)?, chosen(readers)?))
}

/// The available builds that the patterns name. A build that exists but cannot be had is another thing than one that
/// does not exist.
pub fn chosen(
    available: &[Build],
    missing: &[Missing],
    patterns: &[String],
) -> Result<Vec<Build>, Failure> {
    let ids: Vec<&BuildId> = available
        .iter()
        .map(|build| &build.id)
        .chain(missing.iter().map(|missing| &missing.id))
        .collect();
    for pattern in patterns {
        let pattern = std::slice::from_ref(pattern);
        let named = select("build", &ids, |id| id.as_str(), pattern).or_exit(Exit::Usage)?;
        let is_named = |id: &BuildId| named.contains(&&id);
        if !available.iter().any(|build| is_named(&build.id)) {
            let reasons = missing.iter().filter(|missing| is_named(&missing.id));
            let reasons = reasons.map(|missing| format!("{}: {}", missing.id, missing.reason));
            let reasons: Vec<String> = reasons.collect();
            let error = miette!("what was asked for cannot be had: {}", reasons.join("; "));
            return Err(Failure::new(Exit::Lacks, error));
        }
    }
    let named = select("build", &ids, |id| id.as_str(), patterns).or_exit(Exit::Usage)?;
    let is_named = |build: &&Build| named.contains(&&&build.id);
    Ok(available.iter().filter(is_named).cloned().collect())
}
