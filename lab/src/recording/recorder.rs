//! Keeps what is seen of one load while it runs.

use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

use foldhash::HashMap;
use foldhash::fast::RandomState;

use super::{
    BystanderRecord, CommandRecord, DumpRef, LoadRecord, Observation, ReaderRecord, Seen, TextRef,
};
use crate::observed::{SharedRules, State, Text};
use crate::plan::Load;
use crate::plan::step::{Action, Answer, Step};
use crate::plan::trace::LoadTrace;

/// Keeps what is seen of one load while it runs.
pub struct LoadRecorder {
    record: LoadRecord,
    /// Where the texts and dumps stand that the record has, by a hash of theirs: it has each once, and they are numbered.
    places: HashMap<u64, Vec<usize>>,
    /// The dumps that came, by where they are in memory: the same come again and again. Nothing else can be there as long as
    /// they are here.
    came: HashMap<usize, (Weak<State>, DumpRef)>,
    /// The same of the texts, which the record holds itself or an equal one.
    read: HashMap<usize, (Text, TextRef)>,
    hasher: RandomState,
    rules: SharedRules,
}

impl LoadRecorder {
    /// An empty record of `load`.
    pub fn new(load: &Load) -> Self {
        let readers = load.readers.iter();
        let bystanders = load.bystanders.iter().map(|of| BystanderRecord {
            layer: of.layer,
            id: of.build.id.clone(),
        });
        let record = LoadRecord {
            scenario: load.scenario.clone(),
            family: load.family,
            writer: load.writer.id.clone(),
            bystanders: bystanders.collect(),
            readers: readers
                .map(|r| ReaderRecord {
                    id: r.build.id.clone(),
                    witness: r.witness.clone(),
                    beside: r.beside.clone(),
                })
                .collect(),
            kind: load.kind,
            asked: load.asked.clone(),
            texts: Vec::new(),
            dumps: Vec::new(),
            observations: Vec::new(),
            trace: LoadTrace::default(),
        };
        LoadRecorder {
            record,
            places: HashMap::default(),
            came: HashMap::default(),
            read: HashMap::default(),
            hasher: RandomState::default(),
            rules: SharedRules::default(),
        }
    }

    /// Keeps one step and what came of it. A dump in `answer` becomes the equal one that is kept already.
    pub fn keep(&mut self, step: &Step, answer: &mut Answer) {
        let seen = match (&step.action, answer) {
            (
                Action::Command {
                    build,
                    argv,
                    stdin,
                    stays,
                    ..
                },
                Answer::Ran(ran),
            ) => Seen::Command(CommandRecord {
                build: build.clone(),
                argv: argv.clone(),
                stdin: stdin.as_ref().map(|text| self.text(text)),
                stays: stays.is_some(),
                end: ran.end,
                stdout: self.text(&ran.stdout),
                stderr: self.text(&ran.stderr),
            }),
            (Action::Probe(probes), Answer::Probed(outcomes)) => {
                let names = probes.iter().map(|(_, probe)| probe.name.clone());
                Seen::Probes(names.zip(outcomes.iter().cloned()).collect())
            }
            (Action::DumpChain(_), Answer::Dumped(dump)) => Seen::Chain(self.dump(dump)),
            (_, Answer::Dumped(dump)) => Seen::Dump(self.dump(dump)),
            (_, Answer::Furnished(furnished)) => Seen::Furnished {
                lacks: furnished.as_ref().err().cloned(),
            },
            // An answer that does not fit its step ends the run.
            (_, Answer::Ran(_) | Answer::Reset | Answer::Probed(_)) => Seen::Reset,
        };
        let Step {
            stage,
            role,
            reader,
            rules,
            rule,
            ..
        } = step.clone();
        self.record.observations.push(Observation {
            stage,
            role,
            reader,
            rules,
            rule,
            seen,
        });
    }

    /// The record; `trace` says what each step was to its operation.
    pub fn finish(self, trace: LoadTrace) -> LoadRecord {
        LoadRecord {
            trace,
            ..self.record
        }
    }

    fn text(&mut self, text: &Text) -> TextRef {
        if let Some((_, known)) = self.read.get(&text.place()) {
            return *known;
        }
        let known = self.text_of_bytes(text);
        self.read.insert(text.place(), (text.clone(), known));
        known
    }

    fn text_of_bytes(&mut self, text: &Text) -> TextRef {
        let places = self.places.entry(self.hasher.hash_one(text)).or_default();
        let texts = &mut self.record.texts;
        let is_it = |at: &&usize| texts.get(**at).is_some_and(|of| of == text);
        if let Some(at) = places.iter().find(is_it) {
            return TextRef(*at);
        }
        places.push(texts.len());
        texts.push(text.clone());
        TextRef(texts.len() - 1)
    }

    fn dump(&mut self, dump: &mut Arc<State>) -> DumpRef {
        let address = Arc::as_ptr(dump).addr();
        if let Some((_, place)) = self.came.get(&address) {
            *dump = self.record.dumps[place.0].clone();
            return *place;
        }
        let came = Arc::downgrade(dump);
        let place = self.dump_of_rules(dump);
        self.came.insert(address, (came, place));
        place
    }

    fn dump_of_rules(&mut self, dump: &mut Arc<State>) -> DumpRef {
        let places = self.places.entry(self.hasher.hash_one(&*dump)).or_default();
        let dumps = &mut self.record.dumps;
        let is_it = |at: &&usize| dumps.get(**at).is_some_and(|of| of == dump);
        if let Some(at) = places.iter().find(is_it) {
            *dump = dumps[*at].clone();
            return DumpRef(*at);
        }
        // What somebody else holds too has rules that others have.
        if Arc::strong_count(dump) == 1 {
            self.rules.share_with(Arc::make_mut(dump));
        }
        places.push(dumps.len());
        dumps.push(dump.clone());
        DumpRef(dumps.len() - 1)
    }
}
