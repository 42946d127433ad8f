//! Where results go: formats and the files they are written to.

use std::collections::BTreeSet;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::progress::say;
use crate::judge::verdict::{Consequence, Verdict};
use crate::judge::{ChainVerdict, RuleVerdict};
use crate::matrix::{Difference, Known, KnownError, Matrix, difference};
use crate::plan::Operation;
use crate::recording;
use crate::report;
use crate::report::shown::Shown;

/// A form of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for the terminal.
    Table,
    /// One JSON document, schema 1.
    Json,
    /// For issues, wikis and CI summaries, in the size of a GitHub comment.
    Markdown,
    /// A page for the browser, in one file.
    Html,
    /// JUnit's XML for CI systems, a test case a cell.
    Junit,
}

/// In which forms the matrix is written, and where to.
#[derive(Args)]
pub struct OutputArgs {
    /// The form of the matrix. Repeats, each with its --output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Vec<Format>,
    /// Where the format at the same place goes: a file, or `-` for standard output, which is the default. Repeats.
    #[arg(long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// End with exit status 1 if the matrix has this verdict or consequence, known losses aside. `regression`: a loss is new or
    /// worse than in the --baseline. `missing`: something that the --baseline ran was not run. A verdict that cannot occur with
    /// the operations that run is a usage error. Repeats.
    #[arg(long, value_parser = parse_condition, value_name = "VERDICT|CONSEQUENCE|regression|missing")]
    pub fail_on: Vec<Condition>,
    /// An earlier report (JSON) or recording. The table on standard output is the difference to it, in the operations that both
    /// ran.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// A file of known losses (TOML). They are shown as known, and --fail-on ignores them.
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Print the tables and losses of every scenario. Without it, more than three scenarios are shown on one screen.
    #[arg(long)]
    pub full: bool,
}

/// How much of the matrix a terminal gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// One screen where there are many scenarios, all of it where there are few.
    Screen,
    /// All of it.
    Full,
}

/// What `--fail-on` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A verdict about any rule or chain.
    Verdict(Verdict),
    /// A consequence in the kernel.
    Consequence(Consequence),
    /// A loss that came or became graver.
    Regression,
    /// A pairing or an operation of the baseline that was not run.
    Missing,
}

fn parse_condition(text: &str) -> Result<Condition, String> {
    const CONSEQUENCES: [Consequence; 3] = [
        Consequence::Blackhole,
        Consequence::Exposure,
        Consequence::Misdirected,
    ];
    let verdict = Verdict::ALL
        .into_iter()
        .find(|verdict| verdict.as_str() == text)
        .map(Condition::Verdict);
    let consequence = || {
        CONSEQUENCES
            .into_iter()
            .find(|c| c.as_str() == text)
            .map(Condition::Consequence)
    };
    let of_baseline = || match text {
        "regression" => Some(Condition::Regression),
        "missing" => Some(Condition::Missing),
        _ => None,
    };
    let condition = verdict.or_else(consequence).or_else(of_baseline);
    condition.ok_or_else(|| {
        let verdicts = Verdict::ALL.map(Verdict::as_str).join(", ");
        let consequences = CONSEQUENCES.map(Consequence::as_str).join(", ");
        format!("a verdict ({verdicts}), a consequence ({consequences}), regression or missing")
    })
}

