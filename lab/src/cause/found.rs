//! The causes of a run: who encoded and who decodes, since when, the worst that comes of each, and a rule that shows it; and which
//! scenarios are worst.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::attribution::{Attribution, Loss};
use super::gravest::{Gravest, Gravity};
use super::known::{KnownCause, KnownCauses};
use super::shown::{
    Cause, CauseCell, Causes, Edge, Ends, ExampleRule, LostPartOf, PairSeen, WorstScenario,
};
use super::sighting::{Ranks, Sighting, Spot};
use super::signature::Signature;
use crate::catalog::{Backend, Build, BuildId, Tool};
use crate::judge::{Cell, RuleVerdict, core_message};
use crate::matrix::{
    BuildName, BuildSet, How, Letter, Letters, LostPart, Matrix, NameKind, Side, example_texts,
    letters, place,
};
use crate::plan::Operation;

/// The causes of a run's losses.
pub fn causes(matrix: &Matrix) -> Causes {
    let builds: Vec<&Build> = matrix.builds.iter().collect();
    let attribution = Attribution::new(matrix);
    let mut found = Found {
        builds: &builds,
        known: KnownCauses::built_in(),
        encoders: BTreeSet::new(),
        decoders: BTreeSet::new(),
        names: HashMap::new(),
        causes: Vec::new(),
        lists: HashSet::new(),
        ranks: Ranks::new(),
        scenarios: BTreeMap::new(),
    };
    let scenarios = matrix.scenarios.iter().enumerate();
    let scenarios: BTreeMap<&str, usize> =
        scenarios.map(|(at, of)| (of.name.as_str(), at)).collect();
    let of_cells = matrix.cells.iter().map(|cell| {
        let losses = attribution.cell(cell);
        match scenarios.get(cell.scenario.as_str()) {
            Some(scenario) => found.cell(*scenario, cell, losses),
            None => Arc::default(),
        }
    });
    let of_cells = of_cells.collect();
    found.finish(matrix, of_cells)
}

/// What was seen of a cause.
struct Seen<'a> {
    known: Option<&'static KnownCause>,
    /// Each with the pairs whose losses tell it by themselves.
    signatures: BTreeMap<Signature, BTreeSet<(usize, usize)>>,
    /// Between which builds, by their places: who encoded, and who decodes.
    pairs: BTreeMap<(usize, usize), Sighting<'a>>,
    /// The cell with the fewest rules of each pair.
    least: BTreeMap<(usize, usize), &'a Cell>,
    parts: BTreeSet<LostPart>,
    /// What is lost, by how many losses that tell the cause by themselves.
    letters: BTreeMap<Letter, usize>,
    cells: usize,
}

struct Found<'a> {
    builds: &'a [&'a Build],
    known: &'static KnownCauses,
    encoders: BTreeSet<usize>,
    decoders: BTreeSet<usize>,
    causes: Vec<Seen<'a>>,
    /// The places of those, by the signatures that tell them.
    names: HashMap<Signature, usize>,
    /// What cells lost by which causes: many did alike.
    lists: HashSet<Arc<[LostPartOf]>>,
    /// How well the rules show the verdicts that were asked for already: rules of many cells are the same.
    ranks: Ranks,
    scenarios: BTreeMap<usize, WorstScenario>,
}

impl<'a> Found<'a> {
    /// The place of the cause that a signature tells.
    fn place(&mut self, signature: Signature) -> usize {
        if let Some(known) = self.names.get(&signature) {
            return *known;
        }
        let entry = self.known.of(&signature);
        let is_it = |of: &Seen<'_>| entry.is_some() && of.known == entry;
        let place = self.causes.iter().position(is_it).unwrap_or_else(|| {
            self.causes.push(Seen {
                known: entry,
                signatures: BTreeMap::new(),
                pairs: BTreeMap::new(),
                least: BTreeMap::new(),
                parts: BTreeSet::new(),
                letters: BTreeMap::new(),
                cells: 0,
            });
            self.causes.len() - 1
        });
        let signatures = &mut self.causes[place].signatures;
        signatures.insert(signature.clone(), BTreeSet::new());
        self.names.insert(signature, place);
        place
    }

