//! The observations of one load, put in the order in which the judge asks for them.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use foldhash::HashMap;

use super::kernel::{ChainKey, KernelChain, KernelChains};
use super::partners::Alignments;
use super::rewrite::Fates;
use super::sheet::Sheet;

use crate::catalog::{Backend, BuildId};
use crate::observed::{End, State};
use crate::plan::step::{Role, RuleSet, Stage};
use crate::recording::{CommandRecord, DumpRef, LoadRecord, Observation, Seen, TextRef};
use crate::ruleset::{KnownRules, Printed, Rule, between_stamps, listed_rules, read_listing};
use crate::scenario::Outcome;

/// What one build printed, as it ended and as it reads.
#[derive(Clone)]
pub struct Print<'a> {
    /// The command.
    pub command: &'a CommandRecord,
    /// What it printed.
    pub sheet: Rc<Sheet>,
}

impl Print<'_> {
    /// Whether it ended with exit status 0.
    pub fn succeeded(&self) -> bool {
        self.command.end == End::Exit(0)
    }

    /// Whether it says that it cannot print `table`, in a comment: up to 1.8.8 with exit status 0.
    pub fn gives_up(&self, table: &str) -> bool {
        self.sheet.gives_up(table)
    }

    /// Whether what it printed of `table` was cut off: a section without `COMMIT` is not restored.
    pub fn is_cut_off(&self, table: &str) -> bool {
        self.sheet.is_cut_off(table)
    }

    /// Whether it printed the whole of `table`, so that its print can prove something.
    pub fn vouches_for(&self, table: &str) -> bool {
        self.succeeded() && self.sheet.has_whole(table)
    }

    /// Whether it ended well and left no table out.
    pub fn is_whole(&self) -> bool {
        self.succeeded() && !self.sheet.gives_up_any()
    }
}

/// A restore and what it left.
pub struct Restored<'a> {
    /// The restore.
    pub command: &'a CommandRecord,
    /// What the kernel held afterwards.
    pub dump: DumpRef,
    /// What was printed after it, before the next restore.
    prints: Vec<Print<'a>>,
}

impl<'a> Restored<'a> {
    /// What `build` printed afterwards: if it was not asked, what it printed of the same state at another time.
    pub fn print_by(&self, build: &BuildId, evidence: &Evidence<'a>) -> Option<Print<'a>> {
        let mut prints = self.prints.iter();
        let here = prints.find(|print| &print.command.build == build);
        here.cloned()
            .or_else(|| evidence.print_of(build, self.dump))
    }

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
    /// What came of writer and reader going on in turn, the writer first.
    pub cycle: Vec<Restored<'a>>,
    /// What came of adding a chain to that and restoring.
    pub sync: Option<Sync<'a>>,
    /// What came of restoring a part of that without a flush.
    pub sync_noflush: Option<Sync<'a>>,
    /// The reader's `-S` and `-L -n -v`, table by table.
    pub lists: Vec<Listed<'a>>,
    /// The reader's `-C` of each rule and its near misses, by the rule's place from 1.
    pub checks: HashMap<usize, Vec<(Role, &'a CommandRecord)>>,
    /// The reader's `-D` of each rule, by the rule's place from 1. Of one that came after another had taken the wrong
    /// rule nothing can be said: it was done again, and the last one counts.
    pub deletions: HashMap<usize, Deletion<'a>>,
}

/// What was seen of one `sync`.
pub struct Sync<'a> {
    /// What the reader printed first.
    pub saved: Print<'a>,
    /// The restore; none where the reader's save failed.
    pub restored: Option<Restored<'a>>,
}

/// A listing of one table.
pub struct Listed<'a> {
    /// `ListRules` or `ListTable`.
    pub role: Role,
    /// The table.
    pub table: &'a str,
    /// The command.
    pub command: &'a CommandRecord,
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

impl Reading<'_> {
    /// Whether the reader could print and restore all of these rules.
    pub fn went_well(&self) -> bool {
        let restored =
            |restored: &Option<Restored<'_>>| restored.as_ref().is_none_or(Restored::succeeded);
        let synced =
            |sync: &Option<Sync<'_>>| sync.as_ref().is_none_or(|sync| restored(&sync.restored));
        self.saved.is_whole()
            && restored(&self.rewrite)
            && synced(&self.sync)
            && synced(&self.sync_noflush)
    }
}

