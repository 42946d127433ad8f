//! What a reader does to the rules of a writer, and what is asked about it.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Backend, Family, Tool};
use crate::observed::{ChainName, RulePlace, Text};
use crate::tool::{Component, NamedRule, Program};

/// What a reader does, and what is asked about it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The writer writes the rules.
    Write,
    /// The reader's iptables-save.
    Save,
    /// The reader's `-S` and `-L -n -v`.
    List,
    /// The reader saves, and restores just that.
    Rewrite,
    /// After the rewrite the writer saves.
    Recognition,
    /// Reader and writer rewrite in turn until the kernel's rules repeat.
    Cycle,
    /// The reader saves, adds a chain and a jump of its own, and restores.
    Sync,
    /// The reader saves, and restores with `--noflush` what it owns of that, a chain and a jump of its own.
    SyncNoflush,
    /// The reader's `-C` of each rule, and of near misses of it.
    Check,
    /// The reader's `-D` of each rule.
    Delete,
    /// A reader of the other backend writes the rules itself.
    Reassert,
    /// The scenario's packets are sent before the write, after it, and after whatever changed the rules.
    Effect,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 12] = [
        Operation::Write,
        Operation::Save,
        Operation::List,
        Operation::Rewrite,
        Operation::Recognition,
        Operation::Cycle,
        Operation::Sync,
        Operation::SyncNoflush,
        Operation::Check,
        Operation::Delete,
        Operation::Reassert,
        Operation::Effect,
    ];

    /// What decides about a pairing: whether the reader loses a rule, whether its writer knows it afterwards, and what that does
    /// to packets. A matrix runs these where nothing else is asked for.
    pub const DECISIVE: [Operation; 5] = [
        Operation::Write,
        Operation::Save,
        Operation::Rewrite,
        Operation::Recognition,
        Operation::Effect,
    ];

    /// The word that the command line and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Write => "write",
            Operation::Save => "save",
            Operation::List => "list",
            Operation::Rewrite => "rewrite",
            Operation::Recognition => "recognition",
            Operation::Cycle => "cycle",
            Operation::Sync => "sync",
            Operation::SyncNoflush => "sync-noflush",
            Operation::Check => "check",
            Operation::Delete => "delete",
            Operation::Reassert => "reassert",
            Operation::Effect => "effect",
        }
    }

    /// Whether it is done where `writer` writes and `reader` reads: what the reader's tool has no command for is not, and no reader
    /// is asked for a rule in another tool's words.
    pub fn suits(self, writer: Tool, reader: Tool) -> bool {
        let alike = writer == reader;
        let (commands, dialect) = (reader.commands(), reader.dialect());
        let program = Program {
            backend: Backend::Nft,
            family: Family::Ipv4,
        };
        let rule = NamedRule {
            table: "",
            chain: "",
            words: &[],
        };
        let place = RulePlace {
            chain: ChainName {
                backend: program.backend,
                family: program.family,
                table: String::new(),
                chain: String::new(),
            },
            place: 0,
        };
        let component = Component {
            family: program.family,
            tables: &[],
            owned: &[],
            adds: "",
        };
        match self {
            Operation::Write
            | Operation::Save
            | Operation::Rewrite
            | Operation::Recognition
            | Operation::Cycle
            | Operation::Effect => true,
            Operation::List => {
                (alike || dialect.is_xtables()) && !commands.lists(program, "").is_empty()
            }
            Operation::Sync => dialect
                .with_own_chain(&Text::default(), component)
                .is_some(),
            Operation::SyncNoflush => commands.load_beside(program).is_some(),
            Operation::Check => alike && commands.check(program, rule).is_some(),
            Operation::Delete => {
                let by_words = alike && commands.delete(program, rule).is_some();
                by_words || commands.delete_by_handle(&place).is_some()
            }
            Operation::Reassert => alike,
        }
    }

    /// What must be done for this to be done, or judged: what the reader prints says which rules there are to speak of.
    fn needs(self) -> &'static [Operation] {
        match self {
            Operation::Recognition | Operation::Cycle => {
                &[Operation::Write, Operation::Save, Operation::Rewrite]
            }
            Operation::Write
            | Operation::Save
            | Operation::List
            | Operation::Rewrite
            | Operation::Sync
            | Operation::SyncNoflush
            | Operation::Check
            | Operation::Delete
            | Operation::Reassert
            | Operation::Effect => &[Operation::Write, Operation::Save],
        }
    }

    /// `chosen` and all that they need, in order.
    pub fn with_needs(chosen: &[Operation]) -> Vec<Operation> {
        let all: BTreeSet<Operation> = chosen
            .iter()
            .flat_map(|operation| operation.needs().iter().chain([operation]))
            .copied()
            .collect();
        all.into_iter().collect()
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&[Operation::Recognition], &[Operation::Write, Operation::Save, Operation::Rewrite, Operation::Recognition])]
    #[case(&[Operation::Sync], &[Operation::Write, Operation::Save, Operation::Sync])]
    #[case(&[Operation::Write], &[Operation::Write, Operation::Save])]
    #[case(&[Operation::Delete, Operation::Check], &[Operation::Write, Operation::Save, Operation::Check, Operation::Delete])]
    #[case(&Operation::DECISIVE, &Operation::DECISIVE)]
    #[case(&Operation::ALL, &Operation::ALL)]
    fn what_an_operation_needs_is_done_with_it(
        #[case] chosen: &[Operation],
        #[case] done: &[Operation],
    ) {
        assert_eq!(Operation::with_needs(chosen), done);
    }
}
