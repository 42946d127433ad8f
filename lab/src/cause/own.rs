//! What decoders do to what they wrote themselves, and how others wrote what they read well: the measures of whose fault a loss is.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::signature::Effect;
use crate::catalog::{Build, BuildId, Family};
use crate::judge::Cell;
use crate::matrix::{Matrix, harms, parts};
use crate::observed::Encoding;

/// A scenario and family.
type Rules<'m> = (&'m str, Family);

/// What is known of a build in a scenario.
type ByScenario<'m, T> = HashMap<(&'m BuildId, &'m str), Rc<HashSet<T>>>;

/// What becomes of a rule in a cell: the rule's place, what is made of it, and the part's name.
type Fate = (usize, Effect, String);

/// How builds encode rules themselves, and what others and they do to these.
pub struct OwnRules<'m> {
    builds: HashMap<&'m BuildId, &'m Build>,
    /// By who read: by scenario, family, and who wrote.
    read: HashMap<&'m BuildId, HashMap<(Rules<'m>, &'m BuildId), Known<'m>>>,
    /// Who wrote in each scenario and family.
    writers: HashMap<Rules<'m>, Vec<&'m Cell>>,
    /// The forms of clauses for which each build did not give up a rule, by scenario: what others show is no measure, for a run of one
    /// scenario finds the causes that a run of all finds.
    well_read: RefCell<ByScenario<'m, String>>,
    /// The sets among which each build read every rule, by scenario.
    well_read_sets: RefCell<ByScenario<'m, &'m String>>,
}

struct Known<'m> {
    cell: &'m Cell,
    fates: OnceCell<BTreeSet<Fate>>,
}

impl<'m> OwnRules<'m> {
    /// Those of a run.
    pub fn of(matrix: &'m Matrix) -> Self {
        let mut rules = OwnRules {
            builds: matrix.builds.iter().map(|of| (&of.id, of)).collect(),
            read: HashMap::new(),
            writers: HashMap::new(),
            well_read: RefCell::default(),
            well_read_sets: RefCell::default(),
        };
        for cell in &matrix.cells {
            let place = (cell.scenario.as_str(), cell.family);
            let writers = rules.writers.entry(place).or_default();
            if writers.last().is_none_or(|last| last.writer != cell.writer) {
                writers.push(cell);
            }
            let known = Known {
                cell,
                fates: OnceCell::new(),
            };
            let read = rules.read.entry(&cell.reader).or_default();
            read.insert((place, &cell.writer), known);
        }
        rules
    }

