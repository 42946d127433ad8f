//! The named parts of a rule, and its target: the words in which a loss is told.

use serde::{Deserialize, Serialize};

use super::atoms::{Atom, Dissected, Group, Kind, dissect};
use super::extensions;
use super::tokens::join;
use crate::tool::Target;

/// One part of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `source`, `match mark`, `mark --mark`, `target`, `DNAT --to-destination`.
    pub name: String,
    /// Its words, the negation in front of them included: `! --mark 0x1`.
    pub text: String,
}

/// The target of a rule, given what follows `-A CHAIN`.
pub fn target<S: AsRef<str>>(tokens: &[S]) -> Target {
    let Dissected { atoms, groups, .. } = dissect(tokens);
    let named = atoms.into_iter().find_map(|atom| match atom.kind {
        Kind::Jump { group } => Some(jump_to(&groups[group].name)),
        Kind::Goto { chain } => Some(Target::Goto(chain)),
        _ => None,
    });
    named.unwrap_or(Target::None)
}

fn jump_to(name: &str) -> Target {
    match name {
        "ACCEPT" => Target::Accept,
        "DROP" => Target::Drop,
        "REJECT" => Target::Reject,
        "RETURN" => Target::Return,
        _ if extensions::is_target(name) => Target::Other(name.to_owned()),
        _ => Target::Jump(name.to_owned()),
    }
}

/// The parts of a rule, given what follows `-A CHAIN`. A match or target is a part with all of its options, followed
/// by each of its options alone.
pub fn parts<S: AsRef<str>>(tokens: &[S]) -> Vec<Part> {
    let rule = Structured::of(tokens);
    let mut parts = Vec::new();
    for unit in &rule.units {
        if unit.head.is_some() {
            parts.push(Part {
                name: unit.name.part(),
                text: join(unit.words(tokens)),
            });
        }
        for option in &unit.options {
            parts.push(Part {
                name: unit.name.option_part(&option.name),
                text: join(&tokens[option.atom.tokens.clone()]),
            });
        }
    }
    parts
}

/// The words of each unit of a rule, by their places: a match or target with all of its options, or an option of the
/// rule itself. Together they are all of its words.
pub fn unit_ranges<S: AsRef<str>>(tokens: &[S]) -> Vec<Vec<usize>> {
    let units = Structured::of(tokens).units.into_iter();
    let words = |unit: Unit| {
        let options = unit.options.into_iter().map(|option| option.atom);
        let atoms = unit.head.into_iter().chain(options);
        atoms.flat_map(|atom| atom.tokens).collect()
    };
    units.map(words).collect()
}

/// The words of each option of a rule, by their places, with its negation and values; a match or target is one by itself.
/// Together they are all of its words.
pub fn atom_ranges<S: AsRef<str>>(tokens: &[S]) -> Vec<Vec<usize>> {
    let atoms = super::atoms::atoms(tokens).into_iter();
    atoms.map(|atom| atom.tokens.collect()).collect()
}

/// What a unit is and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UnitName {
    /// `source`, `protocol`, `goto`: an option of the rule itself.
    Base(&'static str),
    /// A match.
    Match(String),
    /// The target.
    Target(String),
    /// An option that no extension owns, or words that no option owns.
    Stray,
}

impl UnitName {
    /// The unit as a part.
    pub fn part(&self) -> String {
        match self {
            UnitName::Base(name) => (*name).to_owned(),
            UnitName::Match(name) => format!("match {name}"),
            UnitName::Target(_) => "target".to_owned(),
            UnitName::Stray => "words".to_owned(),
        }
    }

    /// One of its options as a part.
    pub fn option_part(&self, option: &str) -> String {
        match self {
            UnitName::Match(name) | UnitName::Target(name) => format!("{name} {option}"),
            UnitName::Base(_) | UnitName::Stray => option.to_owned(),
        }
    }

    /// Whether two units can be the same one before and after.
    pub fn same_place(&self, other: &UnitName) -> bool {
        match (self, other) {
            (UnitName::Target(_), UnitName::Target(_)) => true,
            _ => self == other,
        }
    }
}

/// An option of a match or target.
#[derive(Debug, Clone)]
pub(super) struct OptionAtom {
    pub name: String,
    pub atom: Atom,
}

/// A match or target with its options, or a single option of the rule.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub name: UnitName,
    /// `-m mark`, `-j DNAT`, `-s 10.0.0.0/8`; none for a match that its protocol implies.
    pub head: Option<Atom>,
    pub options: Vec<OptionAtom>,
}

impl Unit {
    /// All of its words, in the rule's order.
    pub fn words<'w, S>(&'w self, tokens: &'w [S]) -> impl Iterator<Item = &'w S> {
        let options = self.options.iter().map(|option| &option.atom);
        let atoms = self.head.iter().chain(options);
        atoms.flat_map(|atom| &tokens[atom.tokens.clone()])
    }
}

/// A rule as units, in the order in which each begins.
#[derive(Debug)]
pub(super) struct Structured {
    pub units: Vec<Unit>,
}

impl Structured {
    pub fn of<S: AsRef<str>>(tokens: &[S]) -> Self {
        let Dissected { atoms, groups, .. } = dissect(tokens);
        let mut units: Vec<Unit> = Vec::new();
        let mut unit_of_group: Vec<Option<usize>> = vec![None; groups.len()];
        for atom in atoms {
            let kind = atom.kind.clone();
            match kind {
                Kind::Match { group } | Kind::Jump { group } => {
                    unit_of_group[group] = Some(units.len());
                    units.push(Unit::new(name_of(&groups[group]), Some(atom)));
                }
                Kind::Option {
                    group: Some(group),
                    name,
                } => {
                    let unit = *unit_of_group[group].get_or_insert_with(|| {
                        units.push(Unit::new(name_of(&groups[group]), None));
                        units.len() - 1
                    });
                    units[unit].options.push(OptionAtom { name, atom });
                }
                Kind::Option { group: None, name } => {
                    let mut unit = Unit::new(UnitName::Stray, None);
                    unit.options.push(OptionAtom { name, atom });
                    units.push(unit);
                }
                kind => units.push(Unit::new(base_name(&kind), Some(atom))),
            }
        }
        Structured { units }
    }
}

impl Unit {
    fn new(name: UnitName, head: Option<Atom>) -> Self {
        Unit {
            name,
            head,
            options: Vec::new(),
        }
    }
}

fn name_of(group: &Group) -> UnitName {
    match group.target {
        true => UnitName::Target(group.name.clone()),
        false => UnitName::Match(group.name.clone()),
    }
}

fn base_name(kind: &Kind) -> UnitName {
    match kind {
        Kind::Source => UnitName::Base("source"),
        Kind::Destination => UnitName::Base("destination"),
        Kind::Protocol => UnitName::Base("protocol"),
        Kind::InInterface => UnitName::Base("in-interface"),
        Kind::OutInterface => UnitName::Base("out-interface"),
        Kind::Fragment => UnitName::Base("fragment"),
        Kind::Family => UnitName::Base("family"),
        Kind::Counters => UnitName::Base("counters"),
        Kind::Goto { .. } => UnitName::Base("goto"),
        Kind::Words | Kind::Match { .. } | Kind::Jump { .. } | Kind::Option { .. } => {
            UnitName::Stray
        }
    }
}