    /// Takes in what a cell lost; returns it, each part once.
    fn cell(
        &mut self,
        scenario: usize,
        cell: &'a Cell,
        losses: Vec<(Loss, Signature)>,
    ) -> Arc<[LostPartOf]> {
        let (writer, reader) = (
            place(self.builds, &cell.writer),
            place(self.builds, &cell.reader),
        );
        self.encoders.insert(writer);
        self.decoders.insert(reader);
        if cell
            .outcome
            .rules
            .iter()
            .any(|rule| rule.of(Operation::Recognition).is_some())
        {
            self.encoders.insert(reader);
            self.decoders.insert(writer);
        }
        let mut of_cell = BTreeSet::new();
        let mut list = BTreeSet::new();
        for (loss, signature) in losses {
            let rule = loss.rule.and_then(|at| cell.outcome.rules.get(at));
            let by = loss.rule.map(|rule| cell.writer_of(rule));
            let writer = by.map_or(writer, |by| place(self.builds, by));
            self.encoders.insert(writer);
            let pair = match loss.encoder {
                Side::Writer => (writer, reader),
                Side::Reader => (reader, writer),
            };
            let spot = Spot {
                cell,
                rule,
                harm: Gravest::of(&loss.harm),
                is_alone: loss.is_direct && is_alone(&loss),
            };
            if loss.harm.is_harmful() {
                self.scenario(scenario, spot, letters(&loss.harm));
            }
            let place = self.place(signature.clone());
            of_cell.insert(place);
            list.insert(LostPartOf {
                rule: loss.rule,
                part: loss.part.name.clone(),
                cause: place,
            });
            let seen = &mut self.causes[place];
            *seen.letters.entry(loss.part.letter).or_default() += usize::from(loss.is_direct);
            seen.parts.insert(loss.part);
            if loss.is_direct {
                seen.signatures.entry(signature).or_default().insert(pair);
                let least = seen.least.entry(pair).or_insert(cell);
                if cell.outcome.rules.len() < least.outcome.rules.len() {
                    *least = cell;
                }
            }
            let sighting = seen.pairs.entry(pair);
            let sighting = sighting.or_insert_with(|| Sighting::of(spot));
            let rule = (scenario, cell.family, loss.subject);
            sighting.note(rule, spot, &mut self.ranks);
        }
        for cause in of_cell {
            self.causes[cause].cells += 1;
        }
        if let Some(known) = self.scenarios.get_mut(&scenario) {
            known.silent += usize::from(cell.verdict.is_silent_damage());
        }
        let list: Arc<[LostPartOf]> = list.into_iter().collect();
        match self.lists.get(&list) {
            Some(known) => known.clone(),
            None => {
                self.lists.insert(list.clone());
                list
            }
        }
    }

    fn scenario(&mut self, scenario: usize, spot: Spot<'a>, letters: Letters) {
        let known = self
            .scenarios
            .entry(scenario)
            .or_insert_with(|| WorstScenario {
                name: spot.cell.scenario.clone(),
                letters: Letters::default(),
                worst: spot.harm,
                silent: 0,
                pairings: 0,
            });
        known.letters = known.letters.and(letters);
        if spot.harm.gravity() > known.worst.gravity() {
            known.worst = spot.harm;
        }
    }

    fn finish(mut self, matrix: &Matrix, of_cells: Vec<Arc<[LostPartOf]>>) -> Causes {
        for cell in &matrix.cells {
            let mut known = self.scenarios.values_mut();
            if let Some(known) = known.find(|of| of.name == cell.scenario) {
                known.pairings += 1;
            }
        }
        let mut scenarios: Vec<WorstScenario> = self.scenarios.values().cloned().collect();
        scenarios.sort_by_key(|of| Reverse((of.worst.gravity(), of.silent)));
        let causes = self.causes.iter().enumerate();
        let causes = causes.filter_map(|(at, seen)| Some((at, self.cause(matrix, seen)?)));
        let mut causes: Vec<(usize, (Gravity, Cause))> = causes.collect();
        causes.sort_by_key(|(_, (gravity, cause))| {
            Reverse((*gravity, cause.scenarios.len(), cause.rules))
        });
        let places = causes.iter().enumerate().map(|(new, (old, _))| (*old, new));
        let places: HashMap<usize, usize> = places.collect();
        let mut moved: HashMap<Arc<[LostPartOf]>, Arc<[LostPartOf]>> = HashMap::new();
        for list in &self.lists {
            let by_place = list.iter().map(|of| LostPartOf {
                cause: places.get(&of.cause).copied().unwrap_or_default(),
                ..of.clone()
            });
            moved.insert(list.clone(), by_place.collect());
        }
        let of_cells = of_cells.into_iter();
        Causes {
            causes: causes.into_iter().map(|(_, (_, cause))| cause).collect(),
            of_cells: of_cells
                .map(|list| moved.get(&list).cloned().unwrap_or(list))
                .collect(),
            scenarios,
        }
    }

