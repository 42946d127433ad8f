//! A loss in half a sentence: the title of a bug report.

use crate::evidence::{Loss, LossKind};
use crate::plan::Operation;
use crate::report::wording::Parts;

/// What is wrong, and what was done.
pub fn title(loss: &Loss) -> String {
    let parts = Parts {
        lost: &loss.harm.lost,
        altered: &loss.harm.altered,
        added: &loss.harm.added,
    };
    let done = |whole: &str| parts.done().unwrap_or_else(|| whole.to_owned());
    match loss.kind() {
        LossKind::WrongRule => "-D deletes another rule".to_owned(),
        LossKind::FoundWrong => "-C finds a rule that is not there".to_owned(),
        LossKind::Lossy => format!(
            "the reader {} when it prints and restores the rules",
            done("loses a rule")
        ),
        LossKind::Changed if loss.harm.operation == Operation::Reassert => {
            "the writer's rules change when a reader of the other backend writes its own".to_owned()
        }
        LossKind::Changed => format!("the reader's restore {}", done("changes a rule")),
        LossKind::Chain => {
            let what = loss.harm.reason.as_deref();
            let what = what.map_or_else(String::new, |what| format!(": {what}"));
            format!("the reader's restore changes a chain{what}")
        }
        LossKind::Sync => format!(
            "the reader {} when it restores with a chain of its own",
            done("changes a rule")
        ),
        LossKind::SyncNoflush => format!(
            "the reader {} when it restores its own chains with --noflush",
            done("changes a rule")
        ),
        LossKind::Drifts => {
            let becomes = parts.suffered();
            format!(
                "a rule {} when reader and writer restore in turn",
                becomes.as_deref().unwrap_or("changes")
            )
        }
        LossKind::Misread => {
            let left = parts.left();
            format!(
                "the writer prints a rule {} after the reader's restore",
                left.as_deref().unwrap_or("differently")
            )
        }
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
    use crate::matrix::{Certainty, Harm, SubjectKind};

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[rstest]
    #[case::lost(Operation::Rewrite, Verdict::Changed, &["match mark"], "the reader's restore drops `-m mark`")]
    #[case::no_part(Operation::Rewrite, Verdict::Changed, &[], "the reader's restore changes a rule")]
    #[case::misread(Operation::Recognition, Verdict::Misread, &["match mark"], "the writer prints a rule without `-m mark` after the reader's restore")]
    #[case::drifts(Operation::Cycle, Verdict::Drifts, &[], "a rule changes when reader and writer restore in turn")]
    fn a_title_says_who_does_what(
        #[case] operation: Operation,
        #[case] verdict: Verdict,
        #[case] lost: &[&str],
        #[case] words: &str,
    ) {
        let loss = Loss {
            of: SubjectKind::Rule,
            harm: Harm {
                operation,
                verdict,
                lost: names(lost),
                altered: Vec::new(),
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
