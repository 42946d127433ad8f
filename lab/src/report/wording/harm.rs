//! What is done to a rule or a chain, how sure its effect is, and what is known of it already.

use crate::judge::verdict::{Consequence, Verdict};
use crate::matrix::{Certainty, Form, Harm, KnownLoss, PartChange, SubjectKind};
use crate::plan::Operation;

/// What is done: the parts that differ, `match mark lost`, or what became of the whole.
pub fn what(form: &Form) -> String {
    let harm = &form.harm;
    match harm.verdict {
        Verdict::NotFound => return "-C does not find it".to_owned(),
        Verdict::NotDeleted => return "-D does not delete it".to_owned(),
        Verdict::FoundWrong => {
            let part = harm.reason.as_deref().unwrap_or("value");
            return format!("-C finds it with another {part}, too");
        }
        Verdict::WrongRule => return "-D deletes another rule".to_owned(),
        Verdict::Doubled => return "written again under the other backend".to_owned(),
        _ => {}
    }
    let by = match form.own_operation() {
        Some(Operation::Sync) => ", by a component that adds its own chain",
        Some(Operation::SyncNoflush) => {
            ", by a component that restores its own chains with --noflush"
        }
        _ => "",
    };
    let reason = harm.reason.as_deref();
    match form.of {
        _ if harm.takes_parts() => parts(harm, "; "),
        SubjectKind::Chain => format!("{}{by}", reason.unwrap_or("the chain")),
        SubjectKind::Rule => {
            let reason = reason.map_or_else(String::new, |said| format!(" ({said})"));
            match harm.verdict {
                Verdict::Unrestorable => format!("{}{reason}", failed_restore(harm.operation)),
                _ => format!("the whole rule{by}{reason}"),
            }
        }
    }
}

/// Which restore of the reader's fails.
fn failed_restore(operation: Operation) -> &'static str {
    match operation {
        Operation::Sync => "restoring its print with a chain added fails",
        Operation::SyncNoflush => "`iptables-restore --noflush` fails",
        _ => "restoring its own print fails",
    }
}

/// The parts that differ, with `between` what is lost, altered and added; nothing where none does.
pub fn parts(harm: &Harm, between: &str) -> String {
    let named = [
        (PartChange::Lost, &harm.lost),
        (PartChange::Altered, &harm.altered),
        (PartChange::Added, &harm.added),
    ];
    let named = named.into_iter().filter(|(_, names)| !names.is_empty());
    let words = named.map(|(how, names)| changed(names, how));
    words.collect::<Vec<_>>().join(between)
}

fn changed(names: &[String], how: PartChange) -> String {
    let how = match how {
        PartChange::Lost => "lost",
        PartChange::Altered => "altered",
        PartChange::Added => "added",
    };
    format!("{} {how}", names.join(", "))
}

/// What a harm does to packets, and how sure that is.
pub fn consequence(harm: &Harm) -> Option<String> {
    let consequence = harm.consequence?;
    Some(format!("{consequence}{}", certainty(harm.certainty)))
}

/// How sure a consequence is, behind its word.
pub fn certainty(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Shown => " (confirmed with packets)",
        Certainty::Predicted => " (predicted)",
        Certainty::Unmet => " (predicted; no test packet hit this rule)",
        Certainty::IfWrittenBack => " (only if what was read is written back)",
    }
}

/// A consequence, and in a word or few how sure it is.
pub fn consequence_in_short(consequence: Consequence, certainty: Certainty) -> String {
    let sure = match certainty {
        Certainty::Shown => "confirmed",
        Certainty::Predicted | Certainty::Unmet => "predicted",
        Certainty::IfWrittenBack => "if written back",
    };
    format!("{consequence}, {sure}")
}

/// A harm with its verdict and what it does to packets.
pub fn form(form: &Form) -> String {
    let consequence = consequence(&form.harm);
    let consequence = consequence.map_or_else(String::new, |said| format!("; {said}"));
    format!("{}: {}{consequence}", form.harm.verdict, what(form))
}

/// Why and where a loss is known.
pub fn known_loss(known: &KnownLoss) -> String {
    format!("{} ({})", known.reason, known.url)
}

/// Which losses of its pairings a known one is: `match mark lost; KUBE-FIREWALL 2`. Nothing where it is all of them.
pub(super) fn known_losses_of(known: &KnownLoss) -> String {
    let KnownLoss {
        loss,
        operation,
        lost,
        altered,
        added,
        said,
        cause,
        rules,
        ..
    } = known;
    let named = [
        (PartChange::Lost, lost),
        (PartChange::Altered, altered),
        (PartChange::Added, added),
    ];
    let is_of_parts = named.iter().any(|(_, names)| names.is_some());
    let named = named
        .into_iter()
        .filter_map(|(how, names)| Some((how, names.as_ref()?)));
    let mut all: Vec<String> = named
        .filter(|(_, names)| !names.is_empty())
        .map(|(how, names)| changed(names, how))
        .collect();
    if is_of_parts && all.is_empty() {
        all.push("whole rules".to_owned());
    }
    all.extend(loss.clone());
    all.extend(operation.map(|of| format!("with {of}")));
    all.extend(said.clone());
    all.extend(cause.clone());
    all.extend(rules.iter().cloned());
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn harm(operation: Operation, verdict: Verdict, reason: Option<&str>) -> Harm {
        Harm {
            operation,
            verdict,
            lost: Vec::new(),
            altered: Vec::new(),
            added: Vec::new(),
            reason: reason.map(str::to_owned),
            consequence: None,
            certainty: Certainty::Predicted,
        }
    }

    #[rstest]
    #[case::check(
        SubjectKind::Rule,
        Operation::Check,
        Verdict::NotFound,
        None,
        "-C does not find it"
    )]
    #[case::near_miss(
        SubjectKind::Rule,
        Operation::Check,
        Verdict::FoundWrong,
        Some("out-interface"),
        "-C finds it with another out-interface, too"
    )]
    #[case::refused(
        SubjectKind::Rule,
        Operation::Save,
        Verdict::Refused,
        Some("no"),
        "the whole rule (no)"
    )]
    #[case::of_an_own_chain(
        SubjectKind::Rule,
        Operation::Sync,
        Verdict::Changed,
        None,
        "the whole rule, by a component that adds its own chain"
    )]
    #[case::unrestorable(
        SubjectKind::Rule,
        Operation::SyncNoflush,
        Verdict::Unrestorable,
        Some("Bad argument `-'"),
        "`iptables-restore --noflush` fails (Bad argument `-')"
    )]
    #[case::chain(
        SubjectKind::Chain,
        Operation::Rewrite,
        Verdict::Changed,
        Some("the chain is gone"),
        "the chain is gone"
    )]
    fn what_takes_no_part_is_said_as_a_whole(
        #[case] of: SubjectKind,
        #[case] operation: Operation,
        #[case] verdict: Verdict,
        #[case] reason: Option<&str>,
        #[case] words: &str,
    ) {
        let harm = harm(operation, verdict, reason);
        assert_eq!(what(&Form { of, harm }), words);
    }

    #[test]
    fn parts_are_named_by_what_became_of_them() {
        let harm = Harm {
            lost: names(&["match mark", "match udp"]),
            altered: names(&["source"]),
            ..harm(Operation::Save, Verdict::Lossy, None)
        };
        let form = Form {
            of: SubjectKind::Rule,
            harm,
        };
        assert_eq!(what(&form), "match mark, match udp lost; source altered");
    }
}
