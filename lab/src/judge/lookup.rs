//! Whether the reader finds a rule: in its listings, with `-C`, and with `-D`.

use std::rc::Rc;

use super::by_operation::{Answer, CheckVerdict, DeleteVerdict, PrintVerdict, RestoreVerdict};
use super::chain_in_lane::RuleInLane;
use super::kernel::{KernelChain, KernelRule};
use super::printed_tables::Listing;
use super::reading::Deletion;
use super::reason::{DeletedInstead, Reason};
use super::rule::{lacks_an_extension, says_unsupported};
use super::verdict::Verdict;
use super::{NotRun, Pairing, RuleVerdict};
use crate::observed::End;
use crate::plan::Operation;
use crate::plan::step::RuleSet;
use crate::plan::trace::Asked;
use crate::recording::CommandRecord;
use crate::tool::ListedAs;

impl<'a> Pairing<'a> {
    /// What the reader's `-S` of all the rules printed of a chain; none where it was not run, or failed, or where only some
    /// `rules` were in the lane.
    pub(super) fn listing(&self, rules: &RuleSet, table: &str, chain: &str) -> Option<Listing> {
        let is_whole = self.whole == Some(rules);
        let list = self.look_ups.lists.get(&(ListedAs::Rules, table));
        let list = list.filter(|list| is_whole && list.end == End::Exit(0))?;
        let tables = self.evidence.list(list, table);
        tables.listing(table, chain)
    }

    /// Whether the reader finds the rule among all the rules: it is not asked of parts of them.
    pub(super) fn look_up(&self, in_lane: RuleInLane<'_, 'a>, verdict: &mut RuleVerdict) {
        self.list(in_lane, verdict);
        self.check(in_lane, verdict);
        self.delete(in_lane, verdict);
    }

    /// What the reader's listings show of the rule: the worse of `-S` and `-L`.
    fn list(&self, in_lane: RuleInLane<'_, 'a>, verdict: &mut RuleVerdict) {
        let lists = &self.look_ups.lists;
        let listed = |listed_as| lists.get(&(listed_as, in_lane.location.table)).copied();
        let rewrite = verdict.operations.restored(Operation::Rewrite);
        let by_rules = listed(ListedAs::Rules).map(|command| {
            self.failed(command)
                .unwrap_or_else(|| self.shown_by_rules(in_lane, rewrite))
        });
        let by_table = listed(ListedAs::Table).map(|command| {
            self.failed(command)
                .unwrap_or_else(|| self.shown_by_table(in_lane, command, verdict))
        });
        let worst = by_rules.into_iter().chain(by_table);
        let worst = worst.max_by_key(|verdict| Verdict::from(*verdict).severity());
        // It is not asked of parts of the rules, so what it is without those at fault is not known.
        let save = verdict.operations.as_run(Operation::Save).cloned();
        let save = save.filter(|of| of.verdict == Verdict::Incompatible);
        match (worst, save) {
            (Some(PrintVerdict::Refused), Some(as_run)) => {
                verdict.operations.run_as(Operation::List, as_run);
            }
            (Some(worst), _) => verdict.operations.set(Answer::List(worst)),
            (None, _) => {}
        }
    }

    fn shown_by_rules(
        &self,
        in_lane: RuleInLane<'_, 'a>,
        rewrite: Option<RestoreVerdict>,
    ) -> PrintVerdict {
        let found = in_lane.chain.listed.as_ref().zip(in_lane.written_place());
        let rule = found.and_then(|(listed, at)| listed.rule(at));
        match rule.map(|rule| Some(rule.tokens()) == in_lane.written().map(|w| w.tokens())) {
            Some(true) => PrintVerdict::Same,
            None if self.crossed => PrintVerdict::Invisible,
            Some(false) | None => PrintVerdict::of_difference(rewrite),
        }
    }

