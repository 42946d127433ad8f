//! After a rewrite the writer cannot print its own tables any more: which of the rules is it that it cannot read?

use std::collections::BTreeMap;

use super::lane::{Command, Dumped, Print, TrackedLane};
use super::scene::Scene;
use crate::observed::Text;
use crate::plan::Reader;
use crate::plan::fault::Fault;
use crate::plan::isolate::{Trial, alone, isolate};
use crate::plan::step::{Role, RuleSet, Stage};
use crate::plan::trace::RereadPart;

impl TrackedLane {
    /// Has the reader restore ever smaller parts of what it had `saved`, and the writer print each, until the rules that the
    /// writer cannot read stand alone. `left` is what the whole of it left, and how the writer printed that. What was found
    /// out for an earlier reader of the same tool that left the same is known.
    pub async fn reread_in_parts(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        saved: &Command,
        (left, reread): (&Dumped, &Command),
    ) -> Result<Vec<RereadPart>, Fault> {
        let tool = reader.build.tool;
        let mut known = self.reread.iter();
        if let Some((.., known)) = known.find(|(by, of, _)| *by == tool && of.is(left)) {
            return Ok(known.clone());
        }
        let scene = Scene {
            stage: Stage::Reread,
            ..scene
        };
        let (text, dialect) = (saved.ran.stdout.clone(), reader.build.tool.dialect());
        let given_up = self.read(&self.load.writer.id, reread).given_up;
        let is_given_up = |table: &str| given_up.iter().any(|of| of.table == table);
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
            text: text.clone(),
            known: BTreeMap::from([(in_question.clone(), false)]),
            parts: Vec::new(),
        };
        let suspected = trial.lane.unreadable.clone();
        let isolated = isolate(&in_question, &suspected, &mut trial).await?;
        let found: RuleSet = alone(&isolated.faulty).collect();
        let parts = trial.parts;
        self.unreadable.extend(&found);
        self.reread.push((tool, left.clone(), parts.clone()));
        Ok(parts)
    }
}

/// Whether the writer can print what the reader restores of a part of its print. No part is tried twice.
struct Parts<'a> {
    lane: &'a mut TrackedLane,
    scene: Scene<'a>,
    reader: &'a Reader,
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
        let writer = self.lane.load.writer.id.clone();
        let (lane, scene) = (&mut self.lane, self.scene);
        let print = lane.print(scene, Role::WriterPrint, &writer, Print::IfNew);
        let print = print.await?;
        let well = command.succeeded() && self.lane.printed_whole(&writer, &print);
        self.parts.push(RereadPart {
            rules: rules.clone(),
            restored,
            print: print.step,
        });
        self.known.insert(rules.clone(), well);
        Ok(well)
    }
}
