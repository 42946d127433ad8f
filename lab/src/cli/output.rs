//! Where results go: formats and the files they are written to.

use std::io::{BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use miette::miette;

use super::exit::{Exit, Failure, Or};
use crate::judge::ChainVerdict;
use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Difference, Known, Matrix, difference};
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
    /// The form of the matrix; repeats, each with its --output.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Vec<Format>,
    /// A file for the format at the same place, `-` for standard output; what has none goes to standard output.
    #[arg(long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// End with exit status 1 if this verdict or consequence is anywhere in the matrix, known losses aside, or if a loss
    /// came or became graver since the --baseline; repeats.
    #[arg(long, value_parser = parse_condition, value_name = "VERDICT|CONSEQUENCE|regression")]
    pub fail_on: Vec<Condition>,
    /// An earlier report (JSON) or recording: the table on standard output is the difference to it.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Losses that are known already (TOML): they are shown as known, and fail nothing.
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
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
    let regression = || (text == "regression").then_some(Condition::Regression);
    let condition = verdict.or_else(consequence).or_else(regression);
    condition.ok_or_else(|| {
        let verdicts = Verdict::ALL.map(Verdict::as_str).join(", ");
        let consequences = CONSEQUENCES.map(Consequence::as_str).join(", ");
        format!("a verdict ({verdicts}), a consequence ({consequences}) or regression")
    })
}

/// Files that are open before the run, so that a path that cannot be written is found then. What they hold stays
/// until there is something to write.
pub struct Outputs {
    targets: Vec<(Format, Option<(PathBuf, std::fs::File)>)>,
    conditions: Vec<Condition>,
    baseline: Option<Matrix>,
    known: Option<Known>,
}

impl Outputs {
    /// Opens the files, and reads what the matrix is to be compared with.
    ///
    /// # Errors
    /// More files than formats, a file that cannot be created, or one that cannot be read.
    pub fn open(args: &OutputArgs) -> Result<Self, Failure> {
        let formats = if args.format.is_empty() {
            vec![Format::Table]
        } else {
            args.format.clone()
        };
        if args.output.len() > formats.len() {
            let error = miette!(
                "there are {} files for {} formats",
                args.output.len(),
                formats.len()
            );
            return Err(Failure::new(Exit::Usage, error));
        }
        let mut targets = Vec::new();
        for (at, format) in formats.into_iter().enumerate() {
            let file = match args.output.get(at).filter(|path| path.as_os_str() != "-") {
                Some(path) if args.output[..at].contains(path) => {
                    let error = miette!("{} is named twice as --output", path.display());
                    return Err(Failure::new(Exit::Usage, error));
                }
                Some(path) => Some((path.clone(), open(path)?)),
                None => None,
            };
            targets.push((format, file));
        }
        if args.fail_on.contains(&Condition::Regression) && args.baseline.is_none() {
            let error = miette!(
                help = "name an earlier report or recording: --baseline FILE",
                "there is nothing that a regression could be told from"
            );
            return Err(Failure::new(Exit::Usage, error));
        }
        Ok(Outputs {
            targets,
            conditions: args.fail_on.clone(),
            baseline: args.baseline.as_deref().map(matrix_of_file).transpose()?,
            known: args.known.as_deref().map(known_of_file).transpose()?,
        })
    }

    /// What is to be gathered of the recording, where some form shows it.
    pub fn shown(&self) -> Option<Shown> {
        let shows = |(format, _): &(Format, _)| *format == Format::Html;
        self.targets.iter().any(shows).then(Shown::default)
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
        for (format, file) in self.targets {
            let report = Report {
                matrix: &matrix,
                shown: &shown,
                format,
            };
            match (file, format, &difference) {
                (None, Format::Table, Some(difference)) => {
                    print(&report::difference::text(difference, width()))?;
                }
                (None, ..) => printed(|to| report.write(to, Width::Of(width())))?,
                (Some((path, file)), ..) => replace(file, &report)
                    .map_err(|error| cannot_write(&path, &error))
                    .or_exit(Exit::Lacks)?,
            }
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
    Known::read(&path.display().to_string(), &text).or_exit(Exit::Usage)
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
    let cells = || matrix.cells.iter().filter(|cell| cell.known.is_none());
    let has = |condition: &Condition| match condition {
        Condition::Verdict(wanted) => cells().any(|cell| {
            let of_rules = cell
                .rules
                .iter()
                .flat_map(|rule| rule.of_reader().chain(rule.write));
            let of_chains = cell.chains.iter().flat_map(ChainVerdict::of_reader);
            of_rules.chain(of_chains).any(|verdict| verdict == *wanted)
        }),
        Condition::Consequence(wanted) => cells().any(|cell| {
            let of_rules = cell.rules.iter().filter_map(|rule| rule.consequence);
            of_rules
                .chain(cell.chains.iter().filter_map(|chain| chain.consequence))
                .any(|found| found == *wanted)
        }),
        Condition::Regression => difference.is_some_and(|of| of.regressions().next().is_some()),
    };
    conditions.iter().any(has)
}

/// Standard output, buffered: a report is written in small pieces.
type Printing = BufWriter<anstream::AutoStream<std::io::StdoutLock<'static>>>;

/// How wide tables are.
#[derive(Clone, Copy)]
enum Width {
    /// As wide as a page, without colours.
    OfPage,
    /// So many columns of a terminal.
    Of(usize),
}

/// A matrix in one of its forms.
struct Report<'a> {
    matrix: &'a Matrix,
    shown: &'a Shown,
    format: Format,
}

impl Report<'_> {
    /// Colours are for terminals: what goes to standard output loses them there where that is none.
    fn table(&self, width: Width) -> String {
        match width {
            Width::OfPage => {
                let text = report::table::render(self.matrix, report::terminal::DEFAULT_WIDTH);
                anstream::adapter::strip_str(&text).to_string()
            }
            Width::Of(columns) => report::table::render(self.matrix, columns),
        }
    }

    /// Writes it.
    fn write(&self, to: &mut impl Write, width: Width) -> std::io::Result<()> {
        let text = match self.format {
            // The largest of all is never in memory as a whole.
            Format::Json => return report::json::write(self.matrix, to),
            Format::Table => self.table(width),
            Format::Markdown => report::markdown::render(self.matrix, report::markdown::COMMENT),
            Format::Junit => report::junit::render(self.matrix).map_err(std::io::Error::other)?,
            Format::Html => {
                report::html::render(self.matrix, self.shown).map_err(std::io::Error::other)?
            }
        };
        to.write_all(text.as_bytes())
    }
}

fn replace(file: std::fs::File, report: &Report<'_>) -> std::io::Result<()> {
    // A pipe or a device has no length.
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    let mut file = BufWriter::new(file);
    report.write(&mut file, Width::OfPage)?;
    file.flush()
}

fn open(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| cannot_write(path, &error))
        .or_exit(Exit::Usage)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> miette::Report {
    miette!("{} cannot be written: {error}", path.display())
}
