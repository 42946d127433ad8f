//! `show`: one cell in full.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::arguments::{Common, RunArgs};
use super::exit::Exit;
use super::operation::{Asked, operations};
use super::target;
use crate::catalog::{Build, BuildId};
use crate::cause::causes;
use crate::experiment::pairing::{PairingRequest, PairingsSeen};
use crate::experiment::progress::say;
use crate::experiment::scenarios::scenarios;
use crate::experiment::select::select;
use crate::experiment::{Failure, OrFailure};
use crate::judge::Cell;
use crate::plan::Operation;
use crate::report;

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
    let seen = match &args.from {
        Some(path) => PairingsSeen::recorded(path)?,
        None => {
            let request = PairingRequest {
                scenarios: scenarios(&args.run.input.choice())?,
                operations: operations(&args.operation, &Operation::ALL),
                writer: &args.writer,
                reader: &args.reader,
                options: args.run.pace.options(),
            };
            PairingsSeen::run(request, common.session_options()).await?
        }
    };
    let matrix = &seen.matrix;
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
    .or_bad_input()?;
    let is_chosen = |cell: &Cell| scenarios.iter().any(|of| of.name == cell.scenario);
    let cells = matrix
        .cells
        .iter()
        .filter(|cell| is_chosen(cell) && cell.writer == writer && cell.reader == reader);
    if args.run.input.choice().is_empty() && scenarios.len() > 1 {
        let cells: Vec<&Cell> = cells.collect();
        return list(args, &cells, (&writer, &reader));
    }
    let found = causes(matrix);
    let known = report::causes::shown(matrix, &found);
    let mut shown = 0;
    for cell in cells {
        if let Some((load, scenario)) = seen.of_cell(cell) {
            let place = matrix.cells.iter().position(|of| std::ptr::eq(of, cell));
            let losses = place.and_then(|at| found.of_cells.get(at));
            let places: BTreeSet<usize> = losses
                .into_iter()
                .flat_map(|of| of.iter())
                .map(|of| of.cause)
                .collect();
            let of_cell: Vec<_> = places.iter().filter_map(|at| known.get(*at)).collect();
            target::print(&report::show::render(cell, load, scenario, &of_cell))?;
            shown += 1;
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
    target::print(&report::pairing::render(cells, target::width()))?;
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
    Failure::bad_input(error)
}

/// The build of this id; here no glob will do.
fn one(kind: &'static str, builds: &[&Build], id: &str) -> Result<BuildId, Failure> {
    let id = glob::Pattern::escape(id);
    let found = select(kind, builds, |build| build.id.as_str(), &[id]).or_bad_input()?;
    Ok(found[0].id.clone())
}
