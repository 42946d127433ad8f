//! The observations of one load, put in the order in which the judge asks for them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::agent::kernel::KernelDump;
use crate::agent::protocol::End;
use crate::catalog::BuildId;
use crate::plan::step::{Role, RuleSet, Stage};
use crate::recording::{CommandRecord, DumpRef, LoadRecord, Observation, Seen, TextRef};
use crate::ruleset::Printed;

/// What one build printed, as it ended and as it reads.
#[derive(Clone)]
pub struct Print<'a> {
    /// The command.
    pub command: &'a CommandRecord,
    /// What it printed.
    pub printed: Rc<Printed>,
}

impl Print<'_> {
    /// Whether it ended with exit status 0.
    pub fn succeeded(&self) -> bool {
        self.command.end == End::Exit(0)
    }

    /// Whether it says that it cannot print `table`, in a comment: up to 1.8.8 with exit status 0.
    pub fn gives_up(&self, table: &str) -> bool {
        self.printed.incompatible_tables().contains(&table)
    }

    /// Whether what it printed of `table` was cut off: a section without `COMMIT` is not restored.
    pub fn is_cut_off(&self, table: &str) -> bool {
        let mut sections = self.printed.tables.iter();
        sections.any(|known| known.name == table && !known.committed)
    }

    /// Whether it printed the whole of `table`, so that its print can prove something.
    pub fn vouches_for(&self, table: &str) -> bool {
        self.succeeded()
            && !self.gives_up(table)
            && !self.is_cut_off(table)
            && self.printed.table(table).is_some()
    }

    /// Whether it ended well and left no table out.
    pub fn is_whole(&self) -> bool {
        self.succeeded() && self.printed.incompatible_tables().is_empty()
    }
}

/// A restore and what it left.
pub struct Restored<'a> {
    /// The reader's restore.
    pub command: &'a CommandRecord,
    /// What the kernel held afterwards.
    pub dump: DumpRef,
    /// What the witness printed afterwards.
    pub witness: Option<Print<'a>>,
    /// What the writer printed afterwards.
    pub reread: Option<Print<'a>>,
}

impl Restored<'_> {
    /// Whether the restore ended with exit status 0.
    pub fn succeeded(&self) -> bool {
        self.command.end == End::Exit(0)
    }
}

/// What was seen of one reader on one set of rules.
pub struct Reading<'a> {
    /// The rules that lay in the lane.
    pub rules: &'a RuleSet,
    /// What the reader printed.
    pub saved: Print<'a>,
    /// What came of restoring that.
    pub rewrite: Option<Restored<'a>>,
    /// What came of saving, adding a chain and restoring.
    pub sync: Option<Sync<'a>>,
}

/// What was seen of one `sync`.
pub struct Sync<'a> {
    /// What the reader printed first.
    pub saved: Print<'a>,
    /// The restore; none where the reader's save failed.
    pub restored: Option<Restored<'a>>,
}

impl Reading<'_> {
    /// Whether the reader could print and restore all of these rules.
    pub fn went_well(&self) -> bool {
        let restored =
            |restored: &Option<Restored<'_>>| restored.as_ref().is_none_or(Restored::succeeded);
        self.saved.is_whole()
            && restored(&self.rewrite)
            && self
                .sync
                .as_ref()
                .is_none_or(|sync| restored(&sync.restored))
    }
}

/// What the kernel held and who printed what after the writer wrote a set of rules.
pub struct Baseline<'a> {
    /// What the kernel held.
    pub dump: DumpRef,
    /// What the writer printed.
    pub written: Option<Print<'a>>,
    /// What each witness printed.
    witnesses: Vec<Print<'a>>,
}

impl<'a> Baseline<'a> {
    /// What `witness` printed; the writer's print, where the witness is the writer.
    pub fn witness(&self, witness: Option<&BuildId>) -> Option<&Print<'a>> {
        let witness = witness?;
        self.witnesses
            .iter()
            .chain(&self.written)
            .find(|print| &print.command.build == witness)
    }
}

/// A load's observations.
pub struct Evidence<'a> {
    /// The load.
    pub load: &'a LoadRecord,
    prints: RefCell<HashMap<TextRef, Rc<Printed>>>,
}

impl<'a> Evidence<'a> {
    /// The observations of `load`.
    pub fn new(load: &'a LoadRecord) -> Self {
        Evidence {
            load,
            prints: RefCell::default(),
        }
    }

