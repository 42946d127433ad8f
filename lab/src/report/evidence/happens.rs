//! What happens, what is expected instead, and what it does to packets.

use std::fmt::Write;

use super::super::markdown::escape;
use super::super::wording;
use super::{Backtrace, Evidence, capital, code, fenced};
use crate::evidence::{Damaged, Loss, LossKind};
use crate::judge::verdict::{Effect, Verdict};
use crate::judge::{ChainVerdict, Reason, RuleVerdict};
use crate::plan::Operation;

pub(super) fn what_happens(evidence: &Evidence<'_>) -> String {
    let mut text = "## What happens\n\n".to_owned();
    let _ = writeln!(
        text,
        "The writer gets these rules:\n\n{}",
        fenced(evidence.least)
    );
    match evidence.damaged {
        Damaged::Rule(rule) => {
            of_rule(&mut text, rule, evidence.loss);
            let mut crashes = evidence.whole.outcome.crashes.iter();
            let crash = crashes.find(|crash| crash.by == evidence.reader.id);
            if let (LossKind::Crashed, Some(crash)) = (evidence.loss.kind(), crash) {
                let _ = writeln!(
                    text,
                    "The command that dies: {}.",
                    code(&crash.argv.join(" "))
                );
            }
            let is_unproved = rule.lost.is_empty() && rule.witness_after.is_some();
            let in_kernel = [LossKind::Lossy, LossKind::Changed].contains(&evidence.loss.kind());
            let (writer, reader) = (evidence.writer.tool, evidence.reader.tool);
            if writer != reader && is_unproved && in_kernel {
                let _ = write!(
                    text,
                    "\n{writer} wrote this rule, and no {reader} prints it as {writer} does. The kernel's expressions differ from \
                     those before; whether they mean the same is not known here.\n",
                );
            }
        }
        Damaged::Chain(chain) => of_chain(&mut text, chain, evidence.loss),
    }
    text.push_str(backtrace(evidence.backtrace));
    let _ = writeln!(text, "\n## Expected\n\n{}\n", expected(evidence.loss));
    text
}

fn of_rule(text: &mut String, rule: &RuleVerdict, loss: &Loss) {
    let (kind, operation) = (loss.kind(), loss.harm.operation);
    let mut step = |what: &str, said: Option<&str>| {
        if let Some(said) = said {
            let _ = writeln!(text, "{what}:\n\n{}", fenced(said));
        }
    };
    step("The writer prints the rule as", rule.written.as_deref());
    step("The reader prints it as", rule.read.as_deref());
    // What a plain rewrite comes to is beside the point where it is another thing that shows the loss.
    if matches!(
        operation,
        Operation::Rewrite | Operation::Recognition | Operation::Cycle
    ) {
        step(
            "Before the reader's restore, a third build (the newest) prints",
            rule.witness_before.as_deref(),
        );
        step(
            "After it, the third build prints",
            rule.witness_after.as_deref(),
        );
        step("After it, the writer prints", rule.reread.as_deref());
    }
    if kind == LossKind::FoundWrong {
        step(
            "The reader's -C also finds the rule with another value",
            rule.near_miss.as_deref(),
        );
    }
    if kind == LossKind::WrongRule {
        step(
            "The reader's -D of this rule deletes another one",
            rule.deleted_instead.as_deref(),
        );
    }
    if let (LossKind::Drifts, Some(drift)) = (kind, &rule.drift) {
        let turn = format!(
            "In round {}, {} restores what it printed; after that, a third build (the newest) prints",
            drift.round, drift.by
        );
        step(&turn, Some(drift.to.as_deref().unwrap_or("no such rule")));
    }
    if matches!(operation, Operation::Sync | Operation::SyncNoflush) {
        text.push_str("The reader then restores this print with a chain and a jump of its own.");
        if matches!(kind, LossKind::Sync | LossKind::SyncNoflush) {
            text.push_str(" `after.save` is what a third build (the newest) prints after that.");
        }
        text.push_str("\n\n");
    }
    if let Some(reason) = rule.reason() {
        let by = match rule.of(Operation::Save) {
            Some(Verdict::Refused) => "The reader says",
            _ => said_by(loss),
        };
        let _ = writeln!(text, "{by}:\n\n{}", fenced(&reason.to_string()));
    }
    let mut differ = |how: &str, changes: &[crate::tool::Change]| {
        for change in changes {
            let what = match (&change.from, &change.to) {
                (Some(from), Some(to)) => format!(": {} is now {}", code(from), code(to)),
                (Some(only), None) | (None, Some(only)) => format!(": {}", code(only)),
                (None, None) => String::new(),
            };
            let _ = writeln!(text, "- {} {how}{what}", code(&change.part));
        }
    };
    differ("is lost", &rule.lost);
    differ("is altered", &rule.altered);
    differ("is added", &rule.added);
}

