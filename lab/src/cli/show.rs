//! `show`: one cell in full.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::matrix::{Prepared, scenarios};
use super::output;
use super::select::select;
use super::session::Session;
use super::{Common, RunArgs};
use crate::catalog::{Build, BuildId};
use crate::judge::Cell;
use crate::matrix::Matrix;
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
    let scenarios = match args.run.input.rules.is_empty() {
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
    if shown == 0 {
        let error = miette!("{writer} and {reader} were not run as writer and reader there");
        return Err(Failure::new(Exit::Usage, error));
    }
    Ok(Exit::Ran)
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
    let scenarios = scenarios(&args.run.input)?;
    let whole = scenarios.clone();
    let session = Session::open(common).await?;
    // Here no glob will do.
    let (writer, reader) = (globset::escape(&args.writer), globset::escape(&args.reader));
    let prepared = Prepared::new(&session, &args.run, scenarios, &[writer], &[reader]).await?;
    let mut loads = Vec::new();
    let ran = prepared
        .run(&session, &args.run.pace, None, |load, _| {
            loads.push(load.clone())
        })
        .await?;
    ran.ended?;
    Ok((ran.matrix, loads, whole))
}
