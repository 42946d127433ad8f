//! `show`: one cell in full.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::given::scenarios;
use super::matrix::Prepared;
use super::needed::Pairs;
use super::operation::{Asked, operations};
use super::output;
use super::progress::say;
use super::select::select;
use super::session::Session;
use super::{Common, RunArgs};
use crate::catalog::{Build, BuildId};
use crate::judge::Cell;
use crate::matrix::Matrix;
use crate::plan::Operation;
use crate::recording::{self, LoadRecord};
use crate::report;
use crate::scenario::Scenario;

#[derive(Args)]
pub struct ShowArgs {
    /// Who writes: a build's id.
    writer: String,
    /// Who reads: a build's id.
    reader: String,
    /// Take the cell from this recording instead of running it.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// What readers do [default: all operations]. An operation brings those that it needs. Repeats.
    #[arg(long, value_enum, value_name = "OPERATION")]
    operation: Vec<Asked>,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: &ShowArgs, common: &Common) -> Result<Exit, Failure> {
    let (matrix, loads, whole) = match &args.from {
        Some(path) => {
            let recording = recording::read(path).or_exit(Exit::Usage)?.recording;
            let matrix = Matrix::of(&recording);
            (matrix, recording.loads, recording.head.scenarios)
        }
        None => pairing(args, common).await?,
    };
    let writer = one("writer", &matrix.writers(), &args.writer)?;
    let reader = one("reader", &matrix.readers(), &args.reader)?;
    // What was run just now is what was asked for; a file is not called by its path there.
    let scenarios = match args.from.is_some() && args.run.input.given.rules.is_empty() {
        true => args.run.input.scenario.as_slice(),
        false => &[],
    };
    let scenarios = select(
        "scenario",
        &matrix.scenarios,
        |scenario| &scenario.name,
        scenarios,
    )
    .or_exit(Exit::Usage)?;
    let is_chosen = |cell: &Cell| scenarios.iter().any(|of| of.name == cell.scenario);
    let cells = matrix
        .cells
        .iter()
        .filter(|cell| is_chosen(cell) && cell.writer == writer && cell.reader == reader);
    let is_unsaid = args.run.input.scenario.is_empty() && args.run.input.given.rules.is_empty();
    if is_unsaid && scenarios.len() > 1 {
        let cells: Vec<&Cell> = cells.collect();
        return list(args, &cells, (&writer, &reader));
    }
    let mut shown = 0;
    for cell in cells {
        let load = loads.iter().find(|load| {
            let of_reader = load.readers.iter().any(|reader| reader.id == cell.reader);
            load.scenario == cell.scenario
                && load.family == cell.family
                && load.writer == cell.writer
                && of_reader
        });
        if let Some(load) = load {
            let of_cell = |of: &&Scenario| of.name == cell.scenario;
            if let Some(scenario) = whole.iter().find(of_cell) {
                output::print(&report::show::render(cell, load, scenario))?;
                shown += 1;
            }
        }
    }
    match shown {
        0 => Err(not_run(&writer, &reader)),
        _ => Ok(Exit::Ran),
    }
}

/// The cells of the pairing, one a line, and how to see one of them in full.
fn list(
    args: &ShowArgs,
    cells: &[&Cell],
    (writer, reader): (&BuildId, &BuildId),
) -> Result<Exit, Failure> {
    let mildness = |cell: &&&Cell| u8::MAX - cell.verdict.severity();
    let worst = cells.iter().min_by_key(mildness);
    let Some(worst) = worst else {
        return Err(not_run(writer, reader));
    };
    output::print(&report::pairing::render(cells, output::width()))?;
    let from = args.from.as_ref();
    let from = from.map_or_else(String::new, |path| format!(" --from {}", path.display()));
    say(format_args!(
        "one in full: iptables-lab show {writer} {reader} --scenario {}{from}",
        worst.scenario
    ));
    Ok(Exit::Ran)
}

fn not_run(writer: &BuildId, reader: &BuildId) -> Failure {
    let error = miette!("{writer} and {reader} were not run as writer and reader there");
    Failure::new(Exit::Usage, error)
}

/// The build of this id; here no glob will do.
fn one(kind: &'static str, builds: &[&Build], id: &str) -> Result<BuildId, Failure> {
    let id = globset::escape(id);
    let found = select(kind, builds, |build| build.id.as_str(), &[id]).or_exit(Exit::Usage)?;
    Ok(found[0].id.clone())
}

/// What was seen, what it comes to, and the scenarios it was seen of.
type Seen = (Matrix, Vec<LoadRecord>, Vec<Scenario>);

async fn pairing(args: &ShowArgs, common: &Common) -> Result<Seen, Failure> {
    let scenarios = scenarios(&args.run.input.scenario, &args.run.input.given)?;
    let whole = scenarios.clone();
    let session = Session::open(common).await?;
    // Here no glob will do.
    let (writer, reader) = (globset::escape(&args.writer), globset::escape(&args.reader));
    let operations = operations(&args.operation, &Operation::ALL);
    let pairs = Pairs {
        writers: &[writer],
        readers: &[reader],
    };
    let prepared = Prepared::new(&session, operations, scenarios, pairs).await?;
    let mut loads = Vec::new();
    let ran = prepared
        .run(&session, &args.run.pace, None, |load, _| {
            loads.push(load.clone())
        })
        .await?;
    ran.ended?;
    Ok((ran.matrix, loads, whole))
}
