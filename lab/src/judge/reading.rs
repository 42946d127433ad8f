//! What was seen of one reader: what it printed, restored, looked up and wrote.

use std::collections::BTreeSet;
use std::rc::Rc;

use foldhash::HashMap;

use super::printed_tables::PrintedTables;
use crate::observed::End;
use crate::plan::Operation;
use crate::plan::step::RuleSet;
use crate::plan::trace::Asked;
use crate::recording::{CommandRecord, DumpRef};
use crate::tool::ListedAs;

/// What one build printed, as it ended and as it reads.
#[derive(Clone)]
pub struct Print<'a> {
    /// The command.
    pub command: &'a CommandRecord,
    /// What it printed.
    pub tables: Rc<PrintedTables>,
}

impl Print<'_> {
    /// Whether it ended with exit status 0.
    pub fn succeeded(&self) -> bool {
        self.command.end == End::Exit(0)
    }

    /// Whether it says that it cannot print `table`, in a comment: up to 1.8.8 with exit status 0.
    pub fn gives_up(&self, table: &str) -> bool {
        self.tables.gives_up(table)
    }

    /// Whether what it printed of `table` was cut off: a section without `COMMIT` is not restored.
    pub fn is_cut_off(&self, table: &str) -> bool {
        self.tables.is_cut_off(table)
    }

    /// Whether it printed the whole of `table`, so that its print can prove something.
    pub fn vouches_for(&self, table: &str) -> bool {
        self.succeeded() && self.tables.has_whole(table)
    }

    /// Whether it ended well and left no table out.
    pub fn is_whole(&self) -> bool {
        self.succeeded() && !self.tables.gives_up_any()
    }
}

/// A restore and what it left.
pub struct Restored<'a> {
    /// The restore.
    pub command: &'a CommandRecord,
    /// What the kernel held afterwards.
    pub dump: DumpRef,
}

impl Restored<'_> {
    /// Whether the restore ended with exit status 0.
    pub fn succeeded(&self) -> bool {
        self.command.end == End::Exit(0)
    }
}

/// What was seen of one reader on one set of rules.
pub struct Reading<'a> {
    /// The rules that were in the lane.
    pub rules: &'a RuleSet,
    /// Some of them, whose lines alone the reader could not restore either; none where it is of all of them.
    pub part: Option<Part<'a>>,
    /// What the reader printed.
    pub saved: Print<'a>,
    /// What came of restoring that.
    pub rewrite: Option<Restored<'a>>,
    /// Where the writer could not print all of what the rewrite left: how it printed parts of that.
    pub reread: Vec<RereadPart<'a>>,
    /// What came of writer and reader going on in turn, the writer first.
    pub cycle: Vec<Restored<'a>>,
    /// What came of adding a chain to that and restoring.
    pub sync: Option<Restored<'a>>,
    /// What came of restoring a part of that without a flush.
    pub sync_noflush: Option<Restored<'a>>,
}

/// Lines of a print that its reader could not restore.
pub struct Part<'a> {
    /// The scenario's rules that they are of.
    pub rules: &'a RuleSet,
    /// The restore and what it left.
    pub restored: Restored<'a>,
}

/// A part of what the reader printed, restored by it, and how the writer printed that.
#[derive(Clone)]
pub struct RereadPart<'a> {
    /// The rules of the reader's print that were restored, by their places among its `-A` lines from 0.
    pub rules: &'a RuleSet,
    /// Whether the reader could restore them, and the writer print all of that.
    pub is_well: bool,
    /// What the writer printed.
    pub print: Print<'a>,
}

/// What was seen of one reader that looked rules up.
#[derive(Default, Clone)]
pub struct LookUps<'a> {
    /// Its `-S` and `-L -n -v`, by the table.
    pub lists: HashMap<(ListedAs, &'a str), &'a CommandRecord>,
    /// Its `-C` of each rule and of rules like it, by the rule's place from 0.
    pub checks: HashMap<usize, Vec<(&'a Asked, &'a CommandRecord)>>,
    /// Its `-D` of each rule, by the rule's place from 0.
    pub deletions: HashMap<usize, Deletion<'a>>,
}

/// A `-D` and its chain before and after.
#[derive(Clone, Copy)]
pub struct Deletion<'a> {
    /// The command.
    pub command: &'a CommandRecord,
    /// The chain before it.
    pub before: DumpRef,
    /// The chain after it.
    pub after: DumpRef,
}

/// What was seen when a reader of the other backend wrote the rules too.
pub struct Reassertion<'a> {
    /// The first of its commands that failed.
    pub refusal: Option<&'a CommandRecord>,
    /// What the kernel held afterwards.
    pub dump: DumpRef,
    /// What writer and reader printed then.
    pub prints: Vec<&'a CommandRecord>,
    /// What writer and reader printed with counters, after packets were sent: they, or the writer and the first reader
    /// that left the kernel in the same state.
    pub counts: Vec<&'a CommandRecord>,
}

impl<'a> Reading<'a> {
    /// The rules that were tried: with what it comes to, these are at fault or are not.
    pub fn tried(&self) -> &'a RuleSet {
        let part = self.part.as_ref();
        part.map_or(self.rules, |part| part.rules)
    }

    /// At what the reader failed; of a part of its print that is the rewrite.
    pub fn failures(&self) -> BTreeSet<Operation> {
        let failed = |restored: &Option<Restored<'_>>| {
            let restored = restored.as_ref();
            restored.is_some_and(|restored| !restored.succeeded())
        };
        let all = [
            (Operation::Save, !self.saved.is_whole()),
            (Operation::Rewrite, failed(&self.rewrite)),
            (Operation::Sync, failed(&self.sync)),
            (Operation::SyncNoflush, failed(&self.sync_noflush)),
        ];
        let is_tried = |of: &Operation| self.part.is_none() || *of == Operation::Rewrite;
        let failed = all.into_iter();
        let failed = failed.filter(|(operation, failed)| *failed && is_tried(operation));
        failed.map(|(operation, _)| operation).collect()
    }
}

/// What the kernel held and what the writer printed after it wrote a set of rules.
pub struct Baseline<'a> {
    /// What the kernel held.
    pub dump: DumpRef,
    /// What the writer printed.
    pub written: Option<Print<'a>>,
}
