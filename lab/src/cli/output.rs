//! The forms of a matrix, what it is compared with, and what comes of that.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use miette::miette;

use super::condition::{Condition, met, parse_condition};
use super::exit::Exit;
use super::target::{Targets, Width};
use crate::cause::{KnownCauses, cause_changes, mark};
use crate::experiment::Failure;
use crate::experiment::causes;
use crate::experiment::stored::{known_of_file, matrix_of_file};
use crate::matrix::{Known, Matrix, difference};
use crate::report;
use crate::report::transcripts::Transcripts;

/// A form of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Tables for the terminal.
    Table,
    /// One JSON document, schema 2.
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
    /// A file of causes, as `causes --complete` keeps it from run to run: the page says by it when each was seen. Without it, what
    /// this program was built with.
    #[arg(long, value_name = "FILE")]
    pub causes: Option<PathBuf>,
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

/// What is made of a matrix: its forms and where they go, and what it is compared with.
pub struct Outputs {
    targets: Targets<Format>,
    conditions: Vec<Condition>,
    baseline: Option<Matrix>,
    known: Option<Known>,
    causes: Option<KnownCauses>,
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
            return Err(Failure::bad_input(error));
        }
        Ok(Outputs {
            targets,
            conditions: args.fail_on.clone(),
            baseline: args.baseline.as_deref().map(matrix_of_file).transpose()?,
            known: args.known.as_deref().map(known_of_file).transpose()?,
            causes: args.causes.as_deref().map(causes::of_file).transpose()?,
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
    pub fn transcripts(&self) -> Option<Transcripts> {
        self.targets.has(Format::Html).then(Transcripts::default)
    }

    /// Writes the matrix in every form, with what was gathered of the recording, and says whether one of the
    /// conditions is met.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn finish(
        self,
        mut matrix: Matrix,
        transcripts: Option<Transcripts>,
    ) -> Result<Exit, Failure> {
        if let Some(known) = &self.known {
            mark(&mut matrix, known);
        }
        let difference = self
            .baseline
            .map(|old| (difference(&old, &matrix), cause_changes(&old, &matrix)));
        let transcripts = transcripts.unwrap_or_default();
        self.targets.write(|format, width, to| {
            let report = Report {
                matrix: &matrix,
                transcripts: &transcripts,
                causes: self.causes.as_ref().unwrap_or(KnownCauses::built_in()),
                format,
                extent: self.extent,
            };
            match (format, width, &difference) {
                (Format::Table, Width::Of(width), Some((difference, causes))) => {
                    let text = report::difference::text(difference, causes, width);
                    to.write_all(text.as_bytes())
                }
                _ => report.write(to, width),
            }
        })?;
        let difference = difference.as_ref().map(|(of_losses, _)| of_losses);
        if let Some(said) = difference.and_then(report::difference::less) {
            eprintln!("{said}");
        }
        let is_met = met(&matrix, difference, &self.conditions);
        Ok(if is_met { Exit::Found } else { Exit::Ran })
    }
}

/// A matrix in one of its forms.
struct Report<'a> {
    matrix: &'a Matrix,
    transcripts: &'a Transcripts,
    causes: &'a KnownCauses,
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
            Format::Html => report::html::render(self.matrix, self.transcripts, self.causes)
                .map_err(std::io::Error::other)?,
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use rstest::rstest;

    use super::*;
    use crate::recording;

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