    fn cause(&self, matrix: &Matrix, seen: &Seen<'a>) -> Option<(Gravity, Cause)> {
        let encoders: BTreeSet<usize> = seen.pairs.keys().map(|(by, _)| *by).collect();
        let decoders: BTreeSet<usize> = seen.pairs.keys().map(|(_, of)| *of).collect();
        let mut all: Option<Sighting<'a>> = None;
        for sighting in seen.pairs.values() {
            match &mut all {
                Some(all) => all.add(sighting),
                None => all = Some(sighting.clone()),
            }
        }
        let all = all?;
        let shown = all.best.map_or(all.worst, |(_, spot)| spot);
        let letter = seen
            .letters
            .iter()
            .max_by_key(|(of, count)| (**count, Reverse(**of)));
        let cause = Cause {
            known: seen.known.cloned(),
            name: match seen.known {
                Some(entry) => entry.name.clone(),
                None => seen.signatures.keys().next()?.id().to_string(),
            },
            signatures: self.ends(seen),
            letter: letter.map_or(Letter::Whole, |(letter, _)| *letter),
            pairs: seen
                .least
                .iter()
                .map(|((by, of), cell)| {
                    let seen = PairSeen {
                        rules: cell.outcome.rules.len(),
                        scenario: cell.scenario.clone(),
                        family: cell.family,
                    };
                    let [by, of] = [by, of].map(|at| self.builds[*at].id.clone());
                    ((by, of), seen)
                })
                .collect(),
            edge: self.edge(seen, &encoders, &decoders),
            encoders: self.set(&encoders, &self.encoders),
            decoders: self.set(&decoders, &self.decoders),
            worst: all.worst.harm,
            scenarios: all
                .scenarios
                .iter()
                .filter_map(|at| Some(matrix.scenarios.get(*at)?.name.clone()))
                .collect(),
            rules: all.rules.len(),
            cells: seen.cells,
            cell: CauseCell {
                scenario: shown.cell.scenario.clone(),
                family: shown.cell.family,
                writer: shown.cell.writer.clone(),
                reader: shown.cell.reader.clone(),
            },
            example: all.best.and_then(|(_, spot)| example(spot)),
            reason: reason(all.worst, &seen.parts),
            parts: seen.parts.clone(),
        };
        Some((all.worst.harm.gravity(), cause))
    }

    /// The signatures, each with who encodes and who decodes so.
    fn ends(&self, seen: &Seen<'a>) -> BTreeMap<Signature, Ends> {
        let ends = seen.signatures.iter().map(|(signature, pairs)| {
            let ends = Ends {
                encoders: self.set(&pairs.iter().map(|of| of.0).collect(), &self.encoders),
                decoders: self.set(&pairs.iter().map(|of| of.1).collect(), &self.decoders),
            };
            (signature.clone(), ends)
        });
        ends.collect()
    }

    fn set(&self, chosen: &BTreeSet<usize>, ran: &BTreeSet<usize>) -> BuildSet {
        let ids: BTreeSet<&BuildId> = chosen.iter().map(|at| &self.builds[*at].id).collect();
        let ran = ran.iter().map(|at| self.builds[*at].into());
        BuildSet::of(ran, |id| ids.contains(id))
    }

    /// Where encoders begin and decoders end, where these are of one tool and backend each.
    fn edge(
        &self,
        seen: &Seen<'a>,
        encoders: &BTreeSet<usize>,
        decoders: &BTreeSet<usize>,
    ) -> Edge {
        // nft encodes what iptables does too, and has releases of its own: where iptables began is asked then.
        let kinds: BTreeSet<_> = decoders.iter().map(|at| self.kind(*at)).collect();
        let alike = encoders
            .iter()
            .filter(|at| kinds.contains(&self.kind(**at)));
        let alike: BTreeSet<usize> = alike.copied().collect();
        let encoders = if alike.is_empty() { encoders } else { &alike };
        let first_encoder = self.one_kind(encoders, &self.encoders).and_then(|ran| {
            let first = *ran.iter().find(|at| encoders.contains(at))?;
            let version = |at: usize| &self.builds[at].version;
            // A build of the same release that lacks something is no older one.
            let is_after_others = version(*ran.first()?) < version(first);
            is_after_others.then(|| self.name(first, &self.encoders))?
        });
        let failing: BTreeSet<usize> = seen.pairs.keys().map(|(_, of)| *of).collect();
        let mended_in = self.one_kind(decoders, &self.decoders).and_then(|ran| {
            let last = *ran.iter().rfind(|at| failing.contains(at))?;
            let version = |at: usize| &self.builds[at].version;
            let next = *ran.iter().find(|at| version(**at) > version(last))?;
            self.name(next, &self.decoders)
        });
        Edge {
            first_encoder,
            mended_in,
        }
    }

