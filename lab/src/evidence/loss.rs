//! Which loss a report is about, and whether a cell still shows it.

use super::kind::LossKind;
use super::sign::{self, Sign};
use crate::judge::{Cell, ChainVerdict, RuleVerdict};
use crate::matrix::{Certainty, Harm, SubjectKind};
use crate::plan::Operation;
use crate::plan::step::Stage;
use crate::tool::Change;

/// A loss, apart from the rules that happen to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// What it is done to.
    pub of: SubjectKind,
    /// What is done that shows it, what that takes, and what the rules predict that it does to packets: rules that lose the same to no
    /// effect show another loss.
    pub harm: Harm,
    /// Whether a plain rewrite does not show it: then what shows it must survive one, too.
    pub spares_rewrite: bool,
}

/// The parts of a rule that a loss takes, each once. A comment counts only where nothing else suffers.
fn parts(rule: &RuleVerdict) -> [Vec<String>; 3] {
    let is_comment = |part: &str| ["match comment", "comment --comment"].contains(&part);
    let changes = rule.lost.iter().chain(&rule.altered).chain(&rule.added);
    let only_comments = changes.into_iter().all(|change| is_comment(&change.part));
    let names = |changes: &[Change]| {
        let mut names: Vec<String> = Vec::new();
        for Change { part, .. } in changes {
            if !names.contains(part) && (only_comments || !is_comment(part)) {
                names.push(part.clone());
            }
        }
        names
    };
    [&rule.lost, &rule.altered, &rule.added].map(|changes| names(changes))
}