    /// The build.
    pub fn build(&self, id: &BuildId) -> Option<&'m Build> {
        self.builds.get(id).copied()
    }

    /// How `build` encodes the rule of a cell itself; where it did not write it, as the nearest release of its kind does that it
    /// reads without such a loss.
    pub fn encoding(
        &self,
        cell: &'m Cell,
        build: &'m BuildId,
        (rule, effect, part): (usize, Effect, &str),
    ) -> Option<&'m Encoding> {
        let place = (cell.scenario.as_str(), cell.family);
        let writers = self.writers.get(&place)?;
        let of = |writer: &&'m Cell| writer.encoded.by_writer(rule).map(AsRef::as_ref);
        let itself = writers.iter().find(|of| of.writer_of(rule) == build);
        if let Some(own) = itself.and_then(of) {
            return Some(own);
        }
        let decoder = self.build(build)?;
        let alike = writers.iter().filter_map(|writer| {
            let by = self.build(writer.writer_of(rule))?;
            let is_alike = by.tool == decoder.tool && by.backend == decoder.backend;
            Some((by, &writer.writer, of(writer).filter(|_| is_alike)?))
        });
        let mut alike: Vec<(&Build, &BuildId, &Encoding)> = alike.collect();
        alike.sort_by(|(one, ..), (other, ..)| one.version.cmp(&other.version));
        let (older, newer): (Vec<_>, Vec<_>) = alike
            .into_iter()
            .partition(|(by, ..)| by.version < decoder.version);
        let mut near = newer.into_iter().chain(older.into_iter().rev());
        let is_well =
            |writer: &BuildId| !self.suffers(place, (writer, build), (rule, effect, part));
        near.find(|(_, writer, _)| is_well(writer))
            .map(|(.., of)| of)
    }

    /// The sets that `build` leaves itself where it writes the rules of a cell.
    pub fn sets(&self, cell: &'m Cell, build: &BuildId) -> Option<&'m BTreeSet<String>> {
        let writers = self.writers.get(&(cell.scenario.as_str(), cell.family))?;
        let own = writers.iter().find(|of| of.writer == *build)?;
        Some(&own.encoded.sets)
    }

    /// Whether `build` does this to the rule where it wrote it itself. That it cannot restore its own print, or takes rules for others,
    /// is its own fault in all rules of a scenario if it is in one.
    pub fn does_to_its_own(
        &self,
        cell: &'m Cell,
        build: &'m BuildId,
        (rule, effect, part): (usize, Effect, &str),
    ) -> bool {
        if cell.writer_of(rule) == &cell.reader {
            return true;
        }
        const OF_ALL: [Effect; 3] = [
            Effect::Unrestorable,
            Effect::UnrestorableNoflush,
            Effect::HitsAnother,
        ];
        if OF_ALL.contains(&effect) {
            let read = self.read.get(build).into_iter().flatten();
            let mut own = read.filter(|(((scenario, _), writer), _)| {
                *writer == build && *scenario == cell.scenario
            });
            return own.any(|(_, Known { cell, fates })| {
                let mut fates = fates.get_or_init(|| self::fates(cell)).iter();
                fates.any(|(rule, of, _)| *of == effect && cell.writer_of(*rule) == build)
            });
        }
        let place = (cell.scenario.as_str(), cell.family);
        cell.writer_of(rule) == &cell.writer
            && self.suffers(place, (build, build), (rule, effect, part))
    }

    /// Whether a rule of that writer suffers so from that reader.
    fn suffers(
        &self,
        place: Rules<'m>,
        (writer, reader): (&BuildId, &'m BuildId),
        (rule, effect, part): (usize, Effect, &str),
    ) -> bool {
        let read = self.read.get(reader);
        let known = read.and_then(|of| of.get(&(place, writer)));
        known.is_some_and(|of| of.fates().contains(&(rule, effect, part.to_owned())))
    }

    /// What `build` read in a scenario.
    fn read_in(&self, build: &'m BuildId, scenario: &'m str) -> impl Iterator<Item = &Known<'m>> {
        let read = self.read.get(build).into_iter().flatten();
        let is_in =
            move |((place, _), _): &(&(Rules<'m>, &'m BuildId), &Known<'m>)| place.0 == scenario;
        read.filter(is_in).map(|(_, known)| known)
    }

    /// The sets among which `build` read every rule of a scenario.
    pub fn well_read_sets(&self, build: &'m BuildId, scenario: &'m str) -> Rc<HashSet<&'m String>> {
        if let Some(known) = self.well_read_sets.borrow().get(&(build, scenario)) {
            return known.clone();
        }
        let whole = |of: &&Known<'m>| {
            let fates = fates(of.cell);
            !fates.iter().any(|(_, effect, _)| effect.spreads())
        };
        let well = self.read_in(build, scenario).filter(whole);
        let sets: Rc<HashSet<&String>> =
            Rc::new(well.flat_map(|of| &of.cell.encoded.sets).collect());
        let mut known = self.well_read_sets.borrow_mut();
        known.insert((build, scenario), sets.clone());
        sets
    }

    /// The forms of clauses for which `build` gave up no rule of a scenario: it read them, well or otherwise.
    pub fn well_read(&self, build: &'m BuildId, scenario: &'m str) -> Rc<HashSet<String>> {
        if let Some(known) = self.well_read.borrow().get(&(build, scenario)) {
            return known.clone();
        }
        let mut forms = HashSet::new();
        let mut seen: HashSet<*const Encoding> = HashSet::new();
        for known in self.read_in(build, scenario) {
            // They are asked for once, and there are many.
            let fates = fates(known.cell);
            let harmed = fates
                .iter()
                .filter(|(_, effect, _)| effect.is_of_whole_reading());
            let harmed: BTreeSet<usize> = harmed.map(|(rule, ..)| *rule).collect();
            let rules = known.cell.encoded.written.iter().enumerate();
            let well = rules.filter(|(rule, _)| !harmed.contains(rule));
            for encoding in well.filter_map(|(_, of)| of.as_ref()) {
                if seen.insert(std::sync::Arc::as_ptr(encoding)) {
                    forms.extend(encoding.clauses().map(|clause| clause.form()));
                }
            }
        }
        let forms = Rc::new(forms);
        let mut known = self.well_read.borrow_mut();
        known.insert((build, scenario), forms.clone());
        forms
    }
}

impl Known<'_> {
    fn fates(&self) -> &BTreeSet<Fate> {
        self.fates.get_or_init(|| fates(self.cell))
    }
}

/// What becomes of the rules of a cell.
fn fates(cell: &Cell) -> BTreeSet<Fate> {
    let mut all = BTreeSet::new();
    for of in harms(cell) {
        let Some(rule) = of.rule else { continue };
        for harm in of.harms.iter().filter(|harm| harm.is_harmful()) {
            for part in parts(harm) {
                all.insert((rule, Effect::of(part.how, harm.operation), part.name));
            }
        }
    }
    all
}
