//! After a rewrite the writer cannot print its own tables any more: which of the rules is it that it cannot read?

use std::collections::BTreeMap;

use super::lane::{Command, Dumped, Print, TrackedLane};
use super::scene::Scene;
use crate::catalog::{BuildId, Tool};
use crate::observed::Text;
use crate::plan::Reader;
use crate::plan::fault::Fault;
use crate::plan::isolate::{Suspects, Trial, alone, isolate};
use crate::plan::step::{Role, RuleSet, Stage};
use crate::plan::trace::RereadPart;
use crate::tool::GivenUp;

impl TrackedLane {
    /// Has the reader restore ever smaller parts of what it had `saved`, and `writer` print each, until the rules that the
    /// writer cannot read stand alone. `left` is what the whole of it left, and `reread` how the writer printed that. What was found
    /// out for an earlier reader of the same tool that left the same is known. What the writer could not print before the rewrite
    /// either is not the rewrite's doing.
    pub async fn reread_in_parts(
        &mut self,
        scene: Scene<'_>,
        (reader, saved): (&Reader, &Command),
        (left, writer, reread): (&Dumped, &BuildId, &Command),
    ) -> Result<Vec<RereadPart>, Fault> {
        let tool = reader.build.tool;
        let mut known = self.reread.iter();
        let is_known = |(by, of, state, _): &&(Tool, BuildId, Dumped, Vec<RereadPart>)| {
            *by == tool && of == writer && state.is(left)
        };
        if let Some((.., known)) = known.find(is_known) {
            return Ok(known.clone());
        }
        let before = self.print_of(writer, scene.rules).cloned();
        if before.as_ref().is_some_and(|before| !before.succeeded()) {
            return Ok(Vec::new());
        }
        let before = before.map_or_else(Vec::new, |before| self.read(writer, &before).given_up);
        let scene = Scene {
            stage: Stage::Reread,
            ..scene
        };
        let (text, dialect) = (saved.ran.stdout.clone(), reader.build.tool.dialect());
        let given_up = self.read(writer, reread).given_up;
        let is_given_up = |table: &str| {
            let names = |of: &GivenUp| of.table == table;
            given_up.iter().any(names) && !before.iter().any(names)
        };
        let print = text.to_lossy();
        let places = dialect.places(self.load.family, &print).into_iter();
        let tables = places.map(|(table, _)| table);
        let all = RuleSet::first(tables.len());
        // A writer that dies, or only fails, does not say on which table.
        let in_question: RuleSet = if reread.succeeded() {
            let rules = tables.enumerate().filter(|(_, table)| is_given_up(table));
            rules.map(|(rule, _)| rule).collect()
        } else {
            all.clone()
        };
        if in_question.is_empty() {
            return Ok(Vec::new());
        }
        let mut trial = Parts {
            others: all.without(&in_question),
            lane: self,
            scene,
            reader,
            writer,
            text: text.clone(),
            known: BTreeMap::from([(in_question.clone(), false)]),
            parts: Vec::new(),
        };
        let suspects = Suspects {
            alone: trial.lane.unreadable.clone(),
            ..Suspects::default()
        };
        let isolated = isolate(&in_question, &suspects, &mut trial).await?;
        let found: RuleSet = alone(&isolated.faulty).collect();
        let parts = trial.parts;
        self.unreadable.extend(&found);
        let known = (tool, writer.clone(), left.clone(), parts.clone());
        self.reread.push(known);
        Ok(parts)
    }
}

/// Whether the writer can print what the reader restores of a part of its print. No part is tried twice.
struct Parts<'a> {
    lane: &'a mut TrackedLane,
    scene: Scene<'a>,
    reader: &'a Reader,
    writer: &'a BuildId,
    /// What the reader had printed.
    text: Text,
    /// The rules of tables that the writer could print: they stay.
    others: RuleSet,
    known: BTreeMap<RuleSet, bool>,
    parts: Vec<RereadPart>,
}

impl Trial for Parts<'_> {
    async fn passes(&mut self, rules: &RuleSet) -> Result<bool, Fault> {
        if let Some(known) = self.known.get(rules) {
            return Ok(*known);
        }
        let mut kept = self.others.clone();
        kept.extend(rules);
        let restored = self
            .lane
            .restore_part(self.scene, self.reader, (&self.text, &kept));
        let (command, restored) = restored.await?;
        let (lane, scene) = (&mut self.lane, self.scene);
        let print = lane.print(scene, Role::WriterPrint, self.writer, Print::IfNew);
        let print = print.await?;
        let well = command.succeeded() && self.lane.printed_whole(self.writer, &print);
        self.parts.push(RereadPart {
            rules: rules.clone(),
            restored,
            print: print.step,
        });
        self.known.insert(rules.clone(), well);
        Ok(well)
    }
}
