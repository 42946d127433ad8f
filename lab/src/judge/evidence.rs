//! The observations of one load, put in the order in which the judge asks for them.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use foldhash::HashMap;

use super::Case;
use super::fate::{Fates, FatesKey};
use super::kernel::{ChainKey, KernelChain, KernelChains, KernelRule};
use super::partners::Alignments;
use super::printed_tables::{Lines, PrintedTables};
use super::reading::{
    Baseline, Deletion, LookUps, Part, Print, Reading, Reassertion, RereadPart, Restored,
};
use crate::catalog::{Backend, BuildId};
use crate::observed::{Encoding, End, State};
use crate::plan::step::RuleSet;
use crate::plan::trace::{self, LookAt, ReaderTrace};
use crate::recording::{CommandRecord, DumpRef, LoadRecord, Seen, TextRef};
use crate::scenario::Outcome;
use crate::tool::{KnownRules, ListedAs, Printed, Rule};

/// What a `-L -n -v` prints of each chain: of each rule its words without counters.
pub type Listed = HashMap<String, Vec<Vec<String>>>;

/// What was read of what builds printed.
#[derive(Default)]
struct KnownPrints<'a> {
    /// By their text; and by the table, where only that was asked for.
    read: HashMap<(TextRef, Option<String>), Rc<PrintedTables>>,
    /// Those of whole prints by what does not change with the time.
    by_content: HashMap<Vec<&'a [u8]>, Rc<PrintedTables>>,
    rules: KnownRules,
}

