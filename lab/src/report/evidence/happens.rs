//! What happens, what is expected instead, and what it does to packets.

use std::fmt::Write;

use super::super::markdown::escape;
use super::{Backtrace, Evidence, capital, code, fenced};
use crate::catalog::Tool;
use crate::evidence::{Damaged, LossKind};
use crate::judge::verdict::{Effect, Verdict};
use crate::judge::{ChainVerdict, RuleVerdict};
use crate::plan::Operation;

pub(super) fn what_happens(evidence: &Evidence<'_>) -> String {
    let mut text = "## What happens\n\n".to_owned();
    let _ = writeln!(text, "The writer is given:\n\n{}", fenced(evidence.least));
    match evidence.damaged {
        Damaged::Rule(rule) => {
            of_rule(&mut text, rule, evidence.loss.kind);
            let mut crashes = evidence.whole.crashes.iter();
            let crash = crashes.find(|crash| crash.by == evidence.reader.id);
            if let (LossKind::Crashed, Some(crash)) = (evidence.loss.kind, crash) {
                let _ = writeln!(text, "What dies is {}.", code(&crash.argv.join(" ")));
            }
            let is_unproved = rule.lost.is_empty() && rule.witness_after.is_some();
            let in_kernel = [LossKind::Lossy, LossKind::Changed].contains(&evidence.loss.kind);
            if evidence.writer.tool == Tool::Nft && is_unproved && in_kernel {
                text.push_str(
                    "\nOf what nft itself wrote no print proves anything. The kernel's expressions are others than before, and \
                     whether they mean the same is not known here.\n",
                );
            }
        }
        Damaged::Chain(chain) => of_chain(&mut text, chain, evidence.loss.kind),
    }
    text.push_str(backtrace(evidence.backtrace));
    let _ = writeln!(text, "\n## Expected\n\n{}\n", expected(evidence.loss.kind));
    text
}

fn of_rule(text: &mut String, rule: &RuleVerdict, kind: LossKind) {
    let mut step = |what: &str, said: Option<&str>| {
        if let Some(said) = said {
            let _ = writeln!(text, "{what}:\n\n{}", fenced(said));
        }
    };
    step("It prints of the rule", rule.written.as_deref());
    step("The reader prints", rule.read.as_deref());
    // What a plain rewrite comes to is beside the point where it is another thing that shows the loss.
    if matches!(kind.operation(), Operation::Rewrite | Operation::Cycle) {
        step(
            "A third build (the newest) prints before the reader restored what it had printed",
            rule.witness_before.as_deref(),
        );
        step("and after", rule.witness_after.as_deref());
        step("The writer then prints", rule.reread.as_deref());
    }
    if kind == LossKind::FoundWrong {
        step(
            "The reader's -C finds the rule with",
            rule.near_miss.as_deref(),
        );
    }
    if kind == LossKind::WrongRule {
        step(
            "The reader's -D of it deletes instead",
            rule.deleted_instead.as_deref(),
        );
    }
    if let (LossKind::Drifts, Some(drift)) = (kind, &rule.drift) {
        let turn = format!(
            "In round {} {} restores what it printed, and a third build (the newest) then prints",
            drift.round, drift.by
        );
        step(&turn, Some(drift.to.as_deref().unwrap_or("no such rule")));
    }
    if let Some(reason) = &rule.reason {
        let by = match rule.read_verdict {
            Some(Verdict::Refused) => "The reader says",
            _ => said_by(kind),
        };
        let _ = writeln!(text, "{by}:\n\n{}", fenced(reason));
    }
    if matches!(kind, LossKind::Sync | LossKind::SyncNoflush) {
        text.push_str(
            "What the reader then restores is that with a chain and a jump of its own; what is there afterwards, a third build \
             (the newest) says in `after.save`.\n",
        );
    }
    let mut differ = |how: &str, changes: &[crate::ruleset::Change]| {
        for change in changes {
            let side = |side: &Option<String>| {
                side.as_ref()
                    .map_or("nothing".to_owned(), |words| code(words))
            };
            let _ = writeln!(
                text,
                "- {} {how}: {} is now {}",
                code(&change.part),
                side(&change.from),
                side(&change.to)
            );
        }
    };
    differ("is lost", &rule.lost);
    differ("is altered", &rule.altered);
    differ("is added", &rule.added);
}

/// Whose words a reason is in.
fn said_by(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Crashed | LossKind::TimedOut => "How the reader ends",
        LossKind::Unrestorable | LossKind::Refused => "The reader says",
        LossKind::WrongRule
        | LossKind::FoundWrong
        | LossKind::Lossy
        | LossKind::Changed
        | LossKind::Chain
        | LossKind::Sync
        | LossKind::SyncNoflush
        | LossKind::Misread
        | LossKind::Unreadable
        | LossKind::Drifts
        | LossKind::NotFound
        | LossKind::NotDeleted => "What is said of it",
    }
}

fn of_chain(text: &mut String, chain: &ChainVerdict, kind: LossKind) {
    let named = |policy: &Option<String>| policy.as_deref().map_or("none".to_owned(), code);
    let (done, policy_after) = match kind {
        LossKind::Sync => (
            "The reader prints the table, adds a chain and a jump of its own, and restores that.",
            Some(&chain.policy_after_sync),
        ),
        LossKind::SyncNoflush => (
            "The reader prints the table, and restores with --noflush its own chains of that, a new one and a jump to it.",
            None,
        ),
        LossKind::Drifts => (
            "The reader prints the table and restores what it printed, then the writer does, and so on.",
            None,
        ),
        _ => (
            "The reader prints the table and restores what it printed.",
            Some(&chain.policy_after),
        ),
    };
    let _ = writeln!(
        text,
        "{done} Then, of the chain {} in the table {}:\n\n{}\n- policy before: {}",
        code(&chain.chain),
        code(&chain.table),
        fenced(chain.reason.as_deref().unwrap_or("it is another chain")),
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
            "\nWhere it dies, gdb says in `backtrace.txt`. Distributions strip their binaries: with a built source tree \
             (`READER=/path/to/iptables KEEP=FOLDER ./reproduce.sh`) it has the functions' names.\n"
        }
        Some(Backtrace::NotAgain) => {
            "\nThere is no backtrace: under gdb the crash did not come again, or gdb could not run the reader.\n"
        }
        Some(Backtrace::NoDebugger) => {
            "\nThere is no backtrace: gdb is not at hand where this report was made. Where it is, \
             `KEEP=FOLDER ./reproduce.sh` writes one.\n"
        }
    }
}

