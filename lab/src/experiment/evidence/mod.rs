//! A loss as a folder for a bug tracker: the least rules that show it, a script that reproduces it, since when it is there.

mod folder;
mod request;
mod runs;

use miette::miette;

use super::failure::{Failure, OrFailure};
use super::needed::Pairs;
use super::scenarios::{ScenarioChoice, scenarios};
use super::session::{Session, SessionOptions};
use crate::catalog::Tool;
use crate::evidence::{Found, History, Loss, LossKind};
use crate::judge::Cell;
use crate::plan::Operation;
use crate::recording::{LoadRecord, RecordingWriter};
use crate::report::evidence::nothing_found;
use crate::report::evidence::reproducer::{self, Reproducer};
use crate::report::evidence::title::title;
use crate::report::evidence::{Evidence, render};
use crate::scenario::Scenario;
use folder::{Folder, backtrace, kept, texts};
pub use request::{EvidenceMade, EvidenceRequest};
use runs::{Lab, Least};

/// Finds the least rules that show a loss of a pairing, and fills the folder.
///
/// # Errors
/// More or fewer scenarios than one, a name that no build has, a folder that cannot be written, what the machine lacks, or a loss
/// that comes and goes.
pub async fn make(
    request: &EvidenceRequest,
    session: SessionOptions,
) -> Result<EvidenceMade, Failure> {
    let scenario = the_scenario(&request.given)?;
    let folder = Folder::create(request, &scenario)?;
    let session = Session::open(session).await?;
    let pairs = Pairs {
        writers: &[glob::Pattern::escape(&request.writer)],
        readers: &[glob::Pattern::escape(&request.reader)],
        backend: None,
    };
    let provision = session
        .provide_for(std::slice::from_ref(&scenario), pairs)
        .await?;
    let mut lab = Lab {
        request,
        session: &session,
        provision,
    };
    let made = lab.evidence(&scenario, &folder).await;
    if !matches!(made, Ok(EvidenceMade::Folder(_))) {
        folder.remove_if_empty();
    }
    made
}

/// The one scenario that is named, in the family that is asked for.
fn the_scenario(given: &ScenarioChoice) -> Result<Scenario, Failure> {
    let refuse = |error| Err(Failure::bad_input(error));
    if given.is_empty() {
        return refuse(miette!(
            "evidence is about one scenario: name it with --scenario, or give a file with --rules"
        ));
    }
    let mut named = scenarios(given)?;
    let scenario = named.pop();
    let Some(scenario) = scenario.filter(|_| named.is_empty()) else {
        return refuse(miette!(
            "a report is about one scenario, and several are named"
        ));
    };
    let family = given.family_of(&scenario);
    if !scenario.families().any(|of| of == family) {
        return refuse(miette!(
            "{} has no {family} rules; see --family",
            scenario.name
        ));
    }
    if !scenario.beside.is_empty() {
        return refuse(miette!(
            help =
                "`iptables-lab show WRITER READER --scenario NAME` says what every rule comes to",
            "{} has rules of several systems, and a report's script writes with one build",
            scenario.name
        ));
    }
    Ok(scenario)
}