    /// `-L -n -v` prints no rule as it was given: what the reader lists is compared with what the writer lists of the same
    /// state, word by word. Where that cannot be told, how many there are can be counted.
    fn shown_by_table(
        &self,
        in_lane: RuleInLane<'_, 'a>,
        command: &CommandRecord,
        verdict: &mut RuleVerdict,
    ) -> PrintVerdict {
        if self.crossed {
            return PrintVerdict::Invisible;
        }
        let rewrite = verdict.operations.restored(Operation::Rewrite);
        let differs = || PrintVerdict::of_difference(rewrite);
        let chain = &in_lane.location.rule.chain;
        let by_reader = self.evidence.listed_table(command);
        let printed = by_reader.get(chain).map_or(&[][..], Vec::as_slice);
        let Some(written) = in_lane.chain.written.as_ref() else {
            return PrintVerdict::Same;
        };
        if printed.len() < written.listing.rules().len() {
            return differs();
        }
        let by_writer = self
            .evidence
            .listed_by_writer(self.writer, in_lane.location.table);
        let own = by_writer.as_ref().and_then(|of| of.get(chain));
        let own = own.filter(|own| own.len() == printed.len());
        let pair = own.zip(in_lane.written_place());
        let pair = pair.and_then(|(own, at)| own.get(at).zip(printed.get(at)));
        let Some((own, listed)) = pair.filter(|(own, listed)| own != listed) else {
            return PrintVerdict::Same;
        };
        let otherwise = listed_otherwise(own, listed);
        verdict.operations.explain(Operation::List, otherwise);
        differs()
    }

    /// The verdict where a command that only reads did not end well.
    fn failed(&self, command: &CommandRecord) -> Option<PrintVerdict> {
        match command.end {
            End::Exit(0) => None,
            End::Signal(_) => Some(PrintVerdict::Crashed),
            End::TimedOut => Some(PrintVerdict::TimedOut),
            End::NotFound(_) => Some(PrintVerdict::Unsupported),
            End::Exit(_) if says_unsupported(&self.complaint(command)) => {
                Some(PrintVerdict::Unsupported)
            }
            End::Exit(_) => Some(PrintVerdict::Refused),
        }
    }

    /// What a `-C` of a rule comes to.
    fn found(&self, command: &CommandRecord) -> CheckVerdict {
        match self.looked_up(command) {
            LookedUp::There => CheckVerdict::Found,
            LookedUp::NotThere => CheckVerdict::NotFound,
            LookedUp::Crashed => CheckVerdict::Crashed,
            LookedUp::TimedOut => CheckVerdict::TimedOut,
            LookedUp::Unsupported => CheckVerdict::Unsupported,
        }
    }

    /// Whether the reader's `-C` finds the rule, and what is not there.
    fn check(&self, in_lane: RuleInLane<'_, 'a>, verdict: &mut RuleVerdict) {
        let Some(checks) = self.look_ups.checks.get(&in_lane.location.global) else {
            self.note_unasked(in_lane, Operation::Check, verdict);
            return;
        };
        for (asked, command) in checks {
            match asked {
                Asked::Given => {
                    let found = self.found(command);
                    if verdict.of(Operation::Check).is_none() {
                        verdict.operations.set(Answer::Check(found));
                    }
                }
                Asked::NearMiss { otherwise } if command.end == End::Exit(0) => {
                    verdict.near_miss = Some(otherwise.clone());
                    let wrong = Answer::Check(CheckVerdict::FoundWrong);
                    verdict.operations.set(wrong);
                }
                Asked::Reordered => {
                    verdict.check_reordered = Some(self.found(command).into());
                }
                Asked::NearMiss { .. } => {}
            }
        }
    }

    /// Says why the reader was not asked for a rule, where only some of a large ruleset's were to be asked for.
    fn note_unasked(
        &self,
        in_lane: RuleInLane<'_, 'a>,
        operation: Operation,
        verdict: &mut RuleVerdict,
    ) {
        let asked = self.evidence.load.asked.as_ref();
        let is_left_out = asked.is_some_and(|asked| !asked.contains(in_lane.location.global));
        if is_left_out && self.case.wants(operation) && !self.crossed {
            verdict.operations.not_run(operation, NotRun::NotSampled);
        }
    }

    /// What a `-C` or `-D` says, which exit with nonzero status where there is no such rule.
    fn looked_up(&self, command: &CommandRecord) -> LookedUp {
        match command.end {
            End::Exit(0) => LookedUp::There,
            End::Signal(_) => LookedUp::Crashed,
            End::TimedOut => LookedUp::TimedOut,
            End::NotFound(_) => LookedUp::Unsupported,
            End::Exit(_) if lacks_an_extension(&self.complaint(command)) => LookedUp::Unsupported,
            End::Exit(_) => LookedUp::NotThere,
        }
    }