/// What the kernel held and what the writer printed after it wrote a set of rules.
pub struct Baseline<'a> {
    /// What the kernel held.
    pub dump: DumpRef,
    /// What the writer printed.
    pub written: Option<Print<'a>>,
}

/// What was read of what builds printed.
#[derive(Default)]
struct Sheets<'a> {
    /// By their text; and by the table, where only that was asked for.
    read: HashMap<(TextRef, Option<String>), Rc<Sheet>>,
    /// Those of whole prints by what does not change with the time.
    by_content: HashMap<Vec<&'a [u8]>, Rc<Sheet>>,
    rules: KnownRules,
}

/// What it depends on how the rules of a chain fared: the kernel's states before and after, and what a witness printed
/// of the chain in both.
#[derive(PartialEq, Eq, Hash)]
pub struct FatesKey {
    /// The chain's number among the scenario's.
    pub chain: usize,
    /// The states before and after.
    pub dumps: (DumpRef, DumpRef),
    /// The witness's prints of these, by their text.
    pub prints: (Option<TextRef>, Option<TextRef>),
}

/// A load's observations.
pub struct Evidence<'a> {
    /// The load.
    pub load: &'a LoadRecord,
    sheets: RefCell<Sheets<'a>>,
    /// The chains of each dump in the tables of a backend.
    kernel: RefCell<HashMap<(DumpRef, Backend), Rc<KernelChains<'a>>>>,
    fates: RefCell<HashMap<FatesKey, Rc<Fates>>>,
    /// Which rule of one of the prints is which of another.
    pub alignments: Alignments,
    /// How many rules each `-L` printed of each chain.
    counts: RefCell<HashMap<TextRef, Rc<HashMap<String, usize>>>>,
    /// The writer's command that failed on the least set of rules with each rule in it.
    refusals: OnceCell<HashMap<usize, &'a CommandRecord>>,
    /// What the kernel lacked for the surroundings, each time that they were made; the last time counts.
    furnished: Vec<Option<&'a str>>,
    /// Who printed what of which kernel state: equal dumps are the same state.
    printed_of: HashMap<(&'a BuildId, DumpRef), &'a CommandRecord>,
    /// What became of packets in which kernel state.
    outcomes: HashMap<DumpRef, &'a [(String, Outcome)]>,
    /// Who printed what with counters, after packets were sent into which kernel state.
    counted: HashMap<DumpRef, Vec<&'a CommandRecord>>,
    /// What became of them before anything was written.
    before: Option<&'a [(String, Outcome)]>,
}

impl<'a> Evidence<'a> {
    /// The observations of `load`.
    pub fn new(load: &'a LoadRecord) -> Self {
        let mut evidence = Evidence {
            load,
            sheets: RefCell::default(),
            kernel: RefCell::default(),
            fates: RefCell::default(),
            alignments: Alignments::default(),
            counts: RefCell::default(),
            refusals: OnceCell::new(),
            furnished: furnished(load),
            printed_of: HashMap::default(),
            outcomes: HashMap::default(),
            counted: HashMap::default(),
            before: None,
        };
        let mut held = None;
        let mut any_written = false;
        for seen in &load.observations {
            any_written |= seen.role == Role::Write;
            match (&seen.seen, held) {
                (Seen::Dump(dump), _) => held = Some(*dump),
                (Seen::Reset, _) => held = None,
                (Seen::Command(command), Some(held)) if is_print(seen.role) => {
                    let of = (&command.build, held);
                    evidence.printed_of.entry(of).or_insert(command);
                }
                (Seen::Command(command), Some(held)) if seen.role == Role::Count => {
                    // An older recording has them again where no packets were sent again.
                    let counts: &mut Vec<_> = evidence.counted.entry(held).or_default();
                    if evidence.outcomes.contains_key(&held) && counts.len() < 2 {
                        counts.push(command);
                    }
                }
                (Seen::Probes(outcomes), _) if !any_written => evidence.before = Some(outcomes),
                (Seen::Probes(outcomes), Some(held)) => {
                    evidence.outcomes.entry(held).or_insert(outcomes);
                }
                _ => {}
            }
        }
        evidence
    }