/// Whose words a reason is in.
fn said_by(loss: &Loss) -> &'static str {
    match (loss.kind(), loss.harm.operation) {
        (LossKind::Crashed | LossKind::TimedOut, _) => "How the reader ends",
        (LossKind::Unrestorable, Operation::SyncNoflush) => {
            "The reader's restore with --noflush says"
        }
        (LossKind::Unrestorable, _) => "The reader's restore says",
        (LossKind::Refused, _) => "The reader says",
        _ => "The lab notes",
    }
}

fn of_chain(text: &mut String, chain: &ChainVerdict, loss: &Loss) {
    let named = |policy: &Option<String>| policy.as_deref().map_or("none".to_owned(), code);
    let (done, policy_after) = match loss.harm.operation {
        Operation::Sync => (
            "The reader prints the table, adds a chain and a jump of its own, and restores that.",
            Some(&chain.policy_after_sync),
        ),
        Operation::SyncNoflush => (
            "The reader prints the table. It restores its own chains of it, a new chain and a jump to that with --noflush.",
            None,
        ),
        Operation::Cycle => (
            "The reader prints the table and restores what it printed, then the writer does, and so on.",
            None,
        ),
        _ => (
            "The reader prints the table and restores what it printed.",
            Some(&chain.policy_after),
        ),
    };
    let reason = chain.reason().map(Reason::to_string);
    let _ = writeln!(
        text,
        "{done} After that, the chain {} in the table {} is another one:\n\n{}\n- policy before: {}",
        code(&chain.chain),
        code(&chain.table),
        fenced(reason.as_deref().unwrap_or("it is another chain")),
        named(&chain.policy_before),
    );
    if let Some(after) = policy_after {
        let _ = writeln!(text, "- policy after: {}", named(after));
    }
}

fn backtrace(backtrace: Option<Backtrace>) -> &'static str {
    match backtrace {
        None => "",
        Some(Backtrace::Kept) => {
            "\n`backtrace.txt` is gdb's backtrace. Distributions strip their binaries: a built source tree \
             (`READER=/path/to/iptables KEEP=FOLDER ./reproduce.sh`) gives the functions' names.\n"
        }
        Some(Backtrace::NotAgain) => {
            "\nThere is no backtrace: the reader did not crash under gdb, or gdb could not run it.\n"
        }
        Some(Backtrace::NoDebugger) => {
            "\nThere is no backtrace: this machine has no gdb. On a machine with gdb, `KEEP=FOLDER ./reproduce.sh` writes one.\n"
        }
    }
}

fn expected(loss: &Loss) -> &'static str {
    match loss.kind() {
        LossKind::Changed if loss.harm.operation == Operation::Reassert => {
            "The writer's rules stay as they are while a reader of the other backend writes its own."
        }
        LossKind::Lossy | LossKind::Changed => {
            "The reader prints the rule that the kernel holds. After the reader restored what it printed, the kernel holds the \
             same rule. Otherwise the reader refuses, with a message and a nonzero exit status."
        }
        LossKind::Chain => {
            "After the reader restored what it printed, the chain is there as before, with its hook, its policy and no more \
             rules. Otherwise the reader refuses, with a message and a nonzero exit status."
        }
        LossKind::Misread => {
            "After the reader restored what it printed, the writer prints its rule as before. Otherwise the writer refuses, \
             with a message and a nonzero exit status."
        }
        LossKind::Unreadable => {
            "After the reader restored what it printed, the writer can print its table."
        }
        LossKind::FoundWrong => "`-C` of a rule that is not there ends with exit status 1.",
        LossKind::NotFound => "`-C` of a rule that is there ends with exit status 0.",
        LossKind::WrongRule => {
            "`-D` deletes the rule that it names. Otherwise it deletes nothing, with a message and a nonzero exit status."
        }
        LossKind::NotDeleted => {
            "`-D` of a rule that is there deletes it, and ends with exit status 0."
        }
        LossKind::Sync | LossKind::SyncNoflush => {
            "A restore with a chain and a jump of the reader's own keeps the rules that a plain restore keeps. Otherwise the \
             reader refuses, with a message and a nonzero exit status."
        }
        LossKind::Drifts => {
            "However often both restore what they printed, the kernel holds what the writer wrote. Otherwise one of them \
             refuses, with a message and a nonzero exit status."
        }
        LossKind::Crashed => "The reader ends by itself.",
        LossKind::TimedOut => "The reader ends.",
        LossKind::Unrestorable => "A build can restore what it printed itself.",
        LossKind::Refused => match loss.harm.operation {
            Operation::List => "The reader lists the table.",
            Operation::Check => "`-C` of a rule that is there ends with exit status 0.",
            Operation::Delete => "`-D` of a rule that is there ends with exit status 0.",
            Operation::Reassert => "The reader can write the rules, too.",
            _ => "The reader prints the table.",
        },
        LossKind::Doubled => {
            "A reader that looks for rules before it writes them finds those that are there."
        }
    }
}