/// Refuses a verdict or a consequence that nothing which is run can come to: it would fail nothing, whatever happens.
///
/// # Errors
/// There is one: the operation that would have to be run too.
pub fn require_possible(conditions: &[Condition], operations: &[Operation]) -> Result<(), Failure> {
    let comes_of = |condition: &Condition| match condition {
        Condition::Verdict(verdict) => Some((verdict.as_str(), verdict.comes_of())),
        Condition::Consequence(of) => Some((of.as_str(), of.comes_of())),
        Condition::Regression | Condition::Missing => None,
    };
    let impossible = conditions
        .iter()
        .filter_map(comes_of)
        .find(|(_, comes_of)| !comes_of.iter().any(|of| operations.contains(of)));
    let Some((condition, [lacking, ..])) = impossible else {
        return Ok(());
    };
    let named = |all: &[Operation]| {
        all.iter()
            .map(|of| of.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let with_it: BTreeSet<Operation> = operations.iter().chain([lacking]).copied().collect();
    // These are run with all others.
    let implied = [Operation::Write, Operation::Save];
    let with_it = with_it.iter().filter(|of| !implied.contains(of));
    let options: Vec<String> = with_it.map(|of| format!("--operation {of}")).collect();
    let error = miette!(
        help = format!(
            "add `--operation {lacking}` to those: {}; or run all: --operation all",
            options.join(" ")
        ),
        "--fail-on {condition} can never be met: {condition} is a verdict of {lacking}, and these operations run: {}",
        named(operations)
    );
    Err(Failure::new(Exit::Usage, error))
}

/// Where each form goes: a file that is open before the work is done, so that a path that cannot be written is found
/// then, or standard output. What the files hold stays until there is something to write.
pub struct Targets<F>(Vec<(F, Option<Target>)>);

/// A file that is open.
struct Target {
    path: PathBuf,
    file: std::fs::File,
}

impl<F: Copy> Targets<F> {
    /// Opens the files, each for the format at the same place.
    ///
    /// # Errors
    /// More files than formats, one that is named twice, or one that cannot be created.
    pub fn open(formats: &[F], default: F, files: &[PathBuf]) -> Result<Self, Failure> {
        let formats = match formats {
            [] => vec![default],
            some => some.to_vec(),
        };
        if files.len() > formats.len() {
            let (files, formats) = (files.len(), formats.len());
            let error = miette!("there are {files} files for {formats} formats");
            return Err(Failure::new(Exit::Usage, error));
        }
        let mut targets = Vec::new();
        for (at, format) in formats.into_iter().enumerate() {
            let target = match files.get(at).filter(|path| path.as_os_str() != "-") {
                Some(path) if files[..at].contains(path) => {
                    let error = miette!("{} is named twice as --output", path.display());
                    return Err(Failure::new(Exit::Usage, error));
                }
                Some(path) => Some(Target::open(path)?),
                None => None,
            };
            targets.push((format, target));
        }
        Ok(Targets(targets))
    }

    /// Writes each form, in the width of where it goes.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn write(
        self,
        mut write: impl FnMut(F, Width, &mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        for (format, target) in self.0 {
            match target {
                Some(target) => target.replace(|to| write(format, Width::OfPage, to))?,
                None => printed(|to| write(format, Width::Of(width()), to))?,
            }
        }
        Ok(())
    }
}

impl Target {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = std::fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| cannot_write(path, &error))
            .or_exit(Exit::Usage)?;
        let path = path.to_owned();
        Ok(Target { path, file })
    }

    fn replace(
        self,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let replaced = || {
            // A pipe or a device has no length.
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            let mut file = BufWriter::new(&self.file);
            write(&mut file)?;
            file.flush()
        };
        replaced()
            .map_err(|error| cannot_write(&self.path, &error))
            .or_exit(Exit::Lacks)
    }
}

/// What is made of a matrix: its forms and where they go, and what it is compared with.
pub struct Outputs {
    targets: Targets<Format>,
    conditions: Vec<Condition>,
    baseline: Option<Matrix>,
    known: Option<Known>,
    extent: Extent,
}

impl Outputs {
    /// Opens the files, and reads what the matrix is to be compared with.
    ///
    /// # Errors
    /// More files than formats, a file that cannot be created, or one that cannot be read.
    pub fn open(args: &OutputArgs) -> Result<Self, Failure> {
        let targets = Targets::open(&args.format, Format::Table, &args.output)?;
        let of_baseline = [Condition::Regression, Condition::Missing];
        if args.baseline.is_none() && args.fail_on.iter().any(|of| of_baseline.contains(of)) {
            let error = miette!(
                help = "name an earlier report or recording: --baseline FILE",
                "--fail-on regression and --fail-on missing need something to compare with"
            );
            return Err(Failure::new(Exit::Usage, error));
        }
        Ok(Outputs {
            targets,
            conditions: args.fail_on.clone(),
            baseline: args.baseline.as_deref().map(matrix_of_file).transpose()?,
            known: args.known.as_deref().map(known_of_file).transpose()?,
            extent: match args.full {
                true => Extent::Full,
                false => Extent::Screen,
            },
        })
    }

