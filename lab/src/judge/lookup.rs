//! Whether the reader finds a rule: in its listings, with `-C`, and with `-D`.

use std::rc::Rc;

use super::evidence::{Deletion, Listed, Reading};
use super::kernel::{KernelChain, KernelRule};
use super::laid::Laid;
use super::outcome::{Answer, CheckVerdict, DeleteVerdict, PrintVerdict, RestoreVerdict};
use super::rule::{lacks_an_extension, says_unsupported};
use super::sheet::Listing;
use super::verdict::Verdict;
use super::{Pairing, RuleVerdict};
use crate::agent::protocol::End;
use crate::plan::step::Role;
use crate::plan::{Operation, sample};
use crate::recording::CommandRecord;
use crate::ruleset::compare;

impl<'a> Pairing<'a> {
    /// What the reader's `-S` printed of a chain; none where it was not run, or failed.
    pub(super) fn listing(
        &self,
        reading: &Reading<'a>,
        table: &str,
        chain: &str,
    ) -> Option<Listing> {
        let list = listed(reading, Role::ListRules, table)?;
        let is_whole = list.command.end == End::Exit(0);
        let sheet = self.evidence.list(list.command, table);
        sheet.listing(table, chain).filter(|_| is_whole)
    }

    /// What the reader's listings show of the rule: the worse of `-S` and `-L`.
    pub(super) fn list(
        &self,
        laid: Laid<'_, 'a>,
        rewrite: Option<RestoreVerdict>,
        verdict: &mut RuleVerdict,
    ) {
        let (reading, table) = (&laid.chain.reading, laid.place.table);
        let of_role = |role| Some(listed(reading, role, table)?.command);
        let by_rules = of_role(Role::ListRules).map(|command| {
            self.failed(command)
                .unwrap_or_else(|| self.shown_by_rules(laid, rewrite))
        });
        let by_table = of_role(Role::ListTable).map(|command| {
            self.failed(command)
                .unwrap_or_else(|| self.shown_by_table(laid, command, rewrite))
        });
        let worst = by_rules.into_iter().chain(by_table);
        let worst = worst.max_by_key(|verdict| Verdict::from(*verdict).severity());
        if let Some(worst) = worst {
            verdict.outcomes.set(Answer::List(worst));
        }
    }

    fn shown_by_rules(&self, laid: Laid<'_, 'a>, rewrite: Option<RestoreVerdict>) -> PrintVerdict {
        let found = laid.chain.listed.as_ref().zip(laid.written_place());
        let rule = found.and_then(|(listed, at)| listed.rule(at));
        match rule.map(|rule| Some(rule.tokens()) == laid.written().map(|w| w.tokens())) {
            Some(true) => PrintVerdict::Same,
            None if self.crossed => PrintVerdict::Invisible,
            Some(false) | None => PrintVerdict::of_difference(rewrite),
        }
    }