    /// A dump of this load.
    pub fn dump(&self, dump: DumpRef) -> &'a KernelDump {
        self.load.dump(dump)
    }

    /// A text of this load, for showing.
    pub fn text(&self, text: TextRef) -> String {
        self.load.text(text).to_lossy().into_owned()
    }

    /// The writer's command that failed on the least set of rules with the rule at `index` in it.
    pub fn refusal(&self, index: usize) -> Option<&'a CommandRecord> {
        let failed = self.commands(|seen| seen.role == Role::Write && seen.rules.contains(index));
        failed
            .filter(|(_, command)| command.end != End::Exit(0))
            .min_by_key(|(seen, _)| seen.rules.len())
            .map(|(_, c)| c)
    }

    /// What was seen after the writer wrote `rules`.
    pub fn baseline(&self, rules: &RuleSet) -> Option<Baseline<'a>> {
        let dump = self.baselines().find(|seen| &seen.rules == rules)?;
        let Seen::Dump(dump) = dump.seen else {
            return None;
        };
        let of_role = |role| {
            move |seen: &Observation| {
                seen.reader.is_none() && seen.role == role && &seen.rules == rules
            }
        };
        let written = self
            .commands(of_role(Role::WriterPrint))
            .next()
            .map(|(_, command)| self.print(command));
        let witnesses = self
            .commands(of_role(Role::WitnessPrint))
            .map(|(_, command)| self.print(command))
            .collect();
        Some(Baseline {
            dump,
            written,
            witnesses,
        })
    }

    /// What was seen of `reader`: on all the rules that the writer took, and on each part that those were split into.
    pub fn readings(&self, reader: &BuildId) -> Vec<Reading<'a>> {
        let of_reader = self
            .load
            .observations
            .iter()
            .filter(|seen| seen.reader.as_ref() == Some(reader));
        let of_reader: Vec<&Observation> = of_reader.collect();
        let mut readings: Vec<Reading<'a>> = Vec::new();
        for group in of_reader.chunk_by(|one, next| one.rules == next.rules) {
            readings.extend(self.reading(group));
        }
        readings
    }

    fn reading(&self, group: &[&'a Observation]) -> Option<Reading<'a>> {
        let saved = self.find(group, Stage::Save, Role::ReaderPrint)?;
        let rewrite = self.restored(group, Stage::Rewrite);
        let sync = self.find(group, Stage::Sync, Role::ReaderPrint);
        let sync = sync.map(|saved| Sync {
            saved,
            restored: self.restored(group, Stage::Sync),
        });
        Some(Reading {
            rules: &group.first()?.rules,
            saved,
            rewrite,
            sync,
        })
    }

    fn restored(&self, group: &[&'a Observation], stage: Stage) -> Option<Restored<'a>> {
        let restore = group
            .iter()
            .position(|seen| seen.stage == stage && seen.role == Role::Restore)?;
        let Seen::Command(command) = &group[restore].seen else {
            return None;
        };
        let after = &group[restore..];
        let dump = after.iter().find_map(|seen| match seen.seen {
            Seen::Dump(dump) if seen.stage == stage => Some(dump),
            _ => None,
        })?;
        let witness = self.find(after, stage, Role::WitnessPrint);
        let reread = self.find(after, stage, Role::WriterPrint);
        Some(Restored {
            command,
            dump,
            witness,
            reread,
        })
    }

    fn find(&self, group: &[&'a Observation], stage: Stage, role: Role) -> Option<Print<'a>> {
        group.iter().find_map(|seen| match &seen.seen {
            Seen::Command(command) if seen.stage == stage && seen.role == role => {
                Some(self.print(command))
            }
            _ => None,
        })
    }

    /// The dumps that were taken right after the writer wrote.
    fn baselines(&self) -> impl Iterator<Item = &'a Observation> {
        let pairs = self.load.observations.windows(2);
        pairs
            .filter(|pair| pair[0].role == Role::Write && pair[1].role == Role::Dump)
            .map(|pair| &pair[1])
    }

    fn commands(
        &self,
        wanted: impl Fn(&Observation) -> bool,
    ) -> impl Iterator<Item = (&'a Observation, &'a CommandRecord)> {
        self.load
            .observations
            .iter()
            .filter(move |seen| wanted(seen))
            .filter_map(|seen| match &seen.seen {
                Seen::Command(command) => Some((seen, command)),
                Seen::Dump(_) | Seen::Reset | Seen::Furnished { .. } | Seen::Probes(_) => None,
            })
    }

    fn print(&self, command: &'a CommandRecord) -> Print<'a> {
        let read = || Rc::new(Printed::read(&exact(&self.load.text(command.stdout).0)));
        let printed = self
            .prints
            .borrow_mut()
            .entry(command.stdout)
            .or_insert_with(read)
            .clone();
        Print { command, printed }
    }
}

/// The bytes as text in which no two bytes look alike: what is no UTF-8 stands as `<e9>`.
fn exact(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("<{byte:02x}>"));
        }
    }
    text
}
