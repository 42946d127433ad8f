//! The runs that a report takes: of the pairing, of ever smaller rules, of every pairing, and of the script itself.

use miette::miette;

use super::folder::{Folder, KEPT};
use super::request::EvidenceRequest;
use crate::catalog::{Build, Family};
use crate::evidence::{Loss, Shrink, Subject};
use crate::experiment::failure::{Failure, OrFailure};
use crate::experiment::needed::Pairs;
use crate::experiment::prepared::Prepared;
use crate::experiment::select::chosen_builds;
use crate::experiment::session::{self, Session};
use crate::images::Provision;
use crate::judge::Cell;
use crate::matrix::Matrix;
use crate::plan::Operation;
use crate::recording::{LoadRecord, RecordingWriter};
use crate::report::evidence::{Shrunk, Tried};
use crate::report::wording::counted;
use crate::scenario::Scenario;
use crate::tool::Rules;

/// What runs need.
pub(super) struct Lab<'a> {
    /// What is asked for.
    pub(super) request: &'a EvidenceRequest,
    /// What they run in.
    pub(super) session: &'a Session,
    /// The builds of the pairing and their witnesses; all builds like these once the least rules are known.
    pub(super) provision: Provision,
}

/// The least rules that show a loss.
pub(super) struct Least {
    /// As a scenario.
    pub(super) scenario: Scenario,
    /// As such.
    pub(super) rules: Rules,
    /// What it took to find them.
    pub(super) shrunk: Shrunk,
}