    /// The losses that are known already.
    pub fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// What is to be gathered of the recording, where some form shows it.
    pub fn shown(&self) -> Option<Shown> {
        let shows = |(format, _): &(Format, _)| *format == Format::Html;
        self.targets.0.iter().any(shows).then(Shown::default)
    }

    /// Writes the matrix in every form, with what was gathered of the recording, and says whether one of the
    /// conditions is met.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(self, mut matrix: Matrix, shown: Option<Shown>) -> Result<Exit, Failure> {
        if let Some(known) = &self.known {
            matrix.mark(known);
        }
        let difference = self.baseline.map(|old| difference(&old, &matrix));
        let shown = shown.unwrap_or_default();
        self.targets.write(|format, width, to| {
            let report = Report {
                matrix: &matrix,
                shown: &shown,
                format,
                extent: self.extent,
            };
            match (format, width, &difference) {
                (Format::Table, Width::Of(width), Some(difference)) => {
                    to.write_all(report::difference::text(difference, width).as_bytes())
                }
                _ => report.write(to, width),
            }
        })?;
        if let Some(said) = difference.as_ref().and_then(report::difference::less) {
            eprintln!("{said}");
        }
        let is_met = met(&matrix, difference.as_ref(), &self.conditions);
        Ok(if is_met { Exit::Found } else { Exit::Ran })
    }
}

/// The matrix in a file: a report's, or that of a recording.
///
/// # Errors
/// The file cannot be read, or is neither.
pub fn matrix_of_file(path: &Path) -> Result<Matrix, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| miette!("{} cannot be read: {error}", path.display()))
        .or_exit(Exit::Usage)?;
    // A recording is lines of JSON, of which the first says what it is.
    let first: Option<serde_json::Value> = text
        .lines()
        .next()
        .and_then(|line| serde_json::from_str(line).ok());
    if first.is_some_and(|first| first.get("recording").is_some()) {
        let stored = recording::read(path).or_exit(Exit::Usage)?;
        return Ok(Matrix::of(&stored.recording));
    }
    report::json::read(&text)
        .map_err(|error| {
            miette!(
                help = "a report is what `iptables-lab matrix --format json` writes, a recording what --record writes",
                "{} cannot be taken for a report: {error}",
                path.display()
            )
        })
        .or_exit(Exit::Usage)
}

fn known_of_file(path: &Path) -> Result<Known, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| miette!("{} cannot be read: {error}", path.display()))
        .or_exit(Exit::Usage)?;
    let known = Known::read(&path.display().to_string(), &text);
    if let Err(KnownError::OldForm { entries, .. }) = &known {
        // Within an error's help its lines would be broken.
        say(format_args!("{entries}"));
    }
    known.or_exit(Exit::Usage)
}

/// Prints to standard output; a pipe that is closed at the other end is nobody's fault.
///
/// # Errors
/// It cannot be written, as on a full disk.
pub fn print(text: &str) -> Result<(), Failure> {
    printed(|to| to.write_all(text.as_bytes()))
}

fn printed(write: impl FnOnce(&mut Printing) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut stdout = BufWriter::new(anstream::stdout().lock());
    match write(&mut stdout).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(miette!("standard output cannot be written: {error}")).or_exit(Exit::Lacks)
        }
        _ => Ok(()),
    }
}

/// The columns of the terminal; of pipes and files a width that fits a page.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok());
    let terminal = || {
        let is_terminal = std::io::stdout().is_terminal();
        is_terminal
            .then(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
            .flatten()
    };
    columns
        .or_else(terminal)
        .unwrap_or(report::terminal::DEFAULT_WIDTH)
        .max(40)
}

