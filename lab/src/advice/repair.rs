//! What mends a damaged ruleset: commands where they are known to give the ruleset that is meant, else what to do, for people.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Damaged, Finding, Likeness, Place};
use crate::catalog::Family;
use crate::scenario::System;
use crate::tool::iptables::{stem, tokens};

/// What mends it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// Commands, each as its words, to be run in this order and all of them.
    pub commands: Vec<Vec<String>>,
    /// What else is to be done, each once.
    pub steps: BTreeSet<Step>,
}

/// Something that people do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Print the rules with another release: this one reads sound rules so.
    PrintAnew {
        /// The release that printed them.
        by: String,
    },
    /// Say of which family the rules are.
    SayFamily,
    /// Have a system write its rules again.
    WriteAgain {
        /// The system; none where it has no name.
        system: Option<String>,
        /// What makes it do so; none where that is not known.
        how: Option<String>,
    },
    /// See what a table holds that `iptables` cannot read.
    LookWithNft {
        /// Whose table.
        family: Option<Family>,
        /// The table.
        table: String,
    },
    /// See what each backend holds.
    LookAtBothBackends,
}

/// What is done with one line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Edit {
    /// Another rule takes its place.
    Replace(Vec<String>),
    /// It goes.
    Delete,
}

/// The lines of one chain that are edited, by their places.
type Edits<'f> = BTreeMap<(&'f Place, &'f str), BTreeMap<usize, Edit>>;

/// What mends `findings`, in a print of these releases.
pub(super) fn repair(findings: &[Finding], printed_by: &BTreeSet<String>) -> Repair {
    let mut edits: Edits<'_> = BTreeMap::new();
    let mut repair = Repair::default();
    let lines = Lines::of(findings);
    for finding in findings {
        match finding {
            Finding::Damaged(damaged) => match of_line(damaged, &lines, printed_by) {
                Ok(edit) => {
                    let chain = edits
                        .entry((&damaged.place, &damaged.rule.chain))
                        .or_default();
                    chain.insert(damaged.index, edit);
                }
                Err(step) => {
                    repair.steps.insert(step);
                }
            },
            Finding::Repeated { place, .. } if place.family.is_none() => {
                repair.steps.insert(Step::SayFamily);
            }
            Finding::Repeated {
                place,
                rule,
                indices,
            } => {
                let chain = edits.entry((place, &rule.chain)).or_default();
                chain.extend(indices.iter().skip(1).map(|index| (*index, Edit::Delete)));
            }
            Finding::Policy { system, .. } => {
                repair.steps.insert(write_again(system));
            }
            Finding::Incompatible { place } => {
                repair.steps.insert(Step::LookWithNft {
                    family: place.family,
                    table: place.table.clone(),
                });
            }
            Finding::TwoBackends => {
                repair.steps.insert(Step::LookAtBothBackends);
            }
        }
    }
    repair.commands = commands(edits);
    repair
}

/// How often each damaged line is there.
struct Lines<'f>(BTreeMap<(&'f Place, &'f str), usize>);

impl<'f> Lines<'f> {
    fn of(findings: &'f [Finding]) -> Self {
        let mut lines = BTreeMap::new();
        for finding in findings {
            if let Finding::Damaged(damaged) = finding {
                *lines
                    .entry((&damaged.place, &*damaged.rule.text))
                    .or_insert(0) += 1;
            }
        }
        Lines(lines)
    }

    /// Whether a line is there once.
    fn has_once(&self, damaged: &Damaged) -> bool {
        self.0.get(&(&damaged.place, &*damaged.rule.text)) == Some(&1)
    }
}

/// What is to be done with a damaged line, where that is known without doubt.
fn of_line(
    damaged: &Damaged,
    lines: &Lines<'_>,
    printed_by: &BTreeSet<String>,
) -> Result<Edit, Step> {
    if let Some(by) = printed_by.intersection(&damaged.printed_so_by).next() {
        return Err(Step::PrintAnew { by: by.clone() });
    }
    let mut meant = damaged.meant.iter();
    let (Some(line), None) = (meant.next(), meant.next()) else {
        return Err(write_again(&damaged.system));
    };
    let is_certain =
        damaged.likeness == Likeness::Same && !damaged.is_perhaps_of_nft && lines.has_once(damaged);
    let Some(words) = words(line).filter(|_| is_certain) else {
        return Err(write_again(&damaged.system));
    };
    match damaged.place.family {
        None => Err(Step::SayFamily),
        // Its system did not find its rule any more, and wrote it again.
        Some(_) if damaged.stands_beside => Ok(Edit::Delete),
        Some(_) => Ok(Edit::Replace(words)),
    }
}

fn write_again(system: &System) -> Step {
    Step::WriteAgain {
        system: system.name.clone(),
        how: system.again.clone(),
    }
}

/// What follows `-A CHAIN`.
fn words(line: &str) -> Option<Vec<String>> {
    let tokens = tokens::split(line).ok()?;
    Some(
        tokens
            .into_iter()
            .skip(2)
            .map(|token| token.text.into_owned())
            .collect(),
    )
}

/// The commands: chain by chain, in each the last place first, so that earlier places stay what they are.
fn commands(edits: Edits<'_>) -> Vec<Vec<String>> {
    let of_chain = edits.into_iter().flat_map(|((place, chain), edits)| {
        edits
            .into_iter()
            .rev()
            .map(move |(index, edit)| command(place, chain, index, edit))
    });
    of_chain.collect()
}

fn command(place: &Place, chain: &str, index: usize, edit: Edit) -> Vec<String> {
    let program = stem(place.family.unwrap_or(Family::Ipv4));
    let program = match place.backend {
        Some(backend) => format!("{program}-{backend}"),
        None => program.to_owned(),
    };
    let mut words = vec![program, "-t".to_owned(), place.table.clone()];
    let (option, rule) = match edit {
        Edit::Replace(rule) => ("-R", rule),
        Edit::Delete => ("-D", Vec::new()),
    };
    words.extend([option.to_owned(), chain.to_owned(), index.to_string()]);
    words.extend(rule);
    words
}
