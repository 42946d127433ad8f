//! `matrix`: every pairing in every scenario.

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::arguments::{Common, RunArgs, parse_backend};
use super::condition::require_possible;
use super::exit::Exit;
use super::operation::{Asked, operations};
use super::output::{OutputArgs, Outputs};
use super::target;
use crate::catalog::Backend;
use crate::experiment;
use crate::experiment::Failure;
use crate::experiment::matrix::{MatrixRequest, Record};
use crate::experiment::needed::Pairs;
use crate::experiment::scenarios::scenarios;
use crate::experiment::timings::Phase;
use crate::plan::{Operation, Shard};

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
    /// Only builds of this backend, as writers and as readers [default: both, and pairings across]. Every nft is of backend nft.
    #[arg(long, value_parser = parse_backend, value_name = "nft|legacy")]
    backend: Option<Backend>,
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
    let scenarios = scenarios(&args.run.input.choice())?;
    let operations = operations(&args.operation, &Operation::DECISIVE);
    require_possible(&args.output.fail_on, &operations)?;
    let outputs = Outputs::open(&args.output)?;
    if let Some(path) = args.record.as_ref().or(args.resume.as_ref())
        && args.output.output.contains(path)
    {
        let error = miette!("{} is both a recording and an --output", path.display());
        return Err(Failure::bad_input(error));
    }
    let mut transcripts = outputs.transcripts();
    let request = MatrixRequest {
        scenarios,
        operations,
        pairs: Pairs {
            writers: &args.writer,
            readers: &args.reader,
            backend: args.backend,
        },
        shard: args.shard,
        record: match (&args.record, &args.resume) {
            (Some(path), _) => Record::To(path.clone()),
            (None, Some(path)) => Record::Resume(path.clone()),
            (None, None) => Record::No,
        },
        options: args.run.pace.options(),
        known: outputs.known(),
        transcripts: transcripts.as_mut(),
    };
    let mut ran = experiment::matrix::run(request, common.session_options()).await?;
    let timings = &mut ran.timings;
    let exit = timings.of(Phase::Report, || outputs.finish(ran.matrix, transcripts))?;
    if let Some(path) = &args.timings {
        target::write(path, &timings.json()?)?;
    }
    ran.ended?;
    Ok(exit)
}
