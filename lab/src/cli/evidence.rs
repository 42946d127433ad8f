//! `evidence`: a loss as a folder for a bug tracker.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::matrix::{Prepared, scenarios};
use super::output;
use super::session::{self, Session};
use super::{Common, RunArgs};
use crate::catalog::Build;
use crate::evidence::{Found, History, Loss, LossKind, OPERATIONS, Rules, Shrink};
use crate::images::{Effort, Provision};
use crate::judge::Cell;
use crate::matrix::Matrix;
use crate::plan::Operation;
use crate::plan::step::{Role, Stage};
use crate::recording::{LoadRecord, RecordingWriter, Seen};
use crate::report;
use crate::report::evidence::{Backtrace, Evidence, Shrunk, Tried};
use crate::report::reproducer::Reproducer;
use crate::scenario::Scenario;

#[derive(Args)]
pub struct EvidenceArgs {
    /// Who writes: a build's id.
    #[arg(long, value_name = "ID")]
    writer: String,
    /// Who reads: a build's id.
    #[arg(long, value_name = "ID")]
    reader: String,
    /// The folder; it must not be there yet, or be empty [default: evidence-SCENARIO-WRITER-READER].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Which kind of loss the report is about, where a pairing has several [default: the worst].
    #[arg(long, value_name = "KIND")]
    loss: Option<LossKind>,
    /// At most so many rulesets are tried while the rules are shrunk.
    #[arg(long, value_name = "N", default_value = "200")]
    steps: usize,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: &EvidenceArgs, common: &Common) -> Result<Exit, Failure> {
    let scenario = the_scenario(args)?;
    let folder = Folder::create(args, &scenario)?;
    let session = Session::open(common).await?;
    let images = session.catalog.images.clone();
    let provision = session.provide(images, Effort::Usual).await?;
    let lab = Lab {
        args,
        session: &session,
        provision: &provision,
    };
    let made = lab.evidence(&scenario, &folder).await;
    if !matches!(made, Ok(true)) {
        folder.remove_if_empty();
    }
    if made? {
        output::print(&format!("{}\n", folder.path.display()))?;
    }
    Ok(Exit::Ran)
}

/// The one scenario that is named, in the family that is asked for.
fn the_scenario(args: &EvidenceArgs) -> Result<Scenario, Failure> {
    let refuse = |error| Err(Failure::new(Exit::Usage, error));
    if !args.run.operation.is_empty() {
        return refuse(miette!("evidence itself says which operations it needs"));
    }
    if args.run.scenario.is_empty() && args.run.rules.is_empty() {
        return refuse(miette!("name a --scenario, or a file of --rules"));
    }
    let mut named = scenarios(&args.run)?;
    let scenario = named.pop();
    let Some(scenario) = scenario.filter(|_| named.is_empty()) else {
        return refuse(miette!(
            "a report is about one scenario, and several are named"
        ));
    };
    let family = args.run.family;
    if !scenario.families().any(|of| of == family) {
        return refuse(miette!(
            "{} has no {family} rules; see --family",
            scenario.name
        ));
    }
    Ok(scenario)
}

/// Where the report goes.
struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes it, so that a path that cannot be written is found before the run and not after it.
    fn create(args: &EvidenceArgs, scenario: &Scenario) -> Result<Folder, Failure> {
        let path = args.output.clone().unwrap_or_else(|| {
            PathBuf::from(format!(
                "evidence-{}-{}-{}",
                scenario.name, args.writer, args.reader
            ))
        });
        let refused = |error| miette!("{} cannot be written: {error}", path.display());
        std::fs::create_dir_all(&path)
            .map_err(refused)
            .or_exit(Exit::Usage)?;
        let mut entries = std::fs::read_dir(&path)
            .map_err(refused)
            .or_exit(Exit::Usage)?;
        if entries.next().is_some() {
            let error = miette!("{} is there already, and is not empty", path.display());
            return Err(Failure::new(Exit::Usage, error));
        }
        let probe = path.join("REPORT.md");
        std::fs::write(&probe, "")
            .map_err(refused)
            .or_exit(Exit::Usage)?;
        let _ = std::fs::remove_file(&probe);
        Ok(Folder { path })
    }

    fn remove_if_empty(&self) {
        let _ = std::fs::remove_dir(&self.path);
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path.join(name);
        std::fs::write(&path, text)
            .map_err(|error| miette!("{} cannot be written: {error}", path.display()))
            .or_exit(Exit::Lacks)
    }
}

/// What runs need.
struct Lab<'a> {
    args: &'a EvidenceArgs,
    session: &'a Session,
    provision: &'a Provision,
}

