//! Which loss a report is about, and whether a cell still shows it.

use clap::ValueEnum;

use crate::judge::verdict::{Consequence, Verdict};
use crate::judge::{Cell, ChainVerdict, RuleVerdict};
use crate::plan::Operation;
use crate::plan::step::Stage;

/// What is done with every candidate, whatever the loss.
const ALWAYS: [Operation; 3] = [Operation::Rewrite, Operation::Recognition, Operation::Check];

/// What kind of loss it is: how it is seen with two binaries and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum LossKind {
    /// The reader's `-D` deletes another rule.
    WrongRule,
    /// The reader's `-C` finds a rule that is not there.
    FoundWrong,
    /// The reader prints another rule, and restores that.
    Lossy,
    /// The reader restores another rule than it printed.
    Changed,
    /// After the reader's rewrite a chain is gone or new, or has another policy, another hook or more rules.
    Chain,
    /// What a plain rewrite keeps is another once the reader adds a chain of its own to what it restores.
    Sync,
    /// What a plain rewrite keeps is another once the reader restores its own chains with `--noflush`.
    SyncNoflush,
    /// After the reader's rewrite the writer prints another rule.
    Misread,
    /// After the reader's rewrite the writer cannot print its table.
    Unreadable,
    /// The reader's first rewrite keeps it; as both go on rewriting in turn it becomes another.
    Drifts,
    /// The reader's `-C` does not find the rule.
    NotFound,
    /// The reader's `-D` does not delete the rule.
    NotDeleted,
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
    /// Every kind, the worst first; behind a misreading what comes of it.
    pub const ALL: [LossKind; 16] = [
        LossKind::WrongRule,
        LossKind::FoundWrong,
        LossKind::Lossy,
        LossKind::Changed,
        LossKind::Chain,
        LossKind::Sync,
        LossKind::SyncNoflush,
        LossKind::Misread,
        LossKind::Unreadable,
        LossKind::Drifts,
        LossKind::NotFound,
        LossKind::NotDeleted,
        LossKind::Crashed,
        LossKind::TimedOut,
        LossKind::Unrestorable,
        LossKind::Refused,
    ];

    /// The word that scripts use.
    pub fn as_str(self) -> &'static str {
        match self {
            LossKind::WrongRule => "wrong-rule",
            LossKind::FoundWrong => "found-wrong",
            LossKind::Lossy => "lossy",
            LossKind::Changed => "changed",
            LossKind::Chain => "chain",
            LossKind::Sync => "sync",
            LossKind::SyncNoflush => "sync-noflush",
            LossKind::Misread => "misread",
            LossKind::Unreadable => "unreadable",
            LossKind::Drifts => "drifts",
            LossKind::NotFound => "not-found",
            LossKind::NotDeleted => "not-deleted",
            LossKind::Crashed => "crashed",
            LossKind::TimedOut => "timed-out",
            LossKind::Unrestorable => "unrestorable",
            LossKind::Refused => "refused",
        }
    }

    /// What the reader does that shows it.
    pub fn operation(self) -> Operation {
        match self {
            LossKind::WrongRule | LossKind::NotDeleted => Operation::Delete,
            LossKind::FoundWrong | LossKind::NotFound => Operation::Check,
            LossKind::Sync => Operation::Sync,
            LossKind::SyncNoflush => Operation::SyncNoflush,
            LossKind::Drifts => Operation::Cycle,
            LossKind::Lossy
            | LossKind::Changed
            | LossKind::Chain
            | LossKind::Misread
            | LossKind::Unreadable
            | LossKind::Crashed
            | LossKind::TimedOut
            | LossKind::Unrestorable
            | LossKind::Refused => Operation::Rewrite,
        }
    }

    /// What must be done for it to be seen, with all that is done with every candidate.
    pub fn operations(self) -> Vec<Operation> {
        let [rewrite, recognition, check] = ALWAYS;
        Operation::with_needs(&[rewrite, recognition, check, self.operation()])
    }

    /// The part of the procedure whose end shows it.
    pub fn stage(self) -> Stage {
        match self.operation() {
            Operation::Delete => Stage::Delete,
            Operation::Check => Stage::Check,
            Operation::Sync => Stage::Sync,
            Operation::SyncNoflush => Stage::SyncNoflush,
            Operation::Cycle => Stage::Cycle,
            _ => Stage::Rewrite,
        }
    }

    /// Whether it is the writer that misreads: what the reader restored. A drift is what comes of that: the reader's own
    /// rewrite kept the rule.
    pub fn is_seen_by_writer(self) -> bool {
        matches!(
            self,
            LossKind::Misread | LossKind::Unreadable | LossKind::Drifts
        )
    }

    /// Whether a rule has it.
    fn is_of(self, rule: &RuleVerdict) -> bool {
        let reading = [rule.read_verdict, rule.rewrite_verdict];
        let any = |verdict| reading.contains(&Some(verdict));
        let is_kept = rule.rewrite_verdict != Some(Verdict::Changed);
        match self {
            LossKind::WrongRule => rule.delete == Some(Verdict::WrongRule),
            LossKind::FoundWrong => rule.check == Some(Verdict::FoundWrong),
            LossKind::Lossy => rule.read_verdict == Some(Verdict::Lossy),
            LossKind::Changed => rule.rewrite_verdict == Some(Verdict::Changed),
            LossKind::Chain => false,
            LossKind::Sync => is_kept && rule.sync == Some(Verdict::Changed),
            LossKind::SyncNoflush => is_kept && rule.sync_noflush == Some(Verdict::Changed),
            LossKind::Misread => rule.recognition == Some(Verdict::Misread),
            LossKind::Unreadable => rule.recognition == Some(Verdict::Unreadable),
            LossKind::Drifts => is_kept && rule.cycle == Some(Verdict::Drifts),
            LossKind::NotFound => rule.check == Some(Verdict::NotFound),
            LossKind::NotDeleted => rule.delete == Some(Verdict::NotDeleted),
            LossKind::Crashed => any(Verdict::Crashed),
            LossKind::TimedOut => any(Verdict::TimedOut),
            LossKind::Unrestorable => any(Verdict::Unrestorable),
            LossKind::Refused => {
                any(Verdict::Refused) || rule.rewrite_verdict == Some(Verdict::NothingToRestore)
            }
        }
    }

    /// Whether a chain as such has it.
    fn is_of_chain(self, chain: &ChainVerdict) -> bool {
        let is_harmed = [chain.read_verdict, chain.rewrite_verdict]
            .iter()
            .any(|of| matches!(of, Some(Verdict::Changed | Verdict::Lossy)));
        match self {
            LossKind::Chain => is_harmed,
            LossKind::Sync => !is_harmed && chain.sync == Some(Verdict::Changed),
            LossKind::SyncNoflush => !is_harmed && chain.sync_noflush == Some(Verdict::Changed),
            LossKind::Drifts => !is_harmed && chain.cycle == Some(Verdict::Drifts),
            LossKind::WrongRule
            | LossKind::FoundWrong
            | LossKind::Lossy
            | LossKind::Changed
            | LossKind::Misread
            | LossKind::Unreadable
            | LossKind::NotFound
            | LossKind::NotDeleted
            | LossKind::Crashed
            | LossKind::TimedOut
            | LossKind::Unrestorable
            | LossKind::Refused => false,
        }
    }
}

