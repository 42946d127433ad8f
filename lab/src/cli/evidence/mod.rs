//! `evidence`: a loss as a folder for a bug tracker.

mod folder;
mod runs;

use std::path::PathBuf;

use clap::Args;
use miette::miette;

use super::exit::{Exit, Failure, Or};
use super::given::scenarios;
use super::matrix::chosen;
use super::needed::Pairs;
use super::output;
use super::session::{self, Session};
use super::{Common, RunArgs};
use crate::catalog::Build;
use crate::evidence::{Found, History, Loss, LossKind, Rules};
use crate::images::Provision;
use crate::plan::Operation;
use crate::recording::RecordingWriter;
use crate::report::evidence::nothing_found;
use crate::report::evidence::reproducer::{self, Reproducer};
use crate::report::evidence::title::title;
use crate::report::evidence::{Evidence, Shrunk, render};
use crate::scenario::Scenario;
use folder::{Folder, backtrace, kept, texts};

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
    let scenario = the_scenario(args)?;
    let folder = Folder::create(args, &scenario)?;
    let session = Session::open(common).await?;
    let pairs = Pairs {
        writers: &[globset::escape(&args.writer)],
        readers: &[globset::escape(&args.reader)],
    };
    let provision = session
        .provide_for(std::slice::from_ref(&scenario), pairs)
        .await?;
    let mut lab = Lab {
        args,
        session: &session,
        provision,
    };
    let made = lab.evidence(&scenario, &folder).await;
    if !matches!(made, Ok(true)) {
        folder.remove_if_empty();
    }
    match made? {
        true => {
            output::print(&format!("{}\n", folder.path.display()))?;
            Ok(Exit::Ran)
        }
        false => Ok(Exit::NoLoss),
    }
}

/// The one scenario that is named, in the family that is asked for.
fn the_scenario(args: &EvidenceArgs) -> Result<Scenario, Failure> {
    let refuse = |error| Err(Failure::new(Exit::Usage, error));
    if args.run.input.scenario.is_empty() && args.run.input.given.rules.is_empty() {
        return refuse(miette!(
            "evidence is about one scenario: name it with --scenario, or give a file with --rules"
        ));
    }
    let mut named = scenarios(&args.run.input.scenario, &args.run.input.given)?;
    let scenario = named.pop();
    let Some(scenario) = scenario.filter(|_| named.is_empty()) else {
        return refuse(miette!(
            "a report is about one scenario, and several are named"
        ));
    };
    let family = args.run.input.given.family_of(&scenario);
    if !scenario.families().any(|of| of == family) {
        return refuse(miette!(
            "{} has no {family} rules; see --family",
            scenario.name
        ));
    }
    Ok(scenario)
}

/// What runs need.
struct Lab<'a> {
    args: &'a EvidenceArgs,
    session: &'a Session,
    /// The builds of the pairing and their witnesses; all builds like these once the least rules are known.
    provision: Provision,
}

/// The least rules that show a loss.
struct Least {
    scenario: Scenario,
    rules: Rules,
    shrunk: Shrunk,
}

impl Lab<'_> {
    /// The writer and the reader.
    fn pair(&self) -> Result<(Build, Build), Failure> {
        let (builds, missing) = (session::builds(&self.provision), &self.provision.missing);
        let one = |id: &str| {
            let found = chosen(&builds, missing, &[globset::escape(id)])?;
            // A name that is no glob matches one build, or it is an error.
            found.into_iter().next().ok_or_else(|| {
                let error = miette!(
                    help = "`iptables-lab builds list` says which there are",
                    "no build that can run here is called `{id}`"
                );
                Failure::new(Exit::Usage, error)
            })
        };
        Ok((one(&self.args.writer)?, one(&self.args.reader)?))
    }

    /// Fills the folder; false where nothing is lost.
    async fn evidence(&mut self, scenario: &Scenario, folder: &Folder) -> Result<bool, Failure> {
        let (writer, reader) = self.pair()?;
        let kinds = match &self.args.loss {
            Some(kind) => std::slice::from_ref(kind),
            None => LossKind::ALL.as_slice(),
        };
        let seen_by = kinds.iter().flat_map(|kind| kind.seen_by());
        let seen_by: Vec<Operation> = seen_by.copied().chain([Operation::Rewrite]).collect();
        let whole = self.whole(scenario, seen_by).await?;
        let Some(found) = Loss::worst_of(&whole, kinds) else {
            let pairing = format!("{} between {} and {}", scenario.name, writer.id, reader.id);
            let words = nothing_found(&whole, self.args.loss, &pairing);
            output::print(&format!("{words}\n"))?;
            return Ok(false);
        };
        // What packets meet is asked of what shows it, and of nothing else.
        let seen_by = [found.loss.operations(), vec![Operation::Effect]].concat();
        let whole = self.whole(scenario, seen_by).await?;
        let found = found
            .loss
            .again(&whole)
            .ok_or_else(|| comes_and_goes(&found))?;
        let (loss, kind) = (&found.loss, found.loss.kind());
        let least = self.shrink(scenario, &found).await?;
        let mut file =
            RecordingWriter::create(&folder.path.join("recording.jsonl")).or_exit(Exit::Lacks)?;
        let (matrix, loads) = self
            .pairing(
                vec![least.scenario.clone()],
                &loss.operations(),
                Some(&mut file),
            )
            .await?;
        let cell = self.cell(&matrix, &least.scenario.name)?;
        let damaged = found.loss.shown_by(&cell);
        let (Some(damaged), [load, ..]) = (damaged, loads.as_slice()) else {
            return Err(comes_and_goes(&found));
        };
        let reproducer = Reproducer {
            loss: &found.loss,
            scenario: &least.scenario,
            family: self.args.run.input.given.family_of(scenario),
            writer: &writer,
            reader: &reader,
            damaged,
            load,
        };
        folder.write("reproduce.sh", &reproducer::render(reproducer))?;
        let mut files = vec![("reproduce.sh", "the loss as a script that stands alone")];
        files.extend(texts(folder, &least, load, loss)?);
        files.push((
            "recording.jsonl",
            "all that was seen of this pairing, for `iptables-lab replay` and `show --from`",
        ));
        let tried = self.try_out(folder, &writer, &reader).await?;
        files.extend(kept(folder));
        self.session
            .provide_alike(&mut self.provision, [&writer, &reader])
            .await?;
        let everywhere = self
            .everywhere(&least.scenario, loss, &writer, &reader)
            .await?;
        let history = History::of(&found.loss, &everywhere, &writer, &reader);
        let page = render(&Evidence {
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
            backtrace: match kind {
                LossKind::Crashed => Some(backtrace(folder)),
                _ => None,
            },
            files: &files,
        });
        folder.write("REPORT.md", &page)?;
        Ok(true)
    }
}

fn comes_and_goes(found: &Found) -> Failure {
    let error = miette!(
        "the loss was there and is gone, with the same rules: {}",
        title(&found.loss)
    );
    Failure::new(Exit::Fault, error)
}