pub(super) fn consequence(evidence: &Evidence<'_>) -> String {
    let Evidence { whole, loss, .. } = evidence;
    let mut text = "## Consequence\n\n".to_owned();
    let operation = match loss.harm.operation {
        Operation::Recognition => Operation::Rewrite,
        operation => operation,
    };
    let shown = whole.outcome.probes.iter().filter_map(|probe| {
        let effect = probe.after.get(&operation)?;
        let then = probe.then.get(&operation);
        (*effect != Effect::AsBefore).then(|| {
            format!(
                "- {}: {} before, {} after {}",
                code(&probe.name),
                escape(wording::sent(probe.written.as_deref())),
                escape(then.map_or("otherwise", String::as_str)),
                done(operation)
            )
        })
    });
    let shown: Vec<String> = shown.collect();
    let damaged = loss.shown_by(whole);
    let consequence = damaged.and_then(|damaged| match damaged {
        Damaged::Rule(rule) => rule.does(),
        Damaged::Chain(chain) => chain.does(),
    });
    let is_proved = consequence.is_some_and(|of_rule| {
        let mut effects = whole
            .outcome
            .probes
            .iter()
            .filter_map(|probe| probe.after.get(&operation));
        effects.any(|effect| effect.consequence() == Some(of_rule))
    });
    let sentence = match (consequence, is_proved) {
        (Some(of_rule), true) => {
            format!(
                "{of_rule} (confirmed with packets): {}.",
                wording::consequence_meaning(of_rule)
            )
        }
        (Some(of_rule), false)
            if operation == Operation::Rewrite && loss.kind().is_seen_by_writer() =>
        {
            format!(
                "{of_rule} as soon as the writer restores what it prints: {}. Until then the kernel holds the right rule.",
                wording::consequence_meaning(of_rule)
            )
        }
        (Some(of_rule), false) if !shown.is_empty() => format!(
            "{of_rule} (predicted): {}. Another rule explains what the test packets showed.",
            wording::consequence_meaning(of_rule)
        ),
        (Some(of_rule), false) => format!(
            "{of_rule} (predicted; no test packet hit this rule): {}.",
            wording::consequence_meaning(of_rule)
        ),
        (None, _) => none_known(loss).to_owned(),
    };
    let _ = writeln!(text, "{}\n", capital(&sentence));
    if !shown.is_empty() {
        let _ = writeln!(
            text,
            "Test packets in the whole scenario `{}`:\n\n{}\n",
            evidence.found_in.name,
            shown.join("\n")
        );
    }
    text
}

/// What the reader did, as packets met it afterwards.
fn done(operation: Operation) -> &'static str {
    match operation {
        Operation::Sync => "the reader's restore with a chain of its own",
        Operation::SyncNoflush => "the reader's restore with --noflush",
        Operation::Cycle => "reader and writer rewrote in turn",
        _ => "the reader's rewrite",
    }
}

/// What stands for a consequence where the kernel's rules stay as they are.
fn none_known(loss: &Loss) -> &'static str {
    match loss.kind() {
        LossKind::Crashed | LossKind::TimedOut => {
            "the reader can neither keep nor repair these rules. The kernel still holds every rule."
        }
        LossKind::Unrestorable if loss.harm.operation == Operation::SyncNoflush => {
            "the reader cannot write its own chains, and says so. The kernel still holds every rule."
        }
        LossKind::Refused | LossKind::Unrestorable => {
            "the reader can neither keep nor repair these rules, and says so. The kernel still holds every rule."
        }
        LossKind::WrongRule => "the wrong rule is deleted, and the rule to delete stays.",
        LossKind::NotDeleted => {
            "the rule stays after its owner deleted it, and is there twice when the owner writes it again."
        }
        LossKind::NotFound => "a component that looks first adds the rule once more each time.",
        LossKind::FoundWrong => "a component that looks first never adds the rule that it wants.",
        LossKind::Doubled => {
            "the kernel holds the rules under both backends, and packets meet both."
        }
        LossKind::Lossy
        | LossKind::Changed
        | LossKind::Chain
        | LossKind::Sync
        | LossKind::SyncNoflush
        | LossKind::Misread
        | LossKind::Unreadable
        | LossKind::Drifts => "no effect on packets is known.",
    }
}
