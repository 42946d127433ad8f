//! `evidence`: a loss as a folder for a bug tracker.

use std::path::PathBuf;

use clap::Args;

use super::arguments::{Common, RunArgs};
use super::exit::Exit;
use super::target;
use crate::evidence::LossKind;
use crate::experiment::Failure;
use crate::experiment::evidence::{EvidenceMade, EvidenceRequest, make};

#[derive(Args)]
pub struct EvidenceArgs {
    /// Who writes: a build's id.
    #[arg(long, value_name = "ID")]
    writer: String,
    /// Who reads: a build's id.
    #[arg(long, value_name = "ID")]
    reader: String,
    /// The folder to make; if it exists, it must be empty [default: evidence-SCENARIO-WRITER-READER].
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// The kind of loss that the report is about [default: the worst of the pairing].
    #[arg(long, value_name = "KIND")]
    loss: Option<LossKind>,
    /// The most rulesets to try while the rules are shrunk.
    #[arg(long, value_name = "N", default_value = "200")]
    steps: usize,
    #[command(flatten)]
    run: RunArgs,
}

pub async fn run(args: &EvidenceArgs, common: &Common) -> Result<Exit, Failure> {
    let request = EvidenceRequest {
        given: args.run.input.choice(),
        writer: args.writer.clone(),
        reader: args.reader.clone(),
        output: args.output.clone(),
        loss: args.loss,
        steps: args.steps,
        options: args.run.pace.options(),
    };
    let (said, exit) = match make(&request, common.session_options()).await? {
        EvidenceMade::Folder(path) => (path.display().to_string(), Exit::Ran),
        EvidenceMade::NoLoss(words) => (words, Exit::NoLoss),
    };
    target::print(&format!("{said}\n"))?;
    Ok(exit)
}
