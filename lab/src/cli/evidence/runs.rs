//! The runs that a report takes: of the pairing, of ever smaller rules, of every pairing, and of the script itself.

use miette::miette;

use super::super::exit::{Exit, Failure, Or};
use super::super::matrix::Prepared;
use super::super::session;
use super::folder::{Folder, KEPT};
use super::{Lab, Least};
use crate::catalog::{Build, Family};
use crate::evidence::{Found, Loss, Rules, Shrink};
use crate::judge::Cell;
use crate::matrix::Matrix;
use crate::plan::Operation;
use crate::recording::{LoadRecord, RecordingWriter};
use crate::report::evidence::{Shrunk, Tried};
use crate::report::wording::counted;
use crate::scenario::Scenario;

impl Lab<'_> {
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
        found: &Found,
    ) -> Result<Least, Failure> {
        let family = self.args.run.input.given.family_of(scenario);
        let mut shrink = Shrink::new(Rules::of(scenario, family), found.subject.clone());
        let from = shrink.left();
        let (mut tried, mut cut_short) = (0, false);
        loop {
            let mut candidates = shrink.candidates();
            if candidates.is_empty() {
                break;
            }
            let left = self.args.steps.saturating_sub(tried);
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
                self.args.steps
            ));
            shrink.tell(
                self.first_that_shows(scenario, &candidates, &found.loss)
                    .await?,
            );
            if cut_short {
                break;
            }
        }
        let rules = shrink.least();
        let least = scenario
            .with_rules("least", family, &rules.to_string())
            .or_exit(Exit::Fault)?;
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
        let family = self.args.run.input.given.family_of(scenario);
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
        writer: &Build,
        reader: &Build,
    ) -> Result<Matrix, Failure> {
        let alike = |like: &Build| -> Vec<String> {
            let builds = session::builds(&self.provision);
            let alike = builds
                .iter()
                .filter(|of| of.tool == like.tool && of.backend == like.backend);
            alike
                .map(|build| globset::escape(build.id.as_str()))
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
        let writer = [globset::escape(&self.args.writer)];
        let reader = [globset::escape(&self.args.reader)];
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
        let prepared = Prepared::of(
            self.session,
            &self.provision,
            operations,
            scenarios,
            writers,
            readers,
        )
        .await?;
        let mut loads = Vec::new();
        let keep = |load: &LoadRecord, _: &[Cell]| loads.push(load.clone());
        let ran = prepared
            .run(self.session, &self.args.run.pace, file, keep)
            .await?;
        ran.ended?;
        Ok((ran.matrix, loads))
    }

    pub(super) fn cell(&self, matrix: &Matrix, scenario: &str) -> Result<Cell, Failure> {
        let mut cells = matrix.cells.iter();
        // Where no family is named, it is the first that the scenario has.
        let is_named = |of: &Family| {
            self.args
                .run
                .input
                .given
                .family
                .is_none_or(|named| named == *of)
        };
        let cell = cells.find(|of| of.scenario == scenario && is_named(&of.family));
        cell.cloned().ok_or_else(|| {
            let (writer, reader) = (&self.args.writer, &self.args.reader);
            let error = miette!("{scenario} does not put {writer} and {reader} side by side");
            Failure::new(Exit::Usage, error)
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