fn expected(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Lossy | LossKind::Changed => {
            "The reader prints the rule that the kernel holds, and after it restored what it printed the kernel holds the \
             same rule; or it refuses, with a message and a nonzero exit status."
        }
        LossKind::Chain => {
            "After the reader restored what it printed, the chain is there as before, with its hook, its policy and no more \
             rules; or the reader refuses, with a message and a nonzero exit status."
        }
        LossKind::Misread => {
            "After the reader restored what it printed, the writer prints its rule as before; or it refuses, with a \
             message and a nonzero exit status."
        }
        LossKind::Unreadable => {
            "After the reader restored what it printed, the writer can print its table."
        }
        LossKind::FoundWrong => "`-C` of a rule that is not there ends with exit status 1.",
        LossKind::NotFound => "`-C` of a rule that is there ends with exit status 0.",
        LossKind::WrongRule => {
            "`-D` deletes the rule that it names; or it deletes none, with a message and a nonzero exit status."
        }
        LossKind::NotDeleted => {
            "`-D` of a rule that is there deletes it, and ends with exit status 0."
        }
        LossKind::Sync | LossKind::SyncNoflush => {
            "What a plain restore of the reader's own print keeps is kept too where a chain and a jump are added to it; or the \
             reader refuses, with a message and a nonzero exit status."
        }
        LossKind::Drifts => {
            "However often both restore what they printed, the kernel holds what the writer wrote; or one of them refuses, \
             with a message and a nonzero exit status."
        }
        LossKind::Crashed => "The reader ends by itself.",
        LossKind::TimedOut => "The reader ends.",
        LossKind::Unrestorable => "A build restores what it printed itself.",
        LossKind::Refused => "The reader prints the table.",
    }
}

pub(super) fn consequence(evidence: &Evidence<'_>) -> String {
    let Evidence { whole, loss, .. } = evidence;
    let mut text = "## Consequence\n\n".to_owned();
    let operation = loss.kind.operation();
    let shown = whole.probes.iter().filter_map(|probe| {
        let effect = probe.after.get(&operation)?;
        let then = probe.then.get(&operation);
        (*effect != Effect::AsBefore).then(|| {
            format!(
                "- packet {}: {} with the rules as written, {} after {}",
                code(&probe.name),
                escape(probe.written.as_deref().unwrap_or("not sent")),
                escape(then.map_or("otherwise", String::as_str)),
                done(operation)
            )
        })
    });
    let shown: Vec<String> = shown.collect();
    let damaged = loss.shown_by(whole);
    let consequence = damaged.and_then(|damaged| match damaged {
        Damaged::Rule(rule) => rule.consequence.or(rule.potential),
        Damaged::Chain(chain) => chain.consequence,
    });
    let is_proved = consequence.is_some_and(|of_rule| {
        let mut effects = whole
            .probes
            .iter()
            .filter_map(|probe| probe.after.get(&operation));
        effects.any(|effect| effect.consequence() == Some(of_rule))
    });
    let sentence = match (consequence, is_proved) {
        (Some(of_rule), true) => format!("{of_rule}: {}, as packets showed.", of_rule.meaning()),
        (Some(of_rule), false)
            if operation == Operation::Rewrite && loss.kind.is_seen_by_writer() =>
        {
            format!(
                "{of_rule}, once the writer writes back what it reads: {}. Until then the kernel holds the right rule.",
                of_rule.meaning()
            )
        }
        (Some(of_rule), false) if !shown.is_empty() => format!(
            "{of_rule}: {}. That is concluded from the rules; what packets showed, another rule explains.",
            of_rule.meaning()
        ),
        (Some(of_rule), false) => format!(
            "{of_rule}: {}. That is concluded from the rules; no packet was sent, or none met the rule.",
            of_rule.meaning()
        ),
        (None, _) => none_known(loss.kind).to_owned(),
    };
    let _ = writeln!(text, "{}\n", capital(&sentence));
    if !shown.is_empty() {
        let _ = writeln!(
            text,
            "In the whole of `{}`:\n\n{}\n",
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
fn none_known(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Crashed | LossKind::TimedOut => {
            "the reader cannot print the table at all, and neither keep nor repair what is in it. No rule in the kernel is \
             another one."
        }
        LossKind::Refused | LossKind::Unrestorable => {
            "the reader can neither keep nor repair what is in the table, and says so. No rule in the kernel is another one."
        }
        LossKind::WrongRule => "a rule that was to stay is gone, and the one that was to go stays.",
        LossKind::NotDeleted => {
            "the rule stays where its owner wants it gone, and is there twice once the owner writes it again."
        }
        LossKind::FoundWrong
        | LossKind::Lossy
        | LossKind::Changed
        | LossKind::Chain
        | LossKind::Sync
        | LossKind::SyncNoflush
        | LossKind::Misread
        | LossKind::Unreadable
        | LossKind::Drifts
        | LossKind::NotFound => "None that is known for packets.",
    }
}