impl Lab<'_> {
    /// Fills the folder.
    async fn evidence(
        &mut self,
        scenario: &Scenario,
        folder: &Folder,
    ) -> Result<EvidenceMade, Failure> {
        let (writer, reader) = self.pair()?;
        let kinds = match &self.request.loss {
            Some(kind) => std::slice::from_ref(kind),
            None => LossKind::ALL.as_slice(),
        };
        let seen_by = kinds.iter().flat_map(|kind| kind.seen_by());
        let seen_by = seen_by.filter(|of| is_in_a_script(reader.tool, **of));
        let mut seen_by: Vec<Operation> = seen_by.copied().collect();
        if seen_by.is_empty() {
            let error = miette!(
                help = "`iptables-lab show WRITER READER --scenario NAME` says what every rule comes to",
                "the script of a report has no sync and no deletion of nft's, by which such a loss is seen"
            );
            return Err(Failure::bad_input(error));
        }
        seen_by.push(Operation::Rewrite);
        let whole = self.whole(scenario, seen_by).await?;
        let Some(found) = Loss::worst_of(&whole, kinds) else {
            let pairing = format!("{} between {} and {}", scenario.name, writer.id, reader.id);
            let words = nothing_found(&whole, self.request.loss, &pairing);
            return Ok(EvidenceMade::NoLoss(words));
        };
        // What packets meet is asked of what shows it, and of nothing else.
        let seen_by = [found.loss.operations(), vec![Operation::Effect]].concat();
        let whole = self.whole(scenario, seen_by).await?;
        let again = found.loss.again(&whole);
        let Found { subject, loss } = again.ok_or_else(|| comes_and_goes(&found.loss))?;
        let least = self.shrink(scenario, (&subject, &loss)).await?;
        let (cell, load) = self.recorded(&least, &loss, folder).await?;
        let shown = loss.shown_by(&cell);
        let damaged = shown.ok_or_else(|| comes_and_goes(&loss))?;
        let reproducer = Reproducer {
            loss: &loss,
            scenario: &least.scenario,
            family: self.request.given.family_of(scenario),
            writer: &writer,
            reader: &reader,
            damaged,
            load: &load,
        };
        folder.write("reproduce.sh", &reproducer::render(reproducer))?;
        let mut files = vec![("reproduce.sh", "the loss as a script that stands alone")];
        files.extend(texts(folder, &least.rules, &load, &loss)?);
        files.push((
            RECORDING,
            "all that was seen of this pairing, for `iptables-lab replay` and `show --from`",
        ));
        let tried = self.try_out(folder, &writer, &reader).await?;
        files.extend(kept(folder));
        let alike = [&writer, &reader];
        let session = self.session;
        session.provide_alike(&mut self.provision, alike).await?;
        let everywhere = self.everywhere(&least.scenario, &loss, alike).await?;
        let page = render(&Evidence {
            loss: &loss,
            found_in: scenario,
            whole: &whole,
            least: &least.rules.to_string(),
            damaged,
            matrix: &everywhere,
            writer: &writer,
            reader: &reader,
            history: &History::of(&loss, &everywhere, &writer, &reader),
            shrunk: least.shrunk,
            tried,
            backtrace: match loss.kind() {
                LossKind::Crashed => Some(backtrace(folder)),
                _ => None,
            },
            files: &files,
        });
        folder.write("REPORT.md", &page)?;
        Ok(EvidenceMade::Folder(folder.path.clone()))
    }

    /// Runs the least rules, and keeps what is seen in the folder.
    async fn recorded(
        &self,
        least: &Least,
        loss: &Loss,
        folder: &Folder,
    ) -> Result<(Cell, LoadRecord), Failure> {
        let mut file = RecordingWriter::create(&folder.path.join(RECORDING)).or_lacks()?;
        let scenarios = vec![least.scenario.clone()];
        let operations = loss.operations();
        let seen = self.pairing(scenarios, &operations, Some(&mut file));
        let (matrix, loads) = seen.await?;
        let cell = self.cell(&matrix, &least.scenario.name)?;
        let load = loads.into_iter().next();
        Ok((cell, load.ok_or_else(|| comes_and_goes(loss))?))
    }
}

/// Whether a report's script has what a reader does. It adds a component's own chain to what iptables printed, and deletes by
/// what stands in a rule.
fn is_in_a_script(reader: Tool, operation: Operation) -> bool {
    let needs_iptables = [Operation::Sync, Operation::SyncNoflush, Operation::Delete];
    reader == Tool::Iptables || !needs_iptables.contains(&operation)
}

/// What is seen of the least rules, in the folder.
const RECORDING: &str = "recording.jsonl";

fn comes_and_goes(loss: &Loss) -> Failure {
    let error = miette!(
        "the loss was there and is gone, with the same rules: {}",
        title(loss)
    );
    Failure::fault(error)
}