    /// What `build` printed of the kernel state in `dump`.
    pub fn print_of(&self, build: &BuildId, dump: DumpRef) -> Option<Print<'a>> {
        let command = self.printed_of.get(&(build, dump))?;
        Some(self.print(command))
    }

    /// What became of the packet `name` in the kernel state in `dump`.
    pub fn outcome(&self, name: &str, dump: DumpRef) -> Option<&'a Outcome> {
        outcome_of(self.outcomes.get(&dump)?, name)
    }

    /// What became of the packet `name` before anything was written.
    pub fn outcome_before(&self, name: &str) -> Option<&'a Outcome> {
        outcome_of(self.before?, name)
    }

    /// What the kernel lacks for the scenario, in its own words.
    pub fn lacks(&self) -> Option<&'a str> {
        self.furnished.last().copied().flatten()
    }

    /// What the kernel lacked for the sets or objects that a rule names, where the rest was made without them.
    pub fn lacked_around(&self, rule: &Rule) -> Option<&'a str> {
        let names_some = rule.tokens().iter().any(|word| {
            [
                "--match-set",
                "--add-set",
                "--del-set",
                "--map-set",
                "--nfacct-name",
            ]
            .contains(&word)
        });
        let mut lacked = self.furnished.iter().rev().skip(1);
        lacked.find_map(|lacks| *lacks).filter(|_| names_some)
    }

    /// A chain of a dump in the tables that `backend` writes for the load's family.
    pub fn chain(
        &self,
        dump: DumpRef,
        backend: Backend,
        table: &str,
        chain: &str,
    ) -> Option<Rc<KernelChain<'a>>> {
        let mut kernel = self.kernel.borrow_mut();
        let chains = kernel.entry((dump, backend)).or_insert_with(|| {
            let of_dump = KernelChains::of(self.dump(dump), backend, self.load.family);
            Rc::new(of_dump)
        });
        chains.get(ChainKey { table, chain })
    }

    /// How the rules of a chain fared, which is worked out once.
    pub fn fates(&self, key: FatesKey, of: impl FnOnce() -> Fates) -> Rc<Fates> {
        if let Some(known) = self.fates.borrow().get(&key) {
            return known.clone();
        }
        let fates = Rc::new(of());
        self.fates.borrow_mut().insert(key, fates.clone());
        fates
    }

    /// How many rules a `-L` printed of each chain.
    pub fn counts(&self, command: &CommandRecord) -> Rc<HashMap<String, usize>> {
        let count = || {
            let stdout = self.text(command.stdout);
            let counts = listed_rules(&stdout).into_iter();
            Rc::new(counts.map(|(of, count)| (of.to_owned(), count)).collect())
        };
        let mut counts = self.counts.borrow_mut();
        counts.entry(command.stdout).or_insert_with(count).clone()
    }

    /// What a `-S` of `table` printed.
    pub fn list(&self, command: &CommandRecord, table: &str) -> Rc<Sheet> {
        let sheets = &mut *self.sheets.borrow_mut();
        let key = (command.stdout, Some(table.to_owned()));
        let known = &mut sheets.rules;
        let read = || {
            let stdout = self.text(command.stdout);
            Rc::new(Sheet::of(Printed::read_list(known, table, &stdout)))
        };
        sheets.read.entry(key).or_insert_with(read).clone()
    }

    /// A dump of this load.
    pub fn dump(&self, dump: DumpRef) -> &'a State {
        self.load.dump(dump)
    }

    /// A text of this load, for showing.
    pub fn text(&self, text: TextRef) -> String {
        self.load.text(text).to_lossy().into_owned()
    }

    /// The writer's command that failed on the least set of rules with the rule at `index` in it.
    pub fn refusal(&self, index: usize) -> Option<&'a CommandRecord> {
        let refusals = self.refusals.get_or_init(|| {
            let writes = self.commands(|seen| seen.role == Role::Write);
            let failed = writes.filter(|(_, command)| command.end != End::Exit(0));
            let mut failed: Vec<_> = failed.collect();
            failed.sort_by_key(|(seen, _)| seen.rules.len());
            let mut refusals = HashMap::default();
            for (seen, command) in failed {
                for rule in seen.rules.iter() {
                    refusals.entry(rule).or_insert(command);
                }
            }
            refusals
        });
        refusals.get(&index).copied()
    }

    /// What was seen after the writer wrote `rules`.
    pub fn baseline(&self, rules: &RuleSet) -> Option<Baseline<'a>> {
        let dump = self.baselines().find(|seen| &seen.rules == rules)?;
        let Seen::Dump(dump) = dump.seen else {
            return None;
        };
        let written = self.print_of(&self.load.writer, dump);
        Some(Baseline { dump, written })
    }

    /// What was seen of `reader`: on all the rules that the writer took, and on each part that those were split into.
    pub fn readings(&self, reader: &BuildId) -> Vec<Rc<Reading<'a>>> {
        let of_reader = self
            .load
            .observations
            .iter()
            .filter(|seen| seen.reader.as_ref() == Some(reader));
        let of_reader: Vec<&Observation> = of_reader.collect();
        let mut readings = Vec::new();
        for group in of_reader.chunk_by(|one, next| one.rules == next.rules) {
            readings.extend(self.reading(group).map(Rc::new));
        }
        readings
    }

    fn reading(&self, group: &[&'a Observation]) -> Option<Reading<'a>> {
        let saved = self.find(group, Stage::Save, Role::ReaderPrint)?;
        let sync = |stage| {
            let again = self.find(group, stage, Role::ReaderPrint);
            let restored = self.restored(group, stage).into_iter().next();
            (again.is_some() || restored.is_some()).then(|| Sync {
                saved: again.unwrap_or_else(|| saved.clone()),
                restored,
            })
        };
        let commands = |wanted: Stage| {
            group.iter().filter_map(move |seen| match &seen.seen {
                Seen::Command(command) if seen.stage == wanted => Some((*seen, command)),
                _ => None,
            })
        };
        let lists = commands(Stage::List).map(|(seen, command)| Listed {
            role: seen.role,
            table: command.argv.get(2).map_or("", String::as_str),
            command,
        });
        let mut checks: HashMap<usize, Vec<(Role, &CommandRecord)>> = HashMap::default();
        for (seen, command) in commands(Stage::Check) {
            if let Some(rule) = seen.rule {
                checks.entry(rule).or_default().push((seen.role, command));
            }
        }
        let (sync, sync_noflush) = (sync(Stage::Sync), sync(Stage::SyncNoflush));
        Some(Reading {
            rules: &group.first()?.rules,
            rewrite: self.restored(group, Stage::Rewrite).into_iter().next(),
            cycle: self.restored(group, Stage::Cycle),
            sync,
            sync_noflush,
            lists: lists.collect(),
            checks,
            deletions: deletions(group),
            saved,
        })
    }

    /// What was seen when `reader`, of the other backend, wrote the rules too.
    pub fn reassertion(&self, reader: &BuildId) -> Option<Reassertion<'a>> {
        let of_reader = self.load.observations.iter();
        let of_reader: Vec<&Observation> = of_reader
            .filter(|seen| seen.stage == Stage::Reassert && seen.reader.as_ref() == Some(reader))
            .filter(|seen| !matches!(seen.role, Role::Reset))
            .collect();
        let writes = of_reader.iter().filter_map(|seen| match &seen.seen {
            Seen::Command(command) if seen.role == Role::Write => Some(command),
            _ => None,
        });
        // The lane may be laid anew first: by the writer.
        let mut own = writes.filter(|command| &command.build == reader).peekable();
        own.peek()?;
        let refusal = own.find(|command| command.end != End::Exit(0));
        let last_write = of_reader
            .iter()
            .rposition(|seen| seen.role == Role::Write)?;
        let dump = of_reader[last_write..]
            .iter()
            .find_map(|seen| match seen.seen {
                Seen::Dump(dump) => Some(dump),
                _ => None,
            })?;
        // Of a state that an earlier reader left too, the writer was not asked again.
        let builds = [&self.load.writer, reader].into_iter();
        let prints = builds.filter_map(|build| self.printed_of.get(&(build, dump)).copied());
        Some(Reassertion {
            refusal,
            dump,
            prints: prints.collect(),
            counts: self.counted.get(&dump).cloned().unwrap_or_default(),
        })
    }

    /// What `reader` had its own backends print to find out which one is in use.
    pub fn looks(&self, reader: &BuildId) -> Vec<&'a CommandRecord> {
        let of_reader =
            |seen: &Observation| seen.role == Role::Look && seen.reader.as_ref() == Some(reader);
        self.commands(of_reader)
            .map(|(_, command)| command)
            .collect()
    }

    /// Every restore of a stage, and what it left.
    fn restored(&self, group: &[&'a Observation], stage: Stage) -> Vec<Restored<'a>> {
        let of_stage = group.iter().enumerate();
        let restores =
            of_stage.filter(|(_, seen)| seen.stage == stage && seen.role == Role::Restore);
        let restored = restores.filter_map(|(at, seen)| {
            let Seen::Command(command) = &seen.seen else {
                return None;
            };
            let dump = group[at..].iter().find_map(|seen| match seen.seen {
                Seen::Dump(dump) if seen.stage == stage => Some(dump),
                _ => None,
            })?;
            let until_next = group[at + 1..].iter();
            let until_next = until_next
                .take_while(|seen| seen.stage == stage && seen.role != Role::Restore)
                .filter(|seen| is_print(seen.role));
            let prints = until_next.filter_map(|seen| match &seen.seen {
                Seen::Command(command) => Some(self.print(command)),
                _ => None,
            });
            Some(Restored {
                command,
                dump,
                prints: prints.collect(),
            })
        });
        restored.collect()
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
                _ => None,
            })
    }

    fn print(&self, command: &'a CommandRecord) -> Print<'a> {
        let sheets = &mut *self.sheets.borrow_mut();
        let known = &mut sheets.rules;
        let by_content = &mut sheets.by_content;
        let read = || {
            let text = self.load.text(command.stdout);
            if command.argv.first().is_some_and(|program| program == "nft") {
                let printed = read_listing(self.load.family, &text.exact());
                return Rc::new(Sheet::of(printed));
            }
            let new = || Rc::new(Sheet::of(Printed::read_with(known, &text.exact())));
            let content = between_stamps(text.bytes());
            by_content.entry(content).or_insert_with(new).clone()
        };
        let key = (command.stdout, None);
        let sheet = sheets.read.entry(key).or_insert_with(read).clone();
        Print { command, sheet }
    }
}