/// The least rules that show a loss.
struct Least {
    scenario: Scenario,
    rules: Rules,
    shrunk: Shrunk,
}

impl Lab<'_> {
    /// Fills the folder; false where nothing is lost.
    async fn evidence(&self, scenario: &Scenario, folder: &Folder) -> Result<bool, Failure> {
        let builds = session::builds(self.provision);
        let writer = one(&builds, "writer", &self.args.writer)?;
        let reader = one(&builds, "reader", &self.args.reader)?;
        let operations = [OPERATIONS.as_slice(), &[Operation::Effect]].concat();
        let (matrix, _) = self
            .pairing(vec![scenario.clone()], &operations, None)
            .await?;
        let whole = self.cell(&matrix, &scenario.name)?;
        let kinds = match &self.args.loss {
            Some(kind) => std::slice::from_ref(kind),
            None => LossKind::ALL.as_slice(),
        };
        let Some(found) = Loss::worst_of(&whole, kinds) else {
            let lost = self.args.loss.map_or("lost", LossKind::as_str);
            let words = format!(
                "nothing of {} is {lost} between {} and {}: {}",
                scenario.name,
                writer.id,
                reader.id,
                whole.verdict.meaning()
            );
            output::print(&format!("{words}\n"))?;
            return Ok(false);
        };
        let least = self.shrink(scenario, &found).await?;
        let operations = Operation::with_needs(&OPERATIONS);
        let mut file =
            RecordingWriter::create(&folder.path.join("recording.jsonl")).or_exit(Exit::Lacks)?;
        let (matrix, loads) = self
            .pairing(vec![least.scenario.clone()], &operations, Some(&mut file))
            .await?;
        let cell = self.cell(&matrix, &least.scenario.name)?;
        let damaged = found.loss.shown_by(&cell);
        let (Some(damaged), [load, ..]) = (damaged, loads.as_slice()) else {
            return Err(comes_and_goes(&found));
        };
        let reproducer = Reproducer {
            loss: &found.loss,
            scenario: &least.scenario,
            family: self.args.run.family,
            writer: &writer,
            reader: &reader,
            damaged,
            load,
        };
        folder.write("reproduce.sh", &report::reproducer::render(reproducer))?;
        let mut files = vec![("reproduce.sh", "the loss as a script that stands alone")];
        files.extend(texts(folder, &least, load)?);
        files.push((
            "recording.jsonl",
            "all that was seen of this pairing, for `iptables-lab replay` and `show --from`",
        ));
        let tried = self.try_out(folder, &writer, &reader).await?;
        files.extend(kept(folder));
        let everywhere = self.everywhere(&least.scenario, &writer, &reader).await?;
        let history = History::of(&found.loss, &everywhere, &writer, &reader);
        let page = report::evidence::render(&Evidence {
            loss: &found.loss,
            found_in: scenario,
            whole: &whole,
            least: &least.rules.to_string(),
            damaged,
            matrix: &everywhere,
            writer: &writer,
            reader: &reader,
            history: &history,
            shrunk: least.shrunk,
            tried,
            backtrace: match found.loss.kind {
                LossKind::Crashed => Some(backtrace(folder)),
                _ => None,
            },
            files: &files,
        });
        folder.write("REPORT.md", &page)?;
        Ok(true)
    }

    /// Shrinks the rules to the least that show the loss, a round of candidates in one run.
    async fn shrink(&self, scenario: &Scenario, found: &Found) -> Result<Least, Failure> {
        let family = self.args.run.family;
        let mut shrink = Shrink::new(Rules::of(scenario, family), found.subject.clone());
        let from = shrink.left();
        let (mut tried, mut cut_short) = (0, false);
        loop {
            let mut candidates = shrink.candidates();
            if candidates.is_empty() {
                break;
            }
            let left = self.args.steps.saturating_sub(tried);
            if candidates.len() > left {
                candidates.truncate(left);
                cut_short = true;
            }
            if candidates.is_empty() {
                break;
            }
            tried += candidates.len();
            let now = shrink.left();
            self.session.progress.note(&format!(
                "shrinking: {} rules of {} words are left, {} smaller rulesets are tried ({tried} of at most {})",
                now.rules,
                now.words,
                candidates.len(),
                self.args.steps
            ));
            shrink.tell(
                self.first_that_shows(scenario, &candidates, &found.loss)
                    .await?,
            );
            if cut_short {
                break;
            }
        }
        let rules = shrink.least();
        let least = scenario
            .with_rules("least", family, &rules.to_string())
            .or_exit(Exit::Fault)?;
        let shrunk = Shrunk {
            from,
            to: shrink.left(),
            tried,
            cut_short,
        };
        Ok(Least {
            scenario: least,
            rules,
            shrunk,
        })
    }

    /// Which of the candidates is the first that shows the loss.
    async fn first_that_shows(
        &self,
        scenario: &Scenario,
        candidates: &[Rules],
        loss: &Loss,
    ) -> Result<Option<usize>, Failure> {
        let name = |place: usize| format!("candidate-{}", place + 1);
        let family = self.args.run.family;
        // What is no scenario, such as a table without a rule, shows nothing.
        let named = candidates.iter().enumerate();
        let scenarios = named.filter_map(|(place, rules)| {
            let rules = rules.to_string();
            scenario.with_rules(&name(place), family, &rules).ok()
        });
        let scenarios: Vec<Scenario> = scenarios.collect();
        if scenarios.is_empty() {
            return Ok(None);
        }
        let operations = Operation::with_needs(&OPERATIONS);
        let (matrix, _) = self.pairing(scenarios, &operations, None).await?;
        let shows = |place: &usize| {
            let mut cells = matrix.cells.iter();
            let cell = cells.find(|cell| cell.scenario == name(*place));
            cell.is_some_and(|cell| loss.shown_by(cell).is_some())
        };
        Ok((0..candidates.len()).find(shows))
    }

    /// The least rules in every pairing of the two backends.
    async fn everywhere(
        &self,
        scenario: &Scenario,
        writer: &Build,
        reader: &Build,
    ) -> Result<Matrix, Failure> {
        let alike = |like: &Build| -> Vec<String> {
            let builds = session::builds(self.provision);
            let alike = builds
                .iter()
                .filter(|of| of.tool == like.tool && of.backend == like.backend);
            alike
                .map(|build| globset::escape(build.id.as_str()))
                .collect()
        };
        let scenarios = vec![scenario.clone()];
        let operations = Operation::with_needs(&OPERATIONS);
        let (matrix, _) = self
            .run(
                scenarios,
                &operations,
                (&alike(writer), &alike(reader)),
                None,
            )
            .await?;
        Ok(matrix)
    }

    async fn pairing(
        &self,
        scenarios: Vec<Scenario>,
        operations: &[Operation],
        file: Option<&mut RecordingWriter>,
    ) -> Result<(Matrix, Vec<LoadRecord>), Failure> {
        let writer = [globset::escape(&self.args.writer)];
        let reader = [globset::escape(&self.args.reader)];
        self.run(scenarios, operations, (&writer, &reader), file)
            .await
    }

    async fn run(
        &self,
        scenarios: Vec<Scenario>,
        operations: &[Operation],
        (writers, readers): (&[String], &[String]),
        file: Option<&mut RecordingWriter>,
    ) -> Result<(Matrix, Vec<LoadRecord>), Failure> {
        let operations = Operation::with_needs(operations);
        let prepared = Prepared::of(
            self.session,
            self.provision,
            operations,
            scenarios,
            writers,
            readers,
        )
        .await?;
        let mut loads = Vec::new();
        let keep = |load: &LoadRecord, _: &[Cell]| loads.push(load.clone());
        let ran = prepared
            .run(self.session, &self.args.run, file, keep)
            .await?;
        ran.ended?;
        Ok((ran.matrix, loads))
    }

    fn cell(&self, matrix: &Matrix, scenario: &str) -> Result<Cell, Failure> {
        let mut cells = matrix.cells.iter();
        let cell = cells.find(|of| of.scenario == scenario && of.family == self.args.run.family);
        cell.cloned().ok_or_else(|| {
            let (writer, reader) = (&self.args.writer, &self.args.reader);
            let error = miette!("{scenario} does not put {writer} and {reader} side by side");
            Failure::new(Exit::Usage, error)
        })
    }

    /// Runs `reproduce.sh` as a maintainer would, with the root filesystems of both builds.
    async fn try_out(
        &self,
        folder: &Folder,
        writer: &Build,
        reader: &Build,
    ) -> Result<Tried, Failure> {
        let rootfs = |build: &Build| {
            let mut ready = self.provision.builds.iter();
            ready
                .find(|of| of.build.id == build.id)
                .map(|of| &of.rootfs)
        };
        let (Some(writer), Some(reader)) = (rootfs(writer), rootfs(reader)) else {
            return Ok(Tried::Not);
        };
        let run = async {
            let mut command = tokio::process::Command::new("sh");
            command
                .arg(folder.path.join("reproduce.sh"))
                .kill_on_drop(true);
            command
                .args([writer, reader])
                .env("KEEP", folder.path.join(KEPT));
            Ok(command.output().await)
        };
        let output = self.session.unless_interrupted(run).await?;
        Ok(match output.ok().and_then(|output| output.status.code()) {
            Some(status) => Tried::Ended(status),
            None => Tried::Not,
        })
    }
}