    /// What the reader's `-D` of the rule took.
    fn delete(&self, in_lane: RuleInLane<'_, 'a>, verdict: &mut RuleVerdict) {
        let Some(deletion) = self.look_ups.deletions.get(&in_lane.location.global) else {
            self.note_unasked(in_lane, Operation::Delete, verdict);
            return;
        };
        let said = self.looked_up(deletion.command);
        let deleted = match (said, self.taken(in_lane, deletion)) {
            (LookedUp::There, Taken::Rule(rule))
                if held(in_lane).is_some_and(|held| held.is_alike(&rule)) =>
            {
                DeleteVerdict::Deleted
            }
            (LookedUp::There | LookedUp::NotThere, Taken::Nothing) => DeleteVerdict::NotDeleted,
            (LookedUp::Crashed, Taken::Nothing) => DeleteVerdict::Crashed,
            (LookedUp::TimedOut, Taken::Nothing) => DeleteVerdict::TimedOut,
            (LookedUp::Unsupported, Taken::Nothing) => DeleteVerdict::Unsupported,
            (_, Taken::Rule(rule)) => {
                verdict.deleted_instead = Some(self.printed(in_lane, rule).to_string());
                DeleteVerdict::WrongRule
            }
            (_, Taken::More) => {
                verdict.deleted_instead = Some(DeletedInstead::Several.to_string());
                DeleteVerdict::WrongRule
            }
        };
        verdict.operations.set(Answer::Delete(deleted));
    }

    fn taken(&self, in_lane: RuleInLane<'_, 'a>, deletion: &Deletion<'a>) -> Taken<'a> {
        let (table, chain) = (in_lane.location.table, in_lane.location.rule.chain.as_str());
        let rules = |dump| {
            let chain: Option<Rc<KernelChain<'a>>> = self.kernel_chain(dump, table, chain);
            chain.map_or_else(Vec::new, |chain| chain.rules.clone())
        };
        let (before, after) = (rules(deletion.before), rules(deletion.after));
        let [held, left] = [deletion.before, deletion.after].map(|dump| self.evidence.dump(dump));
        if deletion.before == deletion.after || held.is_same_but_stamps(left) {
            return Taken::Nothing;
        }
        let alike = |(one, other): &(&KernelRule<'_>, &KernelRule<'_>)| one.is_alike(other);
        let kept = before.iter().zip(&after).take_while(alike).count();
        let rest = before.iter().skip(kept + 1).zip(after.iter().skip(kept));
        match before.get(kept) {
            Some(gone)
                if after.len() + 1 == before.len() && rest.into_iter().all(|p| alike(&p)) =>
            {
                Taken::Rule(*gone)
            }
            _ => Taken::More,
        }
    }

    /// A rule of the kernel's as the witness prints it.
    fn printed(&self, in_lane: RuleInLane<'_, 'a>, rule: KernelRule<'a>) -> DeletedInstead {
        let held = in_lane.chain.before.as_ref();
        let at = held.and_then(|held| held.rules.iter().position(|of| of.is_alike(&rule)));
        let witness = in_lane.chain.witness.as_ref();
        let listed = at.and_then(|at| witness?.listing.rules().get(at));
        listed.map_or(DeletedInstead::UnknownRule, |rule| {
            DeletedInstead::Rule(rule.text.clone())
        })
    }
}

/// What `-L` prints otherwise than the writer's.
fn listed_otherwise(own: &[String], listed: &[String]) -> Reason {
    let alike = own.iter().zip(listed).take_while(|(a, b)| a == b).count();
    let ends = own[alike..].iter().rev().zip(listed[alike..].iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    let words = |of: &[String]| {
        let words = of[alike..of.len() - end].join(" ");
        (!words.is_empty()).then(|| words.into())
    };
    Reason::ListedOtherwise {
        reader: words(listed),
        writer: words(own),
    }
}

/// What a build says that is asked for a rule.
enum LookedUp {
    /// There is such a rule.
    There,
    /// There is none, or not what it takes to ask.
    NotThere,
    /// A signal ended it.
    Crashed,
    /// It did not end.
    TimedOut,
    /// It lacks what the rule takes.
    Unsupported,
}

/// What a deletion took from its chain.
enum Taken<'a> {
    Nothing,
    Rule(KernelRule<'a>),
    More,
}

/// The rule as the kernel held it when its writer had written it.
fn held<'a>(in_lane: RuleInLane<'_, 'a>) -> Option<KernelRule<'a>> {
    let place = in_lane.kernel_place()?;
    in_lane.chain.before.as_ref()?.rules.get(place).copied()
}
