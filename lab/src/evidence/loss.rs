//! Which loss a report is about, and whether a cell still shows it.

use crate::judge::verdict::{Consequence, Verdict};
use crate::judge::{Cell, RuleVerdict};
use crate::plan::Operation;

/// What is done with every candidate: all that a loss of a rule can be seen by.
pub const OPERATIONS: [Operation; 3] =
    [Operation::Rewrite, Operation::Recognition, Operation::Check];

/// How a loss is seen with two binaries and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Symptom {
    /// The reader's `-C` finds a rule that is not there.
    FoundWrong,
    /// The reader prints another rule, and restores that.
    Lossy,
    /// The reader restores another rule than it printed.
    Changed,
    /// After the reader's rewrite the writer prints another rule.
    Misread,
    /// After the reader's rewrite the writer cannot print its table.
    Unreadable,
    /// The reader's `-C` does not find the rule.
    NotFound,
    /// A signal ends the reader.
    Crashed,
    /// The reader does not end.
    TimedOut,
    /// The reader refuses what it printed itself.
    Unrestorable,
    /// The reader refuses to print the table.
    Refused,
}

impl Symptom {
    /// Every symptom, the worst first.
    pub const ALL: [Symptom; 10] = [
        Symptom::FoundWrong,
        Symptom::Lossy,
        Symptom::Changed,
        Symptom::Misread,
        Symptom::Unreadable,
        Symptom::NotFound,
        Symptom::Crashed,
        Symptom::TimedOut,
        Symptom::Unrestorable,
        Symptom::Refused,
    ];

    /// The word that scripts use.
    pub fn as_str(self) -> &'static str {
        match self {
            Symptom::FoundWrong => "found-wrong",
            Symptom::Lossy => "lossy",
            Symptom::Changed => "changed",
            Symptom::Misread => "misread",
            Symptom::Unreadable => "unreadable",
            Symptom::NotFound => "not-found",
            Symptom::Crashed => "crashed",
            Symptom::TimedOut => "timed-out",
            Symptom::Unrestorable => "unrestorable",
            Symptom::Refused => "refused",
        }
    }

    /// Whether a rule has it.
    fn is_of(self, rule: &RuleVerdict) -> bool {
        let reading = [rule.read_verdict, rule.rewrite_verdict];
        let any = |verdict| reading.contains(&Some(verdict));
        match self {
            Symptom::FoundWrong => rule.check == Some(Verdict::FoundWrong),
            Symptom::Lossy => rule.read_verdict == Some(Verdict::Lossy),
            Symptom::Changed => rule.rewrite_verdict == Some(Verdict::Changed),
            Symptom::Misread => rule.recognition == Some(Verdict::Misread),
            Symptom::Unreadable => rule.recognition == Some(Verdict::Unreadable),
            Symptom::NotFound => rule.check == Some(Verdict::NotFound),
            Symptom::Crashed => any(Verdict::Crashed),
            Symptom::TimedOut => any(Verdict::TimedOut),
            Symptom::Unrestorable => any(Verdict::Unrestorable),
            Symptom::Refused => {
                any(Verdict::Refused) || rule.rewrite_verdict == Some(Verdict::NothingToRestore)
            }
        }
    }
}

/// A loss, apart from the rules that happen to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// How it is seen.
    pub symptom: Symptom,
    /// The parts that it takes: `match mark`; none where it takes the rule, or the whole table.
    pub parts: Vec<String>,
    /// What the rules predict that it does to packets: rules that lose the same to no effect show another loss.
    pub potential: Option<Consequence>,
}

/// The rule that a loss is seen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultyRule {
    /// Its place among the scenario's rules, from 0.
    pub place: usize,
    /// What is wrong with it.
    pub loss: Loss,
}

impl Loss {
    /// The worst loss of a cell, at the first rule that shows it; none where no rule comes to harm.
    pub fn worst_of(cell: &Cell) -> Option<FaultyRule> {
        Symptom::ALL.into_iter().find_map(|symptom| {
            let place = cell.rules.iter().position(|rule| symptom.is_of(rule))?;
            let loss = Loss {
                symptom,
                parts: parts_of(&cell.rules[place]),
                potential: cell.rules[place].potential,
            };
            Some(FaultyRule { place, loss })
        })
    }

    /// The rule of `cell` that shows it, if one does.
    pub fn shown_by<'a>(&self, cell: &'a Cell) -> Option<&'a RuleVerdict> {
        cell.rules.iter().find(|rule| self.is_of(rule))
    }

    fn is_of(&self, rule: &RuleVerdict) -> bool {
        let parts = parts_of(rule);
        let shared = self.parts.iter().any(|part| parts.contains(part));
        let is_same = self.symptom.is_of(rule) && (shared || self.parts.is_empty());
        is_same && rule.potential >= self.potential
    }

    /// What it is, in half a sentence.
    pub fn in_words(&self) -> String {
        let parts = match self.parts.is_empty() {
            true => "the rule".to_owned(),
            false => self.parts.join(", "),
        };
        match self.symptom {
            Symptom::FoundWrong => "-C finds a rule that is not there".to_owned(),
            Symptom::Lossy => format!("{parts} lost on the way through the reader"),
            Symptom::Changed => format!("{parts} changed by the reader's restore"),
            Symptom::Misread => format!("{parts} misread by the writer after the reader's restore"),
            Symptom::Unreadable => {
                "the writer cannot read its table after the reader's restore".to_owned()
            }
            Symptom::NotFound => "-C does not find the rule".to_owned(),
            Symptom::Crashed => "the reader crashes".to_owned(),
            Symptom::TimedOut => "the reader hangs".to_owned(),
            Symptom::Unrestorable => "the reader refuses what it printed itself".to_owned(),
            Symptom::Refused => "the reader cannot print the table".to_owned(),
        }
    }
}

/// The names of the parts that are lost, altered or added, each once. A comment counts only where nothing else suffers.
fn parts_of(rule: &RuleVerdict) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let changes = rule.lost.iter().chain(&rule.altered).chain(&rule.added);
    for change in changes {
        if !parts.contains(&change.part) {
            parts.push(change.part.clone());
        }
    }
    let decides = |part: &String| part != "match comment" && part != "comment --comment";
    if parts.iter().any(decides) {
        parts.retain(decides);
    }
    parts
}