fn is_print(role: Role) -> bool {
    matches!(
        role,
        Role::WriterPrint | Role::WitnessPrint | Role::ReaderPrint
    )
}

/// What the kernel lacked for a load's surroundings, each time that they were made.
fn furnished(load: &LoadRecord) -> Vec<Option<&str>> {
    let seen = load.observations.iter().map(|of| &of.seen);
    let furnished = seen.filter_map(|seen| match seen {
        Seen::Furnished { lacks } => Some(lacks.as_deref()),
        _ => None,
    });
    furnished.collect()
}

fn outcome_of<'a>(outcomes: &'a [(String, Outcome)], name: &str) -> Option<&'a Outcome> {
    let mut outcomes = outcomes.iter();
    outcomes
        .find(|(of, _)| of == name)
        .map(|(_, outcome)| outcome)
}

/// Each `-D` with the dumps of its chain on both sides of it.
fn deletions<'a>(group: &[&'a Observation]) -> HashMap<usize, Deletion<'a>> {
    let deletion = |around: &[&'a Observation]| {
        let [before, deletion, after] = around else {
            return None;
        };
        match (&before.seen, &deletion.seen, &after.seen) {
            (Seen::Chain(before), Seen::Command(command), Seen::Chain(after)) => {
                let (before, after) = (*before, *after);
                let deletion_of = Deletion {
                    command,
                    before,
                    after,
                };
                Some((deletion.rule?, deletion_of))
            }
            _ => None,
        }
    };
    group.windows(3).filter_map(deletion).collect()
}
