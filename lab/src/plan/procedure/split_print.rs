//! A reader printed all rules and cannot load what it printed: at which of its lines does it fail?
//!
//! Nothing is written or printed anew for that: parts of the one print are loaded.

use std::collections::BTreeMap;

use super::lane::TrackedLane;
use super::scene::Scene;
use crate::observed::Text;
use crate::plan::Reader;
use crate::plan::fault::Fault;
use crate::plan::isolate::{Suspects, Trial, alone, isolate};
use crate::plan::step::{RuleSet, Stage};
use crate::plan::trace::{Part, ReaderTrace, Reading, Restored};

impl TrackedLane {
    /// Has `reader` load ever smaller parts of what it printed of `rules`, until the rules at which it fails stand alone. Returns
    /// them, as groups that fail by themselves, each with a reading in the trace; none where that cannot be told.
    pub async fn split_print(
        &mut self,
        reader: &Reader,
        rules: &RuleSet,
        trace: &mut ReaderTrace,
    ) -> Result<Vec<RuleSet>, Fault> {
        let scene = Scene {
            rules,
            reader: Some(reader),
            stage: Stage::Rewrite,
        };
        let mut readings = trace.readings.iter();
        let whole = readings.find(|of| of.rules == *rules && of.part.is_none());
        let Some(whole) = whole.cloned() else {
            return Ok(Vec::new());
        };
        let print = self.print_of(&reader.build.id, rules);
        let Some(print) = print.map(|of| of.ran.stdout.clone()) else {
            return Ok(Vec::new());
        };
        let Some((places, others)) = self.places_of(reader, rules, &print) else {
            return Ok(Vec::new());
        };
        let suspects = Suspects {
            alone: self.at_fault.clone(),
            ..Suspects::default()
        };
        let mut trial = Lines {
            lane: self,
            scene,
            reader,
            print,
            places,
            others,
            known: BTreeMap::new(),
        };
        let isolated = isolate(rules, &suspects, &mut trial).await?;
        let known = trial.known;
        if isolated.faulty.contains(rules) {
            return Ok(Vec::new());
        }
        for group in &isolated.faulty {
            let Some((_, restored)) = known.get(group) else {
                continue;
            };
            trace.readings.push(Reading {
                part: Some(Part {
                    rules: group.clone(),
                    restored: *restored,
                }),
                ..whole.clone()
            });
        }
        let found: RuleSet = alone(&isolated.faulty).collect();
        self.at_fault.extend(&found);
        Ok(isolated.faulty)
    }

    /// The place of each of `rules` in what `reader` printed of them, and the places that are of none of them; nothing where it
    /// printed more rules of a chain than there are, or fewer.
    fn places_of(
        &self,
        reader: &Reader,
        rules: &RuleSet,
        print: &Text,
    ) -> Option<(BTreeMap<usize, usize>, RuleSet)> {
        let family = self.load.family;
        let (text, dialect) = (print.to_lossy(), reader.build.tool.dialect());
        let mut lines: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        let printed = dialect.places(family, &text);
        for (line, (table, chain)) in printed.iter().enumerate() {
            lines.entry((table, chain)).or_default().push(line);
        }
        let mut written: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        let placed = self.scenario.placed_rules(family);
        for (rule, table, of) in placed.filter(|(rule, ..)| rules.contains(*rule)) {
            written.entry((table, &of.chain)).or_default().push(rule);
        }
        let mut places = BTreeMap::new();
        for (chain, rules) in written {
            let lines = lines
                .get(&chain)
                .filter(|lines| lines.len() == rules.len())?;
            places.extend(rules.into_iter().zip(lines.iter().copied()));
        }
        let taken: RuleSet = places.values().copied().collect();
        Some((places, RuleSet::first(printed.len()).without(&taken)))
    }
}

/// Whether the reader can load lines of its print. No part is tried twice.
struct Lines<'a> {
    lane: &'a mut TrackedLane,
    scene: Scene<'a>,
    reader: &'a Reader,
    /// What the reader had printed.
    print: Text,
    /// Where each rule stands in it.
    places: BTreeMap<usize, usize>,
    /// The places in it that are of none of the rules: they stay.
    others: RuleSet,
    /// Of each part whether it could load it, and what that left.
    known: BTreeMap<RuleSet, (bool, Restored)>,
}

impl Trial for Lines<'_> {
    async fn passes(&mut self, rules: &RuleSet) -> Result<bool, Fault> {
        if let Some((well, _)) = self.known.get(rules) {
            return Ok(*well);
        }
        let mut kept = self.others.clone();
        let places = rules.iter().filter_map(|rule| self.places.get(&rule));
        kept.extend(&places.copied().collect());
        let scene = Scene {
            rules,
            ..self.scene
        };
        let restored = self
            .lane
            .restore_part(scene, self.reader, (&self.print, &kept));
        let (command, restored) = restored.await?;
        let well = command.succeeded();
        self.known.insert(rules.clone(), (well, restored));
        Ok(well)
    }
}