    /// Those of `ran` that are of the tool and backend that all of `chosen` have, the oldest first.
    fn one_kind(&self, chosen: &BTreeSet<usize>, ran: &BTreeSet<usize>) -> Option<Vec<usize>> {
        let first = self.kind(*chosen.first()?);
        let is_first = |at: &usize| self.kind(*at) == first;
        let mut of_kind: Vec<usize> = ran.iter().copied().filter(is_first).collect();
        of_kind.sort_by_key(|at| &self.builds[*at].version);
        chosen.iter().all(is_first).then_some(of_kind)
    }

    fn kind(&self, at: usize) -> (Tool, Backend) {
        (self.builds[at].tool, self.builds[at].backend)
    }

    /// What a build is called; none where that says nothing of its release.
    fn name(&self, at: usize, ran: &BTreeSet<usize>) -> Option<BuildName> {
        let alone = self.set(&BTreeSet::from([at]), ran);
        let name = alone.spans().first()?.names.first()?.clone();
        (name.kind == NameKind::Released).then_some(name)
    }
}

/// What was said of a rule that goes wrong as a whole.
fn reason(worst: Spot<'_>, parts: &BTreeSet<LostPart>) -> Option<String> {
    let is_whole = parts.iter().any(|part| matches!(part.how, How::Whole(_)));
    let said = worst.rule.and_then(RuleVerdict::reason);
    is_whole.then_some(())?;
    Some(core_message(&said?.to_string()).to_owned())
}

fn example(spot: Spot<'_>) -> Option<ExampleRule> {
    let texts = example_texts(spot.rule?, spot.harm.verdict)?;
    Some(ExampleRule {
        before: texts.before.to_owned(),
        after: texts.after.to_owned(),
        by: texts.by,
    })
}

/// Whether nothing else of the rule is lost with the part.
fn is_alone(loss: &Loss) -> bool {
    loss.harm.parts().count() <= 1
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::judge::verdict::Consequence;

    fn matrix(name: &str) -> Matrix {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let file = std::path::Path::new(folder).join(name);
        Matrix::of(&crate::recording::read(&file).unwrap().recording)
    }

    fn marks(matrix: &Matrix) -> Vec<Cause> {
        let all = causes(matrix).causes.into_iter();
        all.filter(|of| of.letter == Letter::Mark).collect()
    }

    fn ids(set: &BuildSet) -> Vec<String> {
        set.ids().map(ToString::to_string).collect()
    }

    /// What 1.8.9 writes and 1.8.7 loses, 1.8.7 misreads after a rewrite by 1.8.9: it is the same loss, seen from the other side.
    #[test]
    fn a_misread_by_the_writer_is_the_readers_loss_seen_from_the_other_side() {
        let (newer, older) = ("debian-1.8.9-2-nft", "debian-1.8.7-1-nft");
        let forth = matrix("kube-firewall-by-1.8.9.jsonl");
        let mut back = matrix("kube-firewall-by-debian-1.8.7.jsonl");
        back.cells.retain(|cell| cell.writer.as_str() == older);
        assert!(
            back.cells
                .iter()
                .all(|cell| !cell.verdict.is_silent_damage())
        );
        let [of_forth, of_back] = [&forth, &back].map(marks);
        assert_eq!((of_forth.len(), of_back.len()), (1, 1));
        assert!(ids(&of_forth[0].decoders).contains(&older.to_owned()));
        assert_eq!(ids(&of_back[0].decoders), [older]);
        assert!(ids(&of_back[0].encoders).contains(&newer.to_owned()));
        // Both together are one.
        let mut both = forth.clone();
        let has = |id: &BuildId, of: &Matrix| of.builds.iter().any(|build| &build.id == id);
        let new: Vec<Build> = back
            .builds
            .iter()
            .filter(|of| !has(&of.id, &forth))
            .cloned()
            .collect();
        both.builds.extend(new);
        both.cells.extend(back.cells.clone());
        let of_both = marks(&both);
        assert_eq!(of_both.len(), 1, "{of_both:#?}");
        assert_eq!(of_both[0].worst, of_forth[0].worst);
    }

    #[test]
    fn the_example_shows_the_loss_alone() {
        let mark = marks(&matrix("kube-firewall-by-1.8.9.jsonl")).remove(0);
        let example = mark.example.unwrap();
        assert!(example.before.contains("-m mark"), "{example:?}");
        assert_eq!(
            example.before.replace("-m mark --mark 0x8000/0x8000 ", ""),
            example.after
        );
        assert_eq!(mark.worst.consequence, Some(Consequence::Blackhole));
    }
}