/// Whether the matrix, known losses aside, or its difference to the baseline has what one of the conditions names.
fn met(matrix: &Matrix, difference: Option<&Difference>, conditions: &[Condition]) -> bool {
    let rules = || {
        matrix.cells.iter().flat_map(|cell| {
            let known =
                |rule: &RuleVerdict| cell.known_of(&rule.table, &rule.chain, Some(rule.index));
            cell.outcome
                .rules
                .iter()
                .filter(move |rule| known(rule).is_none())
        })
    };
    let chains = || {
        matrix.cells.iter().flat_map(|cell| {
            let known = |chain: &ChainVerdict| cell.known_of(&chain.table, &chain.chain, None);
            cell.outcome
                .chains
                .iter()
                .filter(move |chain| known(chain).is_none())
        })
    };
    let has = |condition: &Condition| match condition {
        Condition::Verdict(wanted) => {
            // What the writer could not write was not tested.
            let tested = rules().filter(|rule| rule.not_tested().is_none());
            let of_rules =
                tested.flat_map(|rule| rule.of_reader().chain(rule.of(Operation::Write)));
            let mut verdicts = of_rules.chain(chains().flat_map(ChainVerdict::of_reader));
            verdicts.any(|verdict| verdict == *wanted)
        }
        Condition::Consequence(wanted) => {
            let of_rules = rules().filter_map(|rule| rule.consequence.map(|of| of.what));
            let mut all = of_rules.chain(chains().filter_map(ChainVerdict::does));
            all.any(|found| found == *wanted)
        }
        Condition::Regression => difference.is_some_and(|of| of.regressions().next().is_some()),
        Condition::Missing => difference.is_some_and(Difference::is_less),
    };
    conditions.iter().any(has)
}

/// Standard output, buffered: a report is written in small pieces.
type Printing = BufWriter<anstream::AutoStream<std::io::StdoutLock<'static>>>;

/// How wide text is.
#[derive(Clone, Copy)]
pub enum Width {
    /// As wide as a page, without colours.
    OfPage,
    /// So many columns of a terminal.
    Of(usize),
}

impl Width {
    /// Text in this width. Colours are for terminals: what goes to standard output loses them there where that is none.
    pub fn text(self, render: impl FnOnce(usize) -> String) -> String {
        match self {
            Width::OfPage => {
                let text = render(report::terminal::DEFAULT_WIDTH);
                anstream::adapter::strip_str(&text).to_string()
            }
            Width::Of(columns) => render(columns),
        }
    }
}

/// A matrix in one of its forms.
struct Report<'a> {
    matrix: &'a Matrix,
    shown: &'a Shown,
    format: Format,
    extent: Extent,
}

impl Report<'_> {
    /// Writes it.
    fn write(&self, to: &mut dyn Write, width: Width) -> std::io::Result<()> {
        let text = match self.format {
            // The largest of all is never in memory as a whole.
            Format::Json => return report::json::write(self.matrix, to),
            Format::Table => width.text(|columns| table(self.matrix, self.extent, columns)),
            Format::Markdown => report::markdown::render(self.matrix, report::markdown::COMMENT),
            Format::Junit => report::junit::render(self.matrix).map_err(std::io::Error::other)?,
            Format::Html => {
                report::html::render(self.matrix, self.shown).map_err(std::io::Error::other)?
            }
        };
        to.write_all(text.as_bytes())
    }
}

/// What a terminal gets: one screen of many scenarios, every table of few.
fn table(matrix: &Matrix, extent: Extent, columns: usize) -> String {
    let is_many = matrix.scenarios.len() > report::screen::FEW;
    match extent {
        Extent::Screen if is_many => report::screen::render(matrix, columns),
        Extent::Screen | Extent::Full => report::table::render(matrix, columns),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> miette::Report {
    miette!("{} cannot be written: {error}", path.display())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::few(3, Extent::Screen, false)]
    #[case::many(4, Extent::Screen, true)]
    #[case::asked(4, Extent::Full, false)]
    fn more_than_three_scenarios_are_one_screen(
        #[case] scenarios: usize,
        #[case] extent: Extent,
        #[case] is_screen: bool,
    ) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = Path::new(folder).join("kube-firewall-by-1.8.9.jsonl");
        let mut matrix = Matrix::of(&recording::read(&file).unwrap().recording);
        let head = matrix.scenarios[0].clone();
        matrix.scenarios.resize(scenarios, head);
        let text = table(&matrix, extent, 100);
        assert_eq!(text.contains("Losses, the worst first"), is_screen);
        assert_eq!(text.contains("writers down, readers across"), !is_screen);
    }
}