/// A loss, apart from the rules that happen to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// How it is seen.
    pub kind: LossKind,
    /// The parts that it takes: `match mark`; none where it takes the rule, or the whole table. Of a chain, what is
    /// another about it.
    pub parts: Vec<String>,
    /// What the rules predict that it does to packets: rules that lose the same to no effect show another loss.
    pub potential: Option<Consequence>,
}

/// A loss where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is seen at.
    pub subject: Subject,
    /// What is wrong with it.
    pub loss: Loss,
}

/// What a loss is seen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The rule of this text.
    Rule {
        /// As the scenario has it.
        given: String,
    },
    /// A chain as such.
    Chain {
        /// Its table.
        table: String,
        /// Its name.
        chain: String,
    },
}

/// What the judge says of what a loss is seen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damaged<'a> {
    /// A rule.
    Rule(&'a RuleVerdict),
    /// A chain as such.
    Chain(&'a ChainVerdict),
}

impl<'a> Damaged<'a> {
    /// The first of `cell` that has this kind of loss.
    fn first(kind: LossKind, cell: &'a Cell) -> Option<Damaged<'a>> {
        Damaged::all(cell).find(|damaged| damaged.has(kind))
    }

    /// All rules and chains of `cell`, whatever is said of them.
    fn all(cell: &'a Cell) -> impl Iterator<Item = Damaged<'a>> {
        let chains = cell.chains.iter().map(Damaged::Chain);
        cell.rules.iter().map(Damaged::Rule).chain(chains)
    }

    fn has(self, kind: LossKind) -> bool {
        match self {
            Damaged::Rule(rule) => kind.is_of(rule),
            Damaged::Chain(chain) => kind.is_of_chain(chain),
        }
    }

    fn parts(self) -> Vec<String> {
        match self {
            Damaged::Rule(rule) => parts_of(rule),
            // How many more rules there are is not what it is about.
            Damaged::Chain(chain) => {
                let is_count = |c: char| c.is_ascii_digit() || c == ' ';
                let said = chain
                    .reason
                    .as_deref()
                    .map(|said| said.trim_start_matches(is_count));
                said.map(str::to_owned).into_iter().collect()
            }
        }
    }

    fn potential(self) -> Option<Consequence> {
        match self {
            Damaged::Rule(rule) => rule.potential,
            Damaged::Chain(chain) => chain.consequence,
        }
    }

    fn subject(self) -> Subject {
        match self {
            Damaged::Rule(rule) => Subject::Rule {
                given: rule.given.to_string(),
            },
            Damaged::Chain(chain) => Subject::Chain {
                table: chain.table.clone(),
                chain: chain.chain.clone(),
            },
        }
    }
}

impl Loss {
    /// The worst loss of a cell that is of one of these kinds, the worst first; at the first rule or chain that shows it.
    pub fn worst_of(cell: &Cell, kinds: &[LossKind]) -> Option<Found> {
        kinds.iter().find_map(|&kind| {
            let damaged = Damaged::first(kind, cell)?;
            let loss = Loss {
                kind,
                parts: damaged.parts(),
                potential: damaged.potential(),
            };
            Some(Found {
                subject: damaged.subject(),
                loss,
            })
        })
    }

    /// The first of `cell` that shows it, if one does.
    pub fn shown_by<'a>(&self, cell: &'a Cell) -> Option<Damaged<'a>> {
        Damaged::all(cell).find(|damaged| self.is_of(*damaged))
    }

    fn is_of(&self, damaged: Damaged<'_>) -> bool {
        let parts = damaged.parts();
        let shared = self.parts.iter().any(|part| parts.contains(part));
        let is_same = damaged.has(self.kind) && (shared || self.parts.is_empty());
        is_same && damaged.potential() >= self.potential
    }

    /// What it is, in half a sentence.
    pub fn in_words(&self) -> String {
        let parts = match self.parts.is_empty() {
            true => "the rule".to_owned(),
            false => self.parts.join(", "),
        };
        match self.kind {
            LossKind::WrongRule => "-D deletes another rule".to_owned(),
            LossKind::FoundWrong => "-C finds a rule that is not there".to_owned(),
            LossKind::Lossy => format!("{parts} lost on the way through the reader"),
            LossKind::Changed => format!("{parts} changed by the reader's restore"),
            LossKind::Chain => format!("a chain changed by the reader's restore: {parts}"),
            LossKind::Sync => {
                format!("not kept as the reader restores with a chain of its own: {parts}")
            }
            LossKind::SyncNoflush => {
                format!("not kept as the reader restores its own chains with --noflush: {parts}")
            }
            LossKind::Drifts => {
                format!("not kept as reader and writer go on rewriting in turn: {parts}")
            }
            LossKind::Misread => {
                format!("{parts} misread by the writer after the reader's restore")
            }
            LossKind::Unreadable => {
                "the writer cannot read its table after the reader's restore".to_owned()
            }
            LossKind::NotFound => "-C does not find the rule".to_owned(),
            LossKind::NotDeleted => "-D does not delete the rule".to_owned(),
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::catalog::{BuildId, Family};
    use crate::judge::RuleVerdicts;

    fn chain(name: &str, reason: &str) -> ChainVerdict {
        ChainVerdict {
            table: "filter".to_owned(),
            chain: name.to_owned(),
            policy_before: None,
            policy_after: None,
            policy_after_sync: None,
            read_verdict: Some(Verdict::Same),
            rewrite_verdict: Some(Verdict::Changed),
            sync: None,
            sync_noflush: None,
            cycle: None,
            reason: Some(reason.to_owned()),
            consequence: Some(Consequence::Misdirected),
        }
    }

    fn cell(rules: Vec<RuleVerdict>, chains: Vec<ChainVerdict>) -> Cell {
        Cell {
            scenario: "own".to_owned(),
            family: Family::Ipv4,
            writer: BuildId::named("1.8.8-nft"),
            reader: BuildId::named("1.8.7-nft"),
            verdict: Verdict::Changed,
            rules: RuleVerdicts::from(rules),
            chains,
            probes: Vec::new(),
            picked: None,
            warnings: Vec::new(),
            known: None,
            known_losses: Vec::new(),
            crashes: Vec::new(),
        }
    }

    #[test]
    fn rules_that_multiply_are_one_loss_however_many_there_are() {
        let two = cell(Vec::new(), vec![chain("OWN", "2 more rules than before")]);
        let found = Loss::worst_of(&two, &LossKind::ALL).unwrap();
        let subject = Subject::Chain {
            table: "filter".to_owned(),
            chain: "OWN".to_owned(),
        };
        assert_eq!((found.loss.kind, found.subject), (LossKind::Chain, subject));
        let shows = |reason: &str| {
            let cell = cell(Vec::new(), vec![chain("OTHER", reason)]);
            found.loss.shown_by(&cell).is_some()
        };
        assert!(shows("17 more rules than before"));
        assert!(!shows("the chain is gone"));
        assert_eq!(Loss::worst_of(&two, &[LossKind::Lossy]), None);
    }

    #[test]
    fn a_rule_that_is_lost_is_worse_than_its_chain_and_a_named_kind_comes_first() {
        let lossy = RuleVerdict {
            given: "-A OWN -j DROP".into(),
            read_verdict: Some(Verdict::Lossy),
            ..RuleVerdict::default()
        };
        let both = cell(vec![lossy], vec![chain("OWN", "the chain is gone")]);
        let of = |kinds: &[LossKind]| Loss::worst_of(&both, kinds).unwrap().loss.kind;
        assert_eq!(of(&LossKind::ALL), LossKind::Lossy);
        assert_eq!(of(&[LossKind::Chain]), LossKind::Chain);
    }
}