/// Where `reproduce.sh` keeps what it printed.
const KEPT: &str = "kept";

/// What is taken from there.
const TAKEN: [(&str, &str); 3] = [
    (
        "nft-before.txt",
        "what nft prints of the rules as written, with --debug=netlink",
    ),
    (
        "nft-after.txt",
        "what nft prints after the reader's rewrite",
    ),
    ("backtrace.txt", "what gdb says of the crash"),
];

/// Takes from what `reproduce.sh` kept that which only it can say.
fn kept(folder: &Folder) -> Vec<(&'static str, &'static str)> {
    let from = folder.path.join(KEPT);
    let take = |(name, _): &(&str, &str)| {
        let kept = from.join(name);
        let says_something = std::fs::metadata(&kept).is_ok_and(|file| file.len() > 0);
        says_something && std::fs::rename(&kept, folder.path.join(name)).is_ok()
    };
    let taken = TAKEN.into_iter().filter(take).collect();
    let _ = std::fs::remove_dir_all(&from);
    taken
}

/// Whether gdb said something of a crash.
fn backtrace(folder: &Folder) -> Backtrace {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = folder.path.join("backtrace.txt").exists();
    let mut folders = std::env::split_paths(&path);
    match (is_there, folders.any(|of| of.join("gdb").is_file())) {
        (true, _) => Backtrace::Kept,
        (false, true) => Backtrace::NotAgain,
        (false, false) => Backtrace::NoDebugger,
    }
}

