//! Which loss a report is about, and whether a cell still shows it.

use crate::judge::verdict::{Consequence, Verdict};
use crate::judge::{Cell, RuleVerdict};
use crate::plan::Operation;

/// What is done with every candidate: all that a loss of a rule can be seen by.
pub const OPERATIONS: [Operation; 3] =
    [Operation::Rewrite, Operation::Recognition, Operation::Check];

/// What kind of loss it is: how it is seen with two binaries and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossKind {
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

impl LossKind {
    /// Every kind, the worst first.
    pub const ALL: [LossKind; 10] = [
        LossKind::FoundWrong,
        LossKind::Lossy,
        LossKind::Changed,
        LossKind::Misread,
        LossKind::Unreadable,
        LossKind::NotFound,
        LossKind::Crashed,
        LossKind::TimedOut,
        LossKind::Unrestorable,
        LossKind::Refused,
    ];

    /// The word that scripts use.
    pub fn as_str(self) -> &'static str {
        match self {
            LossKind::FoundWrong => "found-wrong",
            LossKind::Lossy => "lossy",
            LossKind::Changed => "changed",
            LossKind::Misread => "misread",
            LossKind::Unreadable => "unreadable",
            LossKind::NotFound => "not-found",
            LossKind::Crashed => "crashed",
            LossKind::TimedOut => "timed-out",
            LossKind::Unrestorable => "unrestorable",
            LossKind::Refused => "refused",
        }
    }

    /// Whether a rule has it.
    fn is_of(self, rule: &RuleVerdict) -> bool {
        let reading = [rule.read_verdict, rule.rewrite_verdict];
        let any = |verdict| reading.contains(&Some(verdict));
        match self {
            LossKind::FoundWrong => rule.check == Some(Verdict::FoundWrong),
            LossKind::Lossy => rule.read_verdict == Some(Verdict::Lossy),
            LossKind::Changed => rule.rewrite_verdict == Some(Verdict::Changed),
            LossKind::Misread => rule.recognition == Some(Verdict::Misread),
            LossKind::Unreadable => rule.recognition == Some(Verdict::Unreadable),
            LossKind::NotFound => rule.check == Some(Verdict::NotFound),
            LossKind::Crashed => any(Verdict::Crashed),
            LossKind::TimedOut => any(Verdict::TimedOut),
            LossKind::Unrestorable => any(Verdict::Unrestorable),
            LossKind::Refused => {
                any(Verdict::Refused) || rule.rewrite_verdict == Some(Verdict::NothingToRestore)
            }
        }
    }
}

/// A loss, apart from the rules that happen to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// How it is seen.
    pub kind: LossKind,
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
        LossKind::ALL.into_iter().find_map(|kind| {
            let place = cell.rules.iter().position(|rule| kind.is_of(rule))?;
            let loss = Loss {
                kind,
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
        let is_same = self.kind.is_of(rule) && (shared || self.parts.is_empty());
        is_same && rule.potential >= self.potential
    }

    /// What it is, in half a sentence.
    pub fn in_words(&self) -> String {
        let parts = match self.parts.is_empty() {
            true => "the rule".to_owned(),
            false => self.parts.join(", "),
        };
        match self.kind {
            LossKind::FoundWrong => "-C finds a rule that is not there".to_owned(),
            LossKind::Lossy => format!("{parts} lost on the way through the reader"),
            LossKind::Changed => format!("{parts} changed by the reader's restore"),
            LossKind::Misread => {
                format!("{parts} misread by the writer after the reader's restore")
            }
            LossKind::Unreadable => {
                "the writer cannot read its table after the reader's restore".to_owned()
            }
            LossKind::NotFound => "-C does not find the rule".to_owned(),
            LossKind::Crashed => "the reader crashes".to_owned(),
            LossKind::TimedOut => "the reader hangs".to_owned(),
            LossKind::Unrestorable => "the reader refuses what it printed itself".to_owned(),
            LossKind::Refused => "the reader cannot print the table".to_owned(),
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
