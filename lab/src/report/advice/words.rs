//! The words of an advice: who does what to which rule, and how sure that is.

use std::collections::BTreeSet;

use crate::advice::{Change, Changes, Found, Member, Newer};
use crate::judge::verdict::Verdict;
use crate::matrix::{Certainty, Harm};
use crate::plan::Operation;
use crate::report::terminal::inert;
use crate::report::wording::Parts;

/// A member's name, with the build that is tested for it where that only stands in for what it ships.
pub(super) fn name(member: &Member) -> String {
    match member.stands_in {
        true => format!("{} (tested as {})", inert(&member.name), member.build),
        false => inert(&member.name),
    }
}

/// Names, as a sentence has them.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// How a program changes rules.
pub(super) fn way(changes: Changes) -> &'static str {
    match changes {
        Changes::WholeTable => "rewrites whole tables",
        Changes::OwnChains => "restores its own chains with --noflush",
        Changes::SingleRules => "changes single rules (-A, -I, -C, -D)",
        Changes::Unknown => "how it changes rules is not known, so every way counts",
    }
}

/// What was not run, in the words of somebody who changes rules so.
pub(super) fn missing(operations: &[Operation]) -> String {
    let words: BTreeSet<&str> = operations.iter().map(|of| operation(*of)).collect();
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// An operation, as a user knows it.
pub(super) fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Write => "writing",
        Operation::Save => "iptables-save",
        Operation::List => "-S and -L",
        Operation::Rewrite | Operation::Recognition => "whole-table rewrites",
        Operation::Cycle => "repeated rewrites",
        Operation::Sync => "whole-table rewrites with a chain added",
        Operation::SyncNoflush => "iptables-restore --noflush",
        Operation::Check => "-C",
        Operation::Delete => "-D",
        Operation::Reassert => "writing the rules under the other backend",
        Operation::Effect => "packets",
    }
}

/// Who does it; of a reader whose way of changing rules is not known, in which case.
fn doer(harm: &Harm, reader: &str, changes: Changes) -> String {
    let way = match harm.operation {
        Operation::Rewrite | Operation::Recognition | Operation::Sync | Operation::Cycle => {
            "rewrites whole tables"
        }
        // A print that lacks something does harm when it is restored.
        Operation::Save if harm.verdict == Verdict::Lossy => "rewrites whole tables",
        Operation::SyncNoflush => "restores its own chains with --noflush",
        _ => return reader.to_owned(),
    };
    match changes {
        Changes::Unknown => format!("if {reader} {way}, it"),
        _ => reader.to_owned(),
    }
}

/// What a harm is, said of who does it.
pub(super) fn deed(harm: &Harm, writer: &str, reader: &str, changes: Changes) -> String {
    let (name, reader) = (reader, doer(harm, reader, changes));
    let because = harm.reason.as_ref();
    let because = because.map_or_else(String::new, |said| format!(" ({})", inert(said)));
    match harm.verdict {
        Verdict::Misread => format!(
            "{reader} stores the rule in another form, and {writer} then reads it {}",
            read_as(harm)
        ),
        Verdict::Unreadable => format!(
            "{reader} stores the table in another form, and {writer} cannot read it then{because}"
        ),
        Verdict::Crashed => format!("{reader} crashes{because}"),
        Verdict::TimedOut => format!("{reader} does not come to an end"),
        Verdict::Unrestorable => format!(
            "{reader} cannot restore: `{}` fails{because}",
            match harm.operation {
                Operation::SyncNoflush => "iptables-restore --noflush",
                _ => "iptables-restore",
            }
        ),
        Verdict::NothingToRestore => {
            format!("{reader} does not print the table, so it does not restore it{because}")
        }
        Verdict::Refused | Verdict::Unsupported => {
            format!("{reader} ends with an error{because}")
        }
        Verdict::Incompatible => match harm.reason.as_deref().map(inert) {
            Some(rule) => format!("{reader} cannot read the rule's table, because of rule {rule}"),
            None => format!("{reader} cannot read the rule's table, because of another rule"),
        },
        Verdict::NotFound => format!("{reader}'s `iptables -C` does not find the rule"),
        Verdict::NotDeleted => format!("{reader}'s `iptables -D` does not delete the rule"),
        Verdict::FoundWrong => format!(
            "{reader}'s `iptables -C` finds the rule where another one is that differs in its {}",
            harm.reason
                .as_deref()
                .map_or_else(|| "value".to_owned(), inert)
        ),
        Verdict::WrongRule => format!("{reader}'s `iptables -D` deletes another rule{because}"),
        Verdict::Doubled => format!("{reader} writes the rule again under its own backend"),
        Verdict::Drifts => {
            let becomes = parts(harm).suffered();
            let becomes = becomes.unwrap_or_else(|| "changes".to_owned());
            format!(
                "{name}'s first rewrite keeps the rule; as {writer} and {name} go on rewriting whole tables, it {becomes}"
            )
        }
        _ => format!("{reader} {}", loses(harm)),
    }
}

fn loses(harm: &Harm) -> String {
    let done = parts(harm).done();
    done.unwrap_or_else(|| "loses the whole rule".to_owned())
}

fn read_as(harm: &Harm) -> String {
    let left = parts(harm).left();
    left.unwrap_or_else(|| "differently".to_owned())
}

fn parts(harm: &Harm) -> Parts<'_> {
    Parts {
        lost: &harm.lost,
        altered: &harm.altered,
        added: &harm.added,
    }
}

/// What a harm does to packets, and how sure that is; none where nothing is known.
pub(super) fn consequence(harm: &Harm) -> Option<String> {
    let consequence = harm.consequence?;
    Some(match harm.certainty {
        Certainty::Shown => format!("{consequence} (confirmed with packets)"),
        Certainty::Predicted => format!("{consequence} (predicted)"),
        Certainty::Unmet => format!("{consequence} (predicted; no test packet hit the rule)"),
        Certainty::IfWrittenBack => {
            format!("no harm yet, {consequence} with the next restore")
        }
    })
}

/// Where a harm is done: `k0s-node, KUBE-FIREWALL rule 2`.
pub(super) fn place(found: &Found<'_>) -> String {
    let damage = found.damage;
    let chain = inert(&damage.chain);
    let subject = match damage.index {
        Some(index) => format!("{chain} rule {index}"),
        None => format!("chain {chain}"),
    };
    let family = match damage.family {
        crate::catalog::Family::Ipv4 => "",
        crate::catalog::Family::Ipv6 => " (IPv6)",
    };
    format!("{}{family}, {subject}", inert(&damage.scenario))
}

/// The least change, in a sentence.
pub(super) fn change(change: &Change, members: &[Member]) -> String {
    let each: Vec<String> = change.members.iter().map(|of| newer(of, members)).collect();
    format!("run {}", list(&each))
}

fn newer(of: &Newer, members: &[Member]) -> String {
    let or_newer = |is_so: bool| if is_so { " or newer" } else { "" };
    match &of.product {
        Some(product) => {
            let tested = product.tested_as.as_ref();
            let tested = tested.map_or_else(String::new, |build| format!(" (tested as {build})"));
            format!(
                "{} {}{}, which ships {}{tested}",
                product.name,
                product.version,
                or_newer(product.or_newer),
                product.package
            )
        }
        None => format!(
            "{} with iptables {}{}",
            inert(&members[of.member].name),
            of.release,
            or_newer(of.or_newer)
        ),
    }
}