    /// `-L -n -v` prints no rule as it was given; how many there are can be counted.
    fn shown_by_table(
        &self,
        laid: Laid<'_, 'a>,
        command: &CommandRecord,
        rewrite: Option<RestoreVerdict>,
    ) -> PrintVerdict {
        let counts = self.evidence.counts(command);
        let printed = counts.get(&laid.place.rule.chain).copied().unwrap_or(0);
        match laid.chain.written.as_ref() {
            _ if self.crossed => PrintVerdict::Invisible,
            Some(written) if printed < written.listing.rules().len() => {
                PrintVerdict::of_difference(rewrite)
            }
            _ => PrintVerdict::Same,
        }
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

    /// Whether the reader's `-C` finds the rule, and what is not there.
    pub(super) fn check(&self, laid: Laid<'_, 'a>, verdict: &mut RuleVerdict) {
        let number = laid.place.global + 1;
        let Some(checks) = laid.chain.reading.checks.get(&number) else {
            self.note_unasked(laid, Operation::Check, verdict);
            return;
        };
        let of_rule = |wanted: Role| {
            let checks = checks.iter().filter(move |(role, _)| *role == wanted);
            checks.map(|(_, command)| *command)
        };
        let Some(check) = of_rule(Role::Check).next() else {
            return;
        };
        let wrong = of_rule(Role::CheckNearMiss).find(|near| near.end == End::Exit(0));
        if let Some(near) = wrong {
            verdict.near_miss = Some(self.changed_word(laid, near));
            verdict
                .outcomes
                .set(Answer::Check(CheckVerdict::FoundWrong));
            return;
        }
        let found = match self.looked_up(check) {
            LookedUp::There => CheckVerdict::Found,
            LookedUp::NotThere => CheckVerdict::NotFound,
            LookedUp::Crashed => CheckVerdict::Crashed,
            LookedUp::TimedOut => CheckVerdict::TimedOut,
            LookedUp::Unsupported => CheckVerdict::Unsupported,
        };
        verdict.outcomes.set(Answer::Check(found));
    }

    /// Says why the reader was not asked for a rule, where only some of a large ruleset's were to be asked for.
    fn note_unasked(&self, laid: Laid<'_, 'a>, operation: Operation, verdict: &mut RuleVerdict) {
        let asked = self.evidence.load.asked.as_ref();
        let is_left_out = asked.is_some_and(|asked| !asked.contains(laid.place.global));
        if is_left_out && self.case.wants(operation) && !self.crossed {
            verdict
                .outcomes
                .explain(operation, sample::NOT_SAMPLED.into());
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

    /// What the near miss has otherwise than the rule: `out-interface: -o eth0x`.
    fn changed_word(&self, laid: Laid<'_, 'a>, near: &CommandRecord) -> String {
        // `iptables -t TABLE -C CHAIN` stands before the rule.
        let tokens = near.argv.get(5..).unwrap_or_default();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let difference = compare(&laid.place.rule.tokens().to_vec(), &tokens);
        let change = difference.altered.into_iter().next();
        let word = change.and_then(|change| Some(format!("{}: {}", change.part, change.to?)));
        word.unwrap_or_else(|| tokens.join(" "))
    }

    /// What the reader's `-D` of the rule took.
    pub(super) fn delete(&self, laid: Laid<'_, 'a>, verdict: &mut RuleVerdict) {
        let number = laid.place.global + 1;
        let Some(deletion) = laid.chain.reading.deletions.get(&number) else {
            self.note_unasked(laid, Operation::Delete, verdict);
            return;
        };
        let said = self.looked_up(deletion.command);
        let deleted = match (said, self.taken(laid, deletion)) {
            (LookedUp::There, Taken::Rule(rule)) if Some(rule) == held(laid) => {
                DeleteVerdict::Deleted
            }
            (LookedUp::There | LookedUp::NotThere, Taken::Nothing) => DeleteVerdict::NotDeleted,
            (LookedUp::Crashed, Taken::Nothing) => DeleteVerdict::Crashed,
            (LookedUp::TimedOut, Taken::Nothing) => DeleteVerdict::TimedOut,
            (LookedUp::Unsupported, Taken::Nothing) => DeleteVerdict::Unsupported,
            (_, Taken::Rule(rule)) => {
                verdict.deleted_instead = Some(self.printed(laid, rule));
                DeleteVerdict::WrongRule
            }
            (_, Taken::More) => {
                verdict.deleted_instead = Some("more than one rule".to_owned());
                DeleteVerdict::WrongRule
            }
        };
        verdict.outcomes.set(Answer::Delete(deleted));
    }

    fn taken(&self, laid: Laid<'_, 'a>, deletion: &Deletion<'a>) -> Taken<'a> {
        let (table, chain) = (laid.place.table, laid.place.rule.chain.as_str());
        let rules = |dump| {
            let chain: Option<Rc<KernelChain<'a>>> = self.kernel_chain(dump, table, chain);
            chain.map_or_else(Vec::new, |chain| chain.rules.clone())
        };
        let (before, after) = (rules(deletion.before), rules(deletion.after));
        if deletion.before == deletion.after {
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
    fn printed(&self, laid: Laid<'_, 'a>, rule: KernelRule<'a>) -> String {
        let held = laid.chain.before.as_ref();
        let at = held.and_then(|held| held.rules.iter().position(|of| of.is_alike(&rule)));
        let witness = laid.chain.witness.as_ref();
        let listed = at.and_then(|at| witness?.listing.rules().get(at));
        listed.map_or_else(|| "another rule".to_owned(), |rule| rule.text.to_string())
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
fn held<'a>(laid: Laid<'_, 'a>) -> Option<KernelRule<'a>> {
    let place = laid.kernel_place()?;
    laid.chain.before.as_ref()?.rules.get(place).copied()
}

fn listed<'r, 'a>(reading: &'r Reading<'a>, role: Role, table: &str) -> Option<&'r Listed<'a>> {
    let mut lists = reading.lists.iter();
    lists.find(|list| list.role == role && list.table == table)
}
