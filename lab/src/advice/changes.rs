//! How a program changes rules, and which operations of the lab show what that does to the rules of others.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Operation;

/// How a program changes rules.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Changes {
    /// It saves a table and restores it, with the rules of others in it.
    WholeTable,
    /// It restores chains of its own with `--noflush`.
    OwnChains,
    /// It appends, inserts, checks and deletes single rules.
    SingleRules,
    /// Nobody has looked, or it is up to its user.
    Unknown,
}

impl Changes {
    /// Whether what an operation does to rules is what such a program does to them.
    pub fn count(self, operation: Operation) -> bool {
        match self {
            Changes::WholeTable => matches!(
                operation,
                Operation::Save
                    | Operation::Rewrite
                    | Operation::Recognition
                    | Operation::Cycle
                    | Operation::Sync
            ),
            Changes::OwnChains => operation == Operation::SyncNoflush,
            Changes::SingleRules => matches!(operation, Operation::Check | Operation::Delete),
            Changes::Unknown => operation != Operation::Write,
        }
    }

    /// The operations without which such a program is not tested.
    pub fn needed(self) -> &'static [Operation] {
        match self {
            Changes::WholeTable => &[Operation::Rewrite, Operation::Recognition],
            Changes::OwnChains => &[Operation::SyncNoflush],
            Changes::SingleRules => &[Operation::Check, Operation::Delete],
            Changes::Unknown => &[
                Operation::Rewrite,
                Operation::Recognition,
                Operation::SyncNoflush,
                Operation::Check,
                Operation::Delete,
            ],
        }
    }

    /// What is to be run for a node where programs change rules in these ways.
    pub fn operations(all: impl IntoIterator<Item = Changes>) -> Vec<Operation> {
        let mut operations = BTreeSet::from([Operation::Effect]);
        for changes in all {
            operations.extend(changes.needed());
            if changes.count(Operation::Sync) {
                operations.insert(Operation::Sync);
            }
        }
        let operations: Vec<Operation> = operations.into_iter().collect();
        Operation::with_needs(&operations)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::table(&[Changes::WholeTable], &["write", "save", "rewrite", "recognition", "sync", "effect"])]
    #[case::chains(&[Changes::OwnChains], &["write", "save", "sync-noflush", "effect"])]
    #[case::rules(&[Changes::SingleRules], &["write", "save", "check", "delete", "effect"])]
    #[case::two(
        &[Changes::OwnChains, Changes::SingleRules],
        &["write", "save", "sync-noflush", "check", "delete", "effect"]
    )]
    fn only_what_the_members_do_is_run(#[case] all: &[Changes], #[case] operations: &[&str]) {
        let run = Changes::operations(all.iter().copied());
        let run: Vec<&str> = run.into_iter().map(Operation::as_str).collect();
        assert_eq!(run, operations);
    }

    #[test]
    fn what_is_needed_counts() {
        use Changes::{OwnChains, SingleRules, Unknown, WholeTable};
        for changes in [WholeTable, OwnChains, SingleRules, Unknown] {
            assert!(changes.needed().iter().all(|of| changes.count(*of)));
        }
    }
}
