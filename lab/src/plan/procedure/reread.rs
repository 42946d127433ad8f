//! After a rewrite the writer cannot print its own tables any more: which of the rules is it that it cannot read?

use std::collections::BTreeMap;

use super::bench::{Bench, Command, Dumped, Print, Scene};
use super::printed_whole;
use crate::observed::Text;
use crate::plan::isolate::{Trial, isolate};
use crate::plan::script::Fault;
use crate::plan::step::{Role, RuleSet, Stage};
use crate::plan::trace::RereadPart;
use crate::plan::{Reader, command};
use crate::tool::Printed;

impl Bench {
    /// Has the reader restore ever smaller parts of what it had `saved`, and the writer print each, until the rules that the
    /// writer cannot read stand alone. `left` is what the whole of it left, and how the writer printed that. What was found
    /// out for an earlier reader that left the same is known.
    pub async fn reread_in_parts(
        &mut self,
        scene: Scene<'_>,
        reader: &Reader,
        saved: &Command,
        (left, reread): (&Dumped, &Command),
    ) -> Result<Vec<RereadPart>, Fault> {
        if let Some((_, known)) = self.reread.iter().find(|(of, _)| of.is(left)) {
            return Ok(known.clone());
        }
        let scene = Scene {
            stage: Stage::Reread,
            ..scene
        };
        let text = saved.ran.stdout.clone();
        let printed = Printed::read(&reread.ran.stdout.to_lossy());
        // A writer that dies, or only fails, does not say on which table.
        let tables = printed.incompatible_tables();
        let in_question = match reread.succeeded() {
            true => command::rules_of_tables(&text, |table| tables.contains(&table)),
            false => command::rules_of_tables(&text, |_| true),
        };
        if in_question.is_empty() {
            return Ok(Vec::new());
        }
        let mut trial = Parts {
            others: command::rules_of_tables(&text, |_| true).without(&in_question),
            bench: self,
            scene,
            reader,
            text,
            known: BTreeMap::from([(in_question.clone(), false)]),
            parts: Vec::new(),
        };
        isolate(&in_question, &mut trial).await?;
        let parts = trial.parts;
        self.reread.push((left.clone(), parts.clone()));
        Ok(parts)
    }
}

/// Whether the writer can print what the reader restores of a part of its print. No part is tried twice.
struct Parts<'a> {
    bench: &'a mut Bench,
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
        let part = command::only_rules(&self.text, &kept);
        let id = &self.reader.build.id;
        let restored = self.bench.restore_only(self.scene, id, part, &[]);
        let (command, restored) = restored.await?;
        let writer = self.bench.load.writer.id.clone();
        let (bench, scene) = (&mut self.bench, self.scene);
        let print = bench.print(scene, Role::WriterPrint, &writer, Print::IfNew);
        let print = print.await?;
        let well = command.succeeded() && printed_whole(&print);
        self.parts.push(RereadPart {
            rules: rules.clone(),
            restored,
            print: print.step,
        });
        self.known.insert(rules.clone(), well);
        Ok(well)
    }
}