/// The rules as given, written, read and after, and the kernel's dumps.
fn texts(
    folder: &Folder,
    least: &Least,
    load: &LoadRecord,
) -> Result<Vec<(&'static str, &'static str)>, Failure> {
    let (rules, written) = match &least.rules {
        Rules::Iptables(_) => ("rules.save", "written.save"),
        Rules::Nft(_) => ("rules.nft", "written.nft"),
    };
    let mut files = vec![(rules, "the least rules that show the loss")];
    folder.write(rules, &least.rules.to_string())?;
    let print = |stage: Stage, role: Role| {
        load.observations.iter().find_map(|seen| match &seen.seen {
            Seen::Command(command) if seen.stage == stage && seen.role == role => {
                Some(load.text(command.stdout).to_lossy().into_owned())
            }
            _ => None,
        })
    };
    let dump = |stage: Stage| {
        let of_stage = load.observations.iter().filter(|seen| seen.stage == stage);
        let mut dumps = of_stage.filter_map(|seen| match &seen.seen {
            Seen::Dump(dump) => Some(report::dump::render(load.dump(*dump))),
            _ => None,
        });
        dumps.next_back()
    };
    let all = [
        (
            written,
            "what the writer prints of what it wrote",
            print(Stage::Baseline, Role::WriterPrint),
        ),
        (
            "read.save",
            "what the reader prints of it",
            print(Stage::Save, Role::ReaderPrint),
        ),
        (
            "after.save",
            "what the writer prints after the reader restored that",
            print(Stage::Rewrite, Role::WriterPrint),
        ),
        (
            "kernel-before.txt",
            "what the kernel holds when the writer has written",
            dump(Stage::Baseline),
        ),
        (
            "kernel-after.txt",
            "what the kernel holds after the reader's rewrite",
            dump(Stage::Rewrite),
        ),
    ];
    for (name, what, text) in all {
        if let Some(text) = text {
            folder.write(name, &text)?;
            files.push((name, what));
        }
    }
    Ok(files)
}

/// The build of this id.
fn one(builds: &[Build], role: &str, id: &str) -> Result<Build, Failure> {
    let found = builds.iter().find(|build| build.id.as_str() == id);
    found.cloned().ok_or_else(|| {
        let error = miette!(
            help = "`iptables-lab builds list` says which there are",
            "no build that can run here is called `{id}`, as the {role}"
        );
        Failure::new(Exit::Usage, error)
    })
}

fn comes_and_goes(found: &Found) -> Failure {
    let error = miette!(
        "the loss was there and is gone, with the same rules: {}",
        found.loss.in_words()
    );
    Failure::new(Exit::Fault, error)
}