impl Lab<'_> {
    /// The writer and the reader.
    pub(super) fn pair(&self) -> Result<(Build, Build), Failure> {
        let (builds, missing) = (session::builds(&self.provision), &self.provision.missing);
        let one = |id: &str| {
            let found = chosen_builds(&builds, missing, &[glob::Pattern::escape(id)])?;
            // A name that is no glob matches one build, or it is an error.
            found.into_iter().next().ok_or_else(|| {
                let error = miette!(
                    help = "`iptables-lab builds list` says which there are",
                    "no build that can run here is called `{id}`"
                );
                Failure::bad_input(error)
            })
        };
        Ok((one(&self.request.writer)?, one(&self.request.reader)?))
    }

    /// The pairing's cell, of all the scenario's rules.
    pub(super) async fn whole(
        &self,
        scenario: &Scenario,
        operations: Vec<Operation>,
    ) -> Result<Cell, Failure> {
        let (matrix, _) = self
            .pairing(vec![scenario.clone()], &operations, None)
            .await?;
        self.cell(&matrix, &scenario.name)
    }

    /// Shrinks the rules to the least that show the loss, a round of candidates in one run.
    pub(super) async fn shrink(
        &self,
        scenario: &Scenario,
        (subject, loss): (&Subject, &Loss),
    ) -> Result<Least, Failure> {
        let family = self.request.given.family_of(scenario);
        let given = scenario.rules.get(&family);
        let given = given.expect("a loss was found among its rules of this family");
        let mut shrink = Shrink::new(Rules::of(given), subject.clone());
        let from = shrink.left();
        let (mut tried, mut cut_short) = (0, false);
        loop {
            let mut candidates = shrink.candidates();
            if candidates.is_empty() {
                break;
            }
            let left = self.request.steps.saturating_sub(tried);
            if candidates.len() > left {
                candidates.truncate(left);
                cut_short = true;
            }
            if candidates.is_empty() {
                break;
            }
            tried += candidates.len();
            let now = shrink.left();
            self.session.progress.note(&format!(
                "shrinking: {} of {} left; trying {} ({tried} of at most {})",
                counted(now.rules, "rule"),
                counted(now.words, "word"),
                counted(candidates.len(), "smaller ruleset"),
                self.request.steps
            ));
            let first = self.first_that_shows(scenario, &candidates, loss);
            shrink.tell(first.await?);
            if cut_short {
                break;
            }
        }
        let rules = shrink.least();
        let least = scenario
            .with_rules("least", family, &rules.to_string())
            .or_fault()?;
        let shrunk = Shrunk {
            from,
            to: shrink.left(),
            tried,
            cut_short,
        };
        Ok(Least {
            scenario: least,
            rules,
            shrunk,
        })
    }

    /// Which of the candidates is the first that shows the loss.
    async fn first_that_shows(
        &self,
        scenario: &Scenario,
        candidates: &[Rules],
        loss: &Loss,
    ) -> Result<Option<usize>, Failure> {
        let name = |place: usize| format!("candidate-{}", place + 1);
        let family = self.request.given.family_of(scenario);
        // What is no scenario, such as a table without a rule, shows nothing.
        let named = candidates.iter().enumerate();
        let scenarios = named.filter_map(|(place, rules)| {
            let rules = rules.to_string();
            scenario.with_rules(&name(place), family, &rules).ok()
        });
        let scenarios: Vec<Scenario> = scenarios.collect();
        if scenarios.is_empty() {
            return Ok(None);
        }
        let operations = loss.operations();
        let (matrix, _) = self.pairing(scenarios, &operations, None).await?;
        let shows = |place: &usize| {
            let mut cells = matrix.cells.iter();
            let cell = cells.find(|cell| cell.scenario == name(*place));
            cell.is_some_and(|cell| loss.shown_by(cell).is_some())
        };
        Ok((0..candidates.len()).find(shows))
    }

    /// The least rules in every pairing of the two backends.
    pub(super) async fn everywhere(
        &self,
        scenario: &Scenario,
        loss: &Loss,
        [writer, reader]: [&Build; 2],
    ) -> Result<Matrix, Failure> {
        let alike = |like: &Build| -> Vec<String> {
            let builds = session::builds(&self.provision);
            let alike = builds
                .iter()
                .filter(|of| of.tool == like.tool && of.backend == like.backend);
            alike
                .map(|build| glob::Pattern::escape(build.id.as_str()))
                .collect()
        };
        let scenarios = vec![scenario.clone()];
        let operations = loss.operations();
        let (matrix, _) = self
            .run(
                scenarios,
                &operations,
                (&alike(writer), &alike(reader)),
                None,
            )
            .await?;
        Ok(matrix)
    }

    pub(super) async fn pairing(
        &self,
        scenarios: Vec<Scenario>,
        operations: &[Operation],
        file: Option<&mut RecordingWriter>,
    ) -> Result<(Matrix, Vec<LoadRecord>), Failure> {
        let writer = [glob::Pattern::escape(&self.request.writer)];
        let reader = [glob::Pattern::escape(&self.request.reader)];
        self.run(scenarios, operations, (&writer, &reader), file)
            .await
    }

    async fn run(
        &self,
        scenarios: Vec<Scenario>,
        operations: &[Operation],
        (writers, readers): (&[String], &[String]),
        file: Option<&mut RecordingWriter>,
    ) -> Result<(Matrix, Vec<LoadRecord>), Failure> {
        let operations = Operation::with_needs(operations);
        let pairs = Pairs {
            writers,
            readers,
            backend: None,
        };
        let prepared =
            Prepared::of(self.session, &self.provision, operations, scenarios, pairs).await?;
        let mut loads = Vec::new();
        let keep = |load: &LoadRecord, _: &[Cell]| loads.push(load.clone());
        let ran = prepared
            .run(self.session, &self.request.options, file, keep)
            .await?;
        ran.ended?;
        Ok((ran.matrix, loads))
    }

    pub(super) fn cell(&self, matrix: &Matrix, scenario: &str) -> Result<Cell, Failure> {
        let mut cells = matrix.cells.iter();
        // Where no family is named, it is the first that the scenario has.
        let named = self.request.given.family;
        let is_named = |of: &Family| named.is_none_or(|named| named == *of);
        let cell = cells.find(|of| of.scenario == scenario && is_named(&of.family));
        cell.cloned().ok_or_else(|| {
            let (writer, reader) = (&self.request.writer, &self.request.reader);
            let error = miette!("{scenario} does not put {writer} and {reader} side by side");
            Failure::bad_input(error)
        })
    }

    /// Runs `reproduce.sh` as a maintainer would, with the root filesystems of both builds.
    pub(super) async fn try_out(
        &self,
        folder: &Folder,
        writer: &Build,
        reader: &Build,
    ) -> Result<Tried, Failure> {
        let rootfs = |build: &Build| {
            let mut ready = self.provision.builds.iter();
            ready
                .find(|of| of.build.id == build.id)
                .map(|of| &of.rootfs)
        };
        let (Some(writer), Some(reader)) = (rootfs(writer), rootfs(reader)) else {
            return Ok(Tried::Not);
        };
        let run = async {
            let mut command = tokio::process::Command::new("sh");
            command
                .arg(folder.path.join("reproduce.sh"))
                .kill_on_drop(true);
            command
                .args([writer, reader])
                .env("KEEP", folder.path.join(KEPT));
            Ok(command.output().await)
        };
        let output = self.session.unless_interrupted(run).await?;
        Ok(match output.ok().and_then(|output| output.status.code()) {
            Some(status) => Tried::Ended(status),
            None => Tried::Not,
        })
    }
}