/// A load's observations.
pub struct Evidence<'a> {
    /// The load.
    pub load: &'a LoadRecord,
    case: Case<'a>,
    prints: RefCell<KnownPrints<'a>>,
    /// The chains of each dump in the tables of a backend.
    kernel: RefCell<HashMap<(DumpRef, Backend), Rc<KernelChains<'a>>>>,
    fates: RefCell<HashMap<FatesKey, Rc<Fates>>>,
    /// Which rule of one of the prints is which of another.
    pub alignments: Alignments,
    /// What each `-L` printed of each chain, rule by rule.
    listed: RefCell<HashMap<TextRef, Rc<Listed>>>,
    /// How rules of the kernel are encoded, by where they are in memory.
    encodings: RefCell<HashMap<*const (), Arc<Encoding>>>,
    /// On which lines of a print the rules of each chain stand.
    pub lines: RefCell<HashMap<TextRef, Rc<Lines>>>,
    /// The writer's command that failed on the least set of rules with each rule in it.
    refusals: OnceCell<HashMap<usize, &'a CommandRecord>>,
    /// What the kernel lacked for the surroundings, each time that they were made; the last time counts.
    furnished: Vec<Option<&'a str>>,
    /// What the kernel held when the writer had written a set of rules.
    written: HashMap<&'a RuleSet, DumpRef>,
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
    pub fn new(load: &'a LoadRecord, case: Case<'a>) -> Self {
        let mut evidence = Evidence {
            load,
            case,
            prints: RefCell::default(),
            kernel: RefCell::default(),
            fates: RefCell::default(),
            alignments: Alignments::default(),
            listed: RefCell::default(),
            encodings: RefCell::default(),
            lines: RefCell::default(),
            refusals: OnceCell::new(),
            furnished: furnished(load),
            written: HashMap::default(),
            printed_of: HashMap::default(),
            outcomes: HashMap::default(),
            counted: HashMap::default(),
            before: load.trace.unwritten.map(|step| load.packets(step)),
        };
        for written in &load.trace.written {
            let of_rules = evidence.written.entry(&written.rules);
            of_rules.or_insert(load.dump_at(written.left));
        }
        for print in &load.trace.prints {
            let command = load.command(print.command);
            let of = (&command.build, load.dump_at(print.state));
            evidence.printed_of.entry(of).or_insert(command);
        }
        for sent in &load.trace.packets {
            let state = load.dump_at(sent.state);
            let outcomes = evidence.outcomes.entry(state);
            outcomes.or_insert(load.packets(sent.packets));
            let counted = sent.counted.iter().map(|step| load.command(*step));
            evidence.counted.entry(state).or_insert(counted.collect());
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
        let names_some = rule.tool.dialect().names_objects(&rule.tokens().to_vec());
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

    /// How a rule of the kernel is encoded, which is worked out once where that does not depend on its table.
    pub fn encoding(&self, rule: &KernelRule<'a>) -> Arc<Encoding> {
        let (place, of): (*const (), &dyn Fn() -> Encoding) = match rule {
            KernelRule::Nft(rule, Some(reach)) => {
                return Encoding::of_nft(rule, reach.sets()).into();
            }
            KernelRule::Nft(rule, None) => {
                (Arc::as_ptr(rule).cast(), &|| Encoding::of_nft(rule, &[]))
            }
            KernelRule::Legacy(rule) => (Arc::as_ptr(rule).cast(), &|| Encoding::of_legacy(rule)),
        };
        let mut known = self.encodings.borrow_mut();
        known.entry(place).or_insert_with(|| of().into()).clone()
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

    /// What a `-L -n -v` printed of each chain: of each rule its words without counters.
    pub fn listed_table(&self, command: &CommandRecord) -> Rc<Listed> {
        let read = || {
            let stdout = self.text(command.stdout);
            let words = |rule: Vec<&str>| rule.into_iter().map(str::to_owned).collect();
            let chains = self
                .case
                .tool(&command.build)
                .dialect()
                .read_tables(&stdout)
                .into_iter()
                .map(|(chain, rules)| {
                    let rules = rules.into_iter().map(words).collect();
                    (chain.to_owned(), rules)
                });
            Rc::new(chains.collect())
        };
        let mut listed = self.listed.borrow_mut();
        listed.entry(command.stdout).or_insert_with(read).clone()
    }

    /// What `writer` listed of a table as it was written; none where it was not asked, or could not.
    pub fn listed_by_writer(&self, writer: &BuildId, table: &str) -> Option<Rc<Listed>> {
        let lists = self.load.trace.listed.iter();
        let lists = lists.filter(|of| of.listed_as == ListedAs::Table && of.table == table);
        let mut commands = lists.map(|of| self.load.command(of.command));
        let command = commands.find(|of| of.build == *writer)?;
        (command.end == End::Exit(0)).then(|| self.listed_table(command))
    }

    /// What a `-S` of `table` printed.
    pub fn list(&self, command: &CommandRecord, table: &str) -> Rc<PrintedTables> {
        let prints = &mut *self.prints.borrow_mut();
        let key = (command.stdout, Some(table.to_owned()));
        let dialect = self.case.tool(&command.build).dialect();
        let known = &mut prints.rules;
        let read = || {
            let stdout = self.text(command.stdout);
            Rc::new(PrintedTables::of(dialect.read_list(known, table, &stdout)))
        };
        prints.read.entry(key).or_insert_with(read).clone()
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
            let mut failed: Vec<_> = self.load.trace.refused.iter().collect();
            failed.sort_by_key(|of| of.rules.len());
            let mut refusals = HashMap::default();
            for of in failed {
                for rule in of.rules.iter() {
                    let command = self.load.command(of.command);
                    refusals.entry(rule).or_insert(command);
                }
            }
            refusals
        });
        refusals.get(&index).copied()
    }

    /// What was seen after `rules` were written, and how the one of those who wrote them that is `writer` prints them.
    pub fn baseline(&self, rules: &RuleSet, writer: &BuildId) -> Option<Baseline<'a>> {
        let dump = *self.written.get(rules)?;
        let written = self.print_of(writer, dump);
        Some(Baseline { dump, written })
    }

    fn trace_of(&self, reader: &BuildId) -> Option<&'a ReaderTrace> {
        let mut readers = self.load.trace.readers.iter();
        readers.find(|of| &of.reader == reader)
    }

    /// What was seen of `reader`: on all the rules that the writer took, and on each part that those were split into.
    pub fn readings(&self, reader: &BuildId) -> Vec<Rc<Reading<'a>>> {
        let readings = self.trace_of(reader).into_iter();
        let readings = readings.flat_map(|of| &of.readings);
        let reading = |of: &'a trace::Reading| {
            let restored = |of: &trace::Restored| self.restored(of);
            Rc::new(Reading {
                rules: &of.rules,
                part: of.part.as_ref().map(|part| Part {
                    rules: &part.rules,
                    restored: self.restored(&part.restored),
                }),
                saved: self.print(self.load.command(of.saved)),
                rewrite: of.rewrite.as_ref().map(restored),
                reread: of.reread.iter().map(|part| self.part(part)).collect(),
                cycle: of.cycle.iter().map(restored).collect(),
                sync: of.sync.as_ref().map(restored),
                sync_noflush: of.sync_noflush.as_ref().map(restored),
            })
        };
        readings.map(reading).collect()
    }

    fn part(&self, of: &'a trace::RereadPart) -> RereadPart<'a> {
        let print = self.print(self.load.command(of.print));
        RereadPart {
            rules: &of.rules,
            is_well: self.restored(&of.restored).succeeded() && print.is_whole(),
            print,
        }
    }

    fn restored(&self, of: &trace::Restored) -> Restored<'a> {
        Restored {
            command: self.load.command(of.command),
            dump: self.load.dump_at(of.left),
        }
    }

    /// What was seen of `reader` as it looked rules up.
    pub fn look_ups(&self, reader: &BuildId) -> LookUps<'a> {
        let mut found = LookUps::default();
        let Some(trace) = self.trace_of(reader) else {
            return found;
        };
        for list in &trace.lists {
            let lists = found.lists.entry((list.listed_as, list.table.as_str()));
            lists.or_insert(self.load.command(list.command));
        }
        for check in &trace.checks {
            let checks = found.checks.entry(check.rule).or_default();
            checks.push((&check.asked, self.load.command(check.command)));
        }
        for of in &trace.deletions {
            let deletion = Deletion {
                command: self.load.command(of.command),
                before: self.load.dump_at(of.before),
                after: self.load.dump_at(of.after),
            };
            found.deletions.insert(of.rule, deletion);
        }
        found
    }

    /// What was seen when `reader`, of the other backend, wrote the rules too.
    pub fn reassertion(&self, reader: &BuildId) -> Option<Reassertion<'a>> {
        let of = self.trace_of(reader)?.reassertion.as_ref()?;
        let dump = self.load.dump_at(of.left);
        // Of a state that an earlier reader left too, the writer was not asked again.
        let builds = [&self.load.writer, reader].into_iter();
        let prints = builds.filter_map(|build| self.printed_of.get(&(build, dump)).copied());
        Some(Reassertion {
            refusal: of.refused.map(|step| self.load.command(step)),
            dump,
            prints: prints.collect(),
            counts: self.counted.get(&dump).cloned().unwrap_or_default(),
        })
    }

    /// What `reader` had its own backends print to find out which one is in use.
    pub fn looks(&self, reader: &BuildId) -> Vec<(&'a LookAt, &'a CommandRecord)> {
        let looks = self.trace_of(reader).into_iter().flat_map(|of| &of.looks);
        looks
            .map(|look| (look, self.load.command(look.command)))
            .collect()
    }

    /// What a command printed, as it reads.
    pub fn read(&self, command: &CommandRecord) -> Printed {
        let dialect = self.case.tool(&command.build).dialect();
        let stdout = self.text(command.stdout);
        dialect.read(self.load.family, &mut KnownRules::default(), &stdout)
    }

    fn print(&self, command: &'a CommandRecord) -> Print<'a> {
        let prints = &mut *self.prints.borrow_mut();
        let known = &mut prints.rules;
        let by_content = &mut prints.by_content;
        let read = || {
            let text = self.load.text(command.stdout);
            let dialect = self.case.tool(&command.build).dialect();
            let family = self.load.family;
            let new = || {
                Rc::new(PrintedTables::of(dialect.read(
                    family,
                    known,
                    &text.exact(),
                )))
            };
            let content = dialect.lasting(text.bytes());
            by_content.entry(content).or_insert_with(new).clone()
        };
        let key = (command.stdout, None);
        let tables = prints.read.entry(key).or_insert_with(read).clone();
        Print { command, tables }
    }
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
