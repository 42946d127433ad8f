//! Chains as such: whether they are there, where they hang, their policies, and how many rules they hold.

use std::rc::Rc;

use foldhash::HashSet;

use super::aligned::Aligned;
use super::by_operation::{Answer, ByOperation, CycleVerdict, PrintVerdict, RestoreVerdict};
use super::consequence;
use super::cycle::turns;
use super::kernel::{KernelChain, chain_names};
use super::reading::{Baseline, Reading, Restored};
use super::reason::Reason;
use super::verdict::{Consequence, Impact};
use super::{ChainVerdict, Pairing};

/// A verdict, what changed, and what that does to packets.
type Judged = (RestoreVerdict, Option<Reason>, Option<Consequence>);

impl<'a> Pairing<'a> {
    /// The verdicts about every chain that the writer's rules made or used, and about those that a restore made.
    pub(super) fn chains(&self, reading: &Reading<'a>) -> Vec<ChainVerdict> {
        let Some(baseline) = self.evidence.baseline(reading.rules, self.writer) else {
            return Vec::new();
        };
        let mut verdicts = Vec::new();
        for table in &self.case.scenario.ruleset(self.family).tables {
            let declared = table.chains.iter().map(|chain| chain.name.as_str());
            let used = table.rules.iter().map(|rule| rule.chain.as_str());
            let mut seen = HashSet::default();
            let names = declared.chain(used).filter(|name| seen.insert(*name));
            let known =
                names.filter_map(|chain| self.chain((&table.name, chain), &baseline, reading));
            verdicts.extend(known);
            verdicts.extend(self.new_chains(&table.name, &baseline, reading));
        }
        verdicts
    }