/// What is another about a chain. How many more rules there are is not what it is about.
fn chain_change(chain: &ChainVerdict) -> Option<String> {
    let is_count = |c: char| c.is_ascii_digit() || c == ' ';
    let said = chain.reason();
    said.map(|said| said.to_string().trim_start_matches(is_count).to_owned())
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
    /// All rules and chains of `cell`, whatever is said of them.
    fn all(cell: &'a Cell) -> impl Iterator<Item = Damaged<'a>> {
        let chains = cell.outcome.chains.iter().map(Damaged::Chain);
        cell.outcome.rules.iter().map(Damaged::Rule).chain(chains)
    }

    /// All that is wrong with it.
    fn signs(self) -> Vec<Sign> {
        match self {
            Damaged::Rule(rule) => sign::of_rule(rule),
            Damaged::Chain(chain) => sign::of_chain(chain),
        }
    }

    /// What `sign` says of it.
    fn loss(self, sign: Sign) -> Loss {
        let ([lost, altered, added], reason) = match self {
            Damaged::Rule(rule) => (parts(rule), None),
            Damaged::Chain(chain) => (Default::default(), chain_change(chain)),
        };
        let harm = Harm {
            operation: sign.operation,
            verdict: sign.verdict,
            lost,
            altered,
            added,
            reason,
            consequence: match self {
                Damaged::Rule(rule) => rule.potential,
                Damaged::Chain(chain) => chain.does(),
            },
            certainty: Certainty::Predicted,
        };
        Loss {
            of: self.kind(),
            harm,
            spares_rewrite: !self.shows_in_rewrite(sign),
        }
    }

    fn kind(self) -> SubjectKind {
        match self {
            Damaged::Rule(_) => SubjectKind::Rule,
            Damaged::Chain(_) => SubjectKind::Chain,
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

    /// Whether a plain rewrite shows what `sign` says, too.
    fn shows_in_rewrite(self, sign: Sign) -> bool {
        let mut signs = self.signs().into_iter();
        signs.any(|of| of.operation == Operation::Rewrite && of.is_like(sign))
    }
}

impl Loss {
    /// The worst loss of a cell that is of one of these kinds, the worst first; at the first rule or chain that shows it, one
    /// that survives a plain rewrite before others.
    pub fn worst_of(cell: &Cell, kinds: &[LossKind]) -> Option<Found> {
        let all = Damaged::all(cell).flat_map(|damaged| {
            let signs = damaged.signs().into_iter();
            signs.map(move |sign| (sign, damaged))
        });
        let meant = all.filter(|(sign, _)| kinds.iter().any(|kind| sign.is_meant_by(*kind)));
        let (sign, damaged) =
            meant.min_by_key(|(sign, damaged)| (sign.rank(), damaged.shows_in_rewrite(*sign)))?;
        Some(Found {
            subject: damaged.subject(),
            loss: damaged.loss(sign),
        })
    }

    /// The same loss as `cell` shows it, where fewer operations were run: parts are named by what these show.
    pub fn again(&self, cell: &Cell) -> Option<Found> {
        let mut all = Damaged::all(cell);
        let (damaged, sign) = all.find_map(|damaged| Some((damaged, self.sign_in(damaged)?)))?;
        let loss = Loss {
            spares_rewrite: self.spares_rewrite,
            ..damaged.loss(sign)
        };
        Some(Found {
            subject: damaged.subject(),
            loss,
        })
    }

    /// How it is seen.
    pub fn kind(&self) -> LossKind {
        let kind = sign::kind(self.of, self.harm.operation, self.harm.verdict);
        kind.expect("a loss is made of a sign of one")
    }

    /// What must be done for it to be seen, and no more: the operation that shows it, and a plain rewrite beside it, which says
    /// what is lost, and whether it shows it, too.
    pub fn operations(&self) -> Vec<Operation> {
        Operation::with_needs(match self.harm.operation {
            Operation::Rewrite => &[Operation::Rewrite, Operation::Recognition],
            Operation::List => &[Operation::List],
            Operation::Reassert => &[Operation::Reassert],
            Operation::Recognition => &[Operation::Recognition],
            Operation::Sync => &[Operation::Rewrite, Operation::Sync],
            Operation::SyncNoflush => &[Operation::Rewrite, Operation::SyncNoflush],
            Operation::Cycle => &[Operation::Recognition, Operation::Cycle],
            Operation::Check => &[Operation::Rewrite, Operation::Check],
            Operation::Delete => &[Operation::Rewrite, Operation::Delete],
            Operation::Write | Operation::Save | Operation::Effect => &[Operation::Rewrite],
        })
    }

    /// The part of the procedure whose end shows it.
    pub fn stage(&self) -> Stage {
        match self.harm.operation {
            Operation::Delete => Stage::Delete,
            Operation::Check => Stage::Check,
            Operation::Sync => Stage::Sync,
            Operation::SyncNoflush => Stage::SyncNoflush,
            Operation::Cycle => Stage::Cycle,
            Operation::List => Stage::List,
            Operation::Reassert => Stage::Reassert,
            Operation::Write
            | Operation::Save
            | Operation::Rewrite
            | Operation::Recognition
            | Operation::Effect => Stage::Rewrite,
        }
    }

    /// The first of `cell` that shows it, if one does.
    pub fn shown_by<'a>(&self, cell: &'a Cell) -> Option<Damaged<'a>> {
        Damaged::all(cell).find(|damaged| self.is_of(*damaged))
    }

    fn is_of(&self, damaged: Damaged<'_>) -> bool {
        self.sign_in(damaged)
            .map(|sign| damaged.loss(sign))
            .is_some_and(|of| {
                self.shares_parts_with(&of) && of.harm.consequence >= self.harm.consequence
            })
    }

    /// What of a rule or chain is a sign of the same kind of loss.
    fn sign_in(&self, damaged: Damaged<'_>) -> Option<Sign> {
        let kind = self.kind();
        let is_it = |sign: &Sign| sign.kind == kind && sign.operation == self.harm.operation;
        let sign = damaged.signs().into_iter().find(is_it)?;
        let is_spared = !(self.spares_rewrite && damaged.shows_in_rewrite(sign));
        is_spared.then_some(sign)
    }

    /// Whether one of its parts is among the other's; what takes none takes the same as anything.
    fn shares_parts_with(&self, other: &Loss) -> bool {
        fn all(loss: &Loss) -> impl Iterator<Item = &str> {
            let parts = loss.harm.parts().map(|(name, _)| name);
            parts.chain(loss.harm.reason.as_deref())
        }
        let is_shared = |part: &str| all(other).any(|of| of == part);
        all(self).next().is_none() || all(self).any(is_shared)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::catalog::{BuildId, Family};
    use crate::judge::by_operation::{Answer, ByOperation, PrintVerdict, RestoreVerdict};
    use crate::judge::verdict::{Consequence, Verdict};
    use crate::judge::{Outcome, Reason};
    use crate::matrix::Matrix;
    use crate::recording;

    fn chain(name: &str, reason: &str) -> ChainVerdict {
        let mut operations = ByOperation::from_iter([Answer::Save(PrintVerdict::Same)]);
        let changed = Answer::Rewrite(RestoreVerdict::Changed);
        operations.set_because(changed, Some(Reason::said(reason)));
        ChainVerdict {
            table: "filter".to_owned(),
            chain: name.to_owned(),
            policy_before: None,
            policy_after: None,
            policy_after_sync: None,
            operations,
            consequence: Some(Consequence::Misdirected.into()),
        }
    }

    fn cell(rules: Vec<RuleVerdict>, chains: Vec<ChainVerdict>) -> Cell {
        Cell {
            scenario: "own".to_owned(),
            family: Family::Ipv4,
            writer: BuildId::named("1.8.8-nft"),
            bystanders: Vec::new(),
            reader: BuildId::named("1.8.7-nft"),
            verdict: Verdict::Changed,
            outcome: Outcome {
                rules: rules.into(),
                chains,
                ..Outcome::default()
            }
            .into(),
            encoded: Default::default(),
            known: None,
            known_losses: Vec::new(),
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
        assert_eq!(
            (found.loss.kind(), found.subject),
            (LossKind::Chain, subject)
        );
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
            operations: ByOperation::from_iter([Answer::Save(PrintVerdict::Lossy)]),
            ..RuleVerdict::default()
        };
        let both = cell(vec![lossy], vec![chain("OWN", "the chain is gone")]);
        let of = |kinds: &[LossKind]| Loss::worst_of(&both, kinds).unwrap().loss.kind();
        assert_eq!(of(&LossKind::ALL), LossKind::Lossy);
        assert_eq!(of(&[LossKind::Chain]), LossKind::Chain);
    }

    fn rule(sync_noflush: RestoreVerdict) -> RuleVerdict {
        RuleVerdict {
            given: "-A OWN -j DROP".into(),
            operations: ByOperation::from_iter([
                Answer::Save(PrintVerdict::Same),
                Answer::Rewrite(RestoreVerdict::Kept),
                Answer::SyncNoflush(sync_noflush),
            ]),
            ..RuleVerdict::default()
        }
    }

    /// 1.8.4's `iptables-restore --noflush` refuses what 1.8.5 wrote, and nothing else of it does.
    #[rstest]
    #[case::whatever(&LossKind::ALL, true)]
    #[case::by_its_kind(&[LossKind::Unrestorable], true)]
    #[case::by_what_was_done(&[LossKind::SyncNoflush], true)]
    #[case::by_something_else(&[LossKind::Sync, LossKind::Refused], false)]
    fn a_restore_that_fails_is_a_loss_by_either_name(
        #[case] kinds: &[LossKind],
        #[case] is_found: bool,
    ) {
        let refused = cell(vec![rule(RestoreVerdict::Unrestorable)], Vec::new());
        let found = Loss::worst_of(&refused, kinds);
        assert_eq!(found.is_some(), is_found);
        let Some(Found { loss, .. }) = found else {
            return;
        };
        assert_eq!(loss.kind(), LossKind::Unrestorable);
        assert_eq!(loss.harm.operation, Operation::SyncNoflush);
        assert!(loss.operations().contains(&Operation::SyncNoflush));
        assert!(loss.shown_by(&refused).is_some());
        let kept = cell(vec![rule(RestoreVerdict::Kept)], Vec::new());
        assert!(loss.shown_by(&kept).is_none());
        let mut by_rewrite = rule(RestoreVerdict::Unrestorable);
        let unrestorable = Answer::Rewrite(RestoreVerdict::Unrestorable);
        by_rewrite.operations.set(unrestorable);
        let another = cell(vec![by_rewrite], Vec::new());
        assert!(
            loss.shown_by(&another).is_none(),
            "a rewrite shows that, too"
        );
    }

    /// What the matrix shows of real builds, a report can be made of: by default, and by the name of its kind.
    #[test]
    fn every_harm_of_a_recording_is_found() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/recordings");
        let mut kinds = std::collections::BTreeSet::new();
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap().path();
            if file.extension().is_none_or(|end| end != "jsonl") {
                continue;
            }
            let matrix = Matrix::of(&recording::read(&file).unwrap().recording);
            for whole in &matrix.cells {
                for harm in crate::matrix::worst(whole) {
                    // Of what is another rule's doing, that rule has the report.
                    let no_reports = [Verdict::Unsupported, Verdict::Incompatible];
                    let is_untested = no_reports.contains(&harm.form.harm.verdict);
                    let rules = harm.rule.map(|place| whole.outcome.rules[place].clone());
                    if is_untested
                        || rules
                            .as_ref()
                            .is_some_and(|of| of.of(Operation::Write) == Some(Verdict::Refused))
                    {
                        continue;
                    }
                    let is_it = |chain: &&ChainVerdict| {
                        harm.rule.is_none()
                            && (&chain.table, &chain.chain)
                                == (&harm.subject.table, &harm.subject.chain)
                    };
                    let chains = whole.outcome.chains.iter().filter(is_it).cloned().collect();
                    let only = cell(rules.into_iter().collect(), chains);
                    let found = Loss::worst_of(&only, &LossKind::ALL);
                    let found = found.unwrap_or_else(|| panic!("{}: {harm:?}", file.display()));
                    assert!(found.loss.shown_by(&only).is_some(), "{harm:?}");
                    let named = Loss::worst_of(&only, &[found.loss.kind()]);
                    assert_eq!(named.unwrap().loss, found.loss, "{harm:?}");
                    kinds.insert(found.loss.kind().as_str());
                }
            }
        }
        for kind in ["lossy", "misread", "unreadable", "doubled"] {
            assert!(kinds.contains(kind), "{kinds:?}");
        }
    }
}
