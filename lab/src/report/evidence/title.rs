//! A loss in half a sentence: the title of a bug report.

use super::super::wording;
use crate::evidence::{Loss, LossKind};
use crate::matrix::SubjectKind;
use crate::plan::Operation;

/// What is wrong, and what was done.
pub fn title(loss: &Loss) -> String {
    let what = || what(loss);
    match loss.kind() {
        LossKind::WrongRule => "-D deletes another rule".to_owned(),
        LossKind::FoundWrong => "-C finds a rule that is not there".to_owned(),
        LossKind::Lossy => format!("{} when the reader prints and restores the rules", what()),
        LossKind::Changed if loss.harm.operation == Operation::Reassert => {
            "the writer's rules change when a reader of the other backend writes its own".to_owned()
        }
        LossKind::Changed => format!("{} by the reader's restore", what()),
        LossKind::Chain => format!("the reader's restore changes a chain: {}", what()),
        LossKind::Sync => format!(
            "{} when the reader restores with a chain of its own",
            what()
        ),
        LossKind::SyncNoflush => format!(
            "{} when the reader restores its own chains with --noflush",
            what()
        ),
        LossKind::Drifts => {
            format!("{} when reader and writer restore in turn", what())
        }
        LossKind::Misread => format!(
            "{} in what the writer prints after the reader's restore",
            what()
        ),
        LossKind::Unreadable => {
            "the writer cannot print its table after the reader's restore".to_owned()
        }
        LossKind::NotFound => "-C does not find the rule".to_owned(),
        LossKind::NotDeleted => "-D does not delete the rule".to_owned(),
        LossKind::Crashed => format!("the reader crashes{}", doing(loss.harm.operation)),
        LossKind::TimedOut => format!("the reader hangs{}", doing(loss.harm.operation)),
        LossKind::Unrestorable => match loss.harm.operation {
            Operation::Sync => {
                "the reader refuses to restore what it printed with a chain of its own".to_owned()
            }
            Operation::SyncNoflush => {
                "the reader refuses to restore its own chains with --noflush".to_owned()
            }
            _ => "the reader refuses to restore what it printed itself".to_owned(),
        },
        LossKind::Refused => match loss.harm.operation {
            Operation::List => "the reader refuses to list the table".to_owned(),
            Operation::Check => "the reader refuses -C of the rule".to_owned(),
            Operation::Delete => "the reader refuses -D of the rule".to_owned(),
            Operation::Reassert => "the reader refuses to write the rules".to_owned(),
            _ => "the reader cannot print the table".to_owned(),
        },
        LossKind::Doubled => {
            "a reader of the other backend does not see the rules and writes them again".to_owned()
        }
    }
}

/// `match mark lost and source, destination altered`: what became of which parts.
fn what(loss: &Loss) -> String {
    let parts = wording::parts(&loss.harm, " and ");
    match (loss.of, loss.kind()) {
        (SubjectKind::Chain, _) => {
            let reason = loss.harm.reason.as_deref();
            reason.unwrap_or("it is another chain").to_owned()
        }
        _ if !parts.is_empty() => parts,
        (SubjectKind::Rule, LossKind::Lossy) => "the rule lost".to_owned(),
        (SubjectKind::Rule, _) => "the rule changed".to_owned(),
    }
}

/// Doing what, where that is not printing or restoring.
fn doing(operation: Operation) -> &'static str {
    match operation {
        Operation::List => " when it lists the rules",
        Operation::Check => " on -C of the rule",
        Operation::Delete => " on -D of the rule",
        Operation::Reassert => " when it writes the rules",
        Operation::Write
        | Operation::Save
        | Operation::Rewrite
        | Operation::Recognition
        | Operation::Cycle
        | Operation::Sync
        | Operation::SyncNoflush
        | Operation::Effect => "",
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::judge::verdict::Verdict;
    use crate::matrix::{Certainty, Harm};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[rstest]
    #[case::lost(&["match mark"], &[], "match mark lost by the reader's restore")]
    #[case::altered(&[], &["source", "destination"], "source, destination altered by the reader's restore")]
    #[case::both(&["match udp"], &["protocol"], "match udp lost and protocol altered by the reader's restore")]
    #[case::unknown(&[], &[], "the rule changed by the reader's restore")]
    fn what_is_altered_is_not_called_lost(
        #[case] lost: &[&str],
        #[case] altered: &[&str],
        #[case] words: &str,
    ) {
        let loss = Loss {
            of: SubjectKind::Rule,
            harm: Harm {
                operation: Operation::Rewrite,
                verdict: Verdict::Changed,
                lost: names(lost),
                altered: names(altered),
                added: Vec::new(),
                reason: None,
                consequence: None,
                certainty: Certainty::Predicted,
            },
            spares_rewrite: false,
        };
        assert_eq!(title(&loss), words);
    }
}