    fn chain(
        &self,
        (table, chain): (&str, &str),
        baseline: &Baseline<'a>,
        reading: &Reading<'a>,
    ) -> Option<ChainVerdict> {
        let before = self.kernel_chain(baseline.dump, table, chain)?;
        let after = |restored: &Restored<'a>| self.kernel_chain(restored.dump, table, chain);
        let rewritten = reading.rewrite.as_ref().map(after);
        let synced = reading.sync.as_ref().map(after);
        let noflush = reading.sync_noflush.as_ref().map(after);
        let judged =
            |after: &Option<Rc<KernelChain<'_>>>| compare_chains(&before, after.as_deref());
        let (rewrite, sync) = (rewritten.as_ref().map(judged), synced.as_ref().map(judged));
        let read = self.read_of_chain((table, chain), baseline, reading);
        let noflush = noflush.as_ref().map(judged);
        let change = [&rewrite, &sync, &noflush]
            .into_iter()
            .flatten()
            .find(|(verdict, ..)| *verdict == RestoreVerdict::Changed);
        let consequence = change.and_then(|(.., consequence)| *consequence);
        let mut operations = ByOperation::default();
        if let Some((read, reason)) = read {
            let resolved = match read {
                PrintVerdict::Differs => {
                    PrintVerdict::of_difference(rewrite.as_ref().map(|(verdict, ..)| *verdict))
                }
                other => other,
            };
            operations.set_because(Answer::Save(resolved), reason);
        }
        if let Some(cycled) = self.cycle_of_chain(&before, (table, chain), reading) {
            operations.set(Answer::Cycle(cycled));
        }
        let restored = [
            (Answer::Rewrite as fn(RestoreVerdict) -> Answer, rewrite),
            (Answer::Sync, sync),
            (Answer::SyncNoflush, noflush),
        ];
        for (answer, judged) in restored {
            if let Some((verdict, reason, _)) = judged {
                operations.set_because(answer(verdict), reason);
            }
        }
        let policy = |after: &Option<Option<Rc<KernelChain<'_>>>>| {
            let policy = after.as_ref()?.as_ref()?.policy?;
            Some(policy.to_owned())
        };
        Some(ChainVerdict {
            table: table.to_owned(),
            chain: chain.to_owned(),
            policy_before: before.policy.map(str::to_owned),
            policy_after: policy(&rewritten),
            policy_after_sync: policy(&synced),
            operations,
            consequence: consequence.map(Impact::from),
        })
    }

    /// What became of the chain as reader and writer went on rewriting in turn.
    fn cycle_of_chain(
        &self,
        before: &KernelChain<'_>,
        (table, chain): (&str, &str),
        reading: &Reading<'a>,
    ) -> Option<CycleVerdict> {
        if reading.cycle.is_empty() {
            return None;
        }
        let after = turns(reading).map(|turn| self.kernel_chain(turn.dump, table, chain));
        let after: Vec<Option<Rc<KernelChain<'_>>>> = after.collect();
        let changed = |after: &Option<Rc<KernelChain<'_>>>| {
            compare_chains(before, after.as_deref()).0 == RestoreVerdict::Changed
        };
        Some(match () {
            () if after.iter().any(changed) => CycleVerdict::Drifts,
            () => CycleVerdict::Stable,
        })
    }

    /// Base chains that do something and were not there before a restore.
    fn new_chains(
        &self,
        table: &str,
        baseline: &Baseline<'a>,
        reading: &Reading<'a>,
    ) -> Vec<ChainVerdict> {
        let sync = reading.sync.as_ref();
        let rewrite = reading.rewrite.as_ref().map(|restored| restored.dump);
        let sync = sync.map(|restored| restored.dump);
        let dumps = rewrite.iter().chain(&sync);
        let mut names: Vec<&str> = dumps
            .flat_map(|dump| {
                chain_names(self.evidence.dump(*dump), self.backend, self.family, table)
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        let verdict = |chain: &str| {
            if self.kernel_chain(baseline.dump, table, chain).is_some() {
                return None;
            }
            let made = |dump| {
                let made: Rc<KernelChain<'_>> = self.kernel_chain(dump, table, chain)?;
                let rules = made.count();
                (rules > 0 || made.policy != Some("ACCEPT")).then_some(made.policy?)
            };
            let (rewritten, synced) = (rewrite.and_then(made), sync.and_then(made));
            let policy = rewritten.or(synced)?;
            let consequence = consequence::of_policy("ACCEPT", policy);
            let mut operations = ByOperation::default();
            let answers = [
                rewritten.map(|_| Answer::Rewrite(RestoreVerdict::Changed)),
                synced.map(|_| Answer::Sync(RestoreVerdict::Changed)),
            ];
            for answer in answers.into_iter().flatten() {
                operations.set_because(answer, Some(Reason::ChainNew));
            }
            Some(ChainVerdict {
                table: table.to_owned(),
                chain: chain.to_owned(),
                policy_before: None,
                policy_after: rewritten.map(str::to_owned),
                policy_after_sync: synced.map(str::to_owned),
                operations,
                consequence: consequence
                    .or(Some(Consequence::Misdirected))
                    .map(Impact::from),
            })
        };
        names.into_iter().filter_map(verdict).collect()
    }

    /// What the reader's save shows of a chain, beside what its writer prints; none where either says nothing of its
    /// table: then the rules say so.
    fn read_of_chain(
        &self,
        (table, chain): (&str, &str),
        baseline: &Baseline<'a>,
        reading: &Reading<'a>,
    ) -> Option<(PrintVerdict, Option<Reason>)> {
        let (written, saved) = (baseline.written.as_ref()?, &reading.saved);
        if self.crossed || !written.vouches_for(table) || !saved.vouches_for(table) {
            return None;
        }
        let differs = |reason| Some((PrintVerdict::Differs, Some(reason)));
        let was = written.tables.policy(table, chain)?;
        let Some(is) = saved.tables.policy(table, chain) else {
            return differs(Reason::ChainNotPrinted);
        };
        if was != is {
            return differs(Reason::PolicyPrintedOtherwise {
                writer: was.map(Into::into),
                reader: is.map(Into::into),
            });
        }
        let from = written.tables.listing(table, chain)?;
        let to = saved.tables.listing(table, chain)?;
        let known = &self.evidence.alignments;
        let beside = if self.speak_alike() {
            Aligned::new(known, &from, to)
        } else {
            Aligned::in_other_words(known, &from, None, to)
        };
        let added = beside.added();
        if added > 0 {
            return differs(Reason::MoreRulesPrinted(added));
        }
        match saved.tables.strays.first() {
            Some(stray) => differs(Reason::NoRulePrinted(stray.as_str().into())),
            None => Some((PrintVerdict::Same, None)),
        }
    }
}

/// What became of a chain as such: whether it is there, where it hangs, and its policy.
fn compare_chains(before: &KernelChain<'_>, after: Option<&KernelChain<'_>>) -> Judged {
    let Some(after) = after else {
        // An absent base chain accepts every packet, as an empty one with policy ACCEPT does.
        if before.is_idle() {
            return (RestoreVerdict::Kept, None, None);
        }
        let consequence = before
            .policy
            .and_then(|policy| consequence::of_policy(policy, "ACCEPT"));
        return (
            RestoreVerdict::Changed,
            Some(Reason::ChainGone),
            Some(consequence.unwrap_or(Consequence::Misdirected)),
        );
    };
    if before.same_hook(after) {
        let held = after.count();
        let more = held.saturating_sub(before.rules.len());
        if more == 0 {
            return (RestoreVerdict::Kept, None, None);
        }
        return (
            RestoreVerdict::Changed,
            Some(Reason::MoreRules(more)),
            Some(Consequence::Misdirected),
        );
    }
    match (before.policy, after.policy) {
        (Some(was), Some(is)) if was != is => (
            RestoreVerdict::Changed,
            Some(Reason::PolicyChanged {
                before: was.into(),
                after: is.into(),
            }),
            consequence::of_policy(was, is),
        ),
        _ => (
            RestoreVerdict::Changed,
            Some(Reason::HookChanged),
            Some(Consequence::Misdirected),
        ),
    }
}
